from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.model.batch import collate, drop_sources
from gqa_reasoner.model.encode import KINDS, special_words
from gqa_reasoner.model.expanded_graph import Sources
from gqa_reasoner.model.inference import answer_prepared, prepare
from gqa_reasoner.model.reasoner import ReasonerConfig, ReasonerModel
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.program.operations import OPERATIONS
from tests.model.worlds import (
    CLASSES,
    COLORS,
    Context,
    Failure,
    Parse,
    Query,
    Triple,
    parse_of,
    scene_of,
)

WORDS = (*special_words(OPERATIONS), "what", "color", "is", "the", "?", *CLASSES, *COLORS)
VOCABULARY = ReasonerVocabulary(
    WORDS, ("yes", "no", *COLORS, *CLASSES), ("queryAttr", "exist"), ("on",), ("test", "oracle")
)


class Execution:
    def __init__(self, count: int, distribution: dict[str, float], failed: bool = False) -> None:
        self.answer_distribution = distribution
        self.answer = max(distribution, key=distribution.__getitem__)
        self.step_weights = [np.eye(count)[0] if count else np.zeros(0), np.zeros(count)]
        self.step_truth = [None, None]
        self.notes: list[str] = []
        self.failed = failed


def make_model(**changes: object) -> ReasonerModel:
    torch.manual_seed(0)
    config = ReasonerConfig(width=16, heads=2, layers=2, hidden=32, feature_size=6, **changes)  # type: ignore[arg-type]
    model = ReasonerModel(config, VOCABULARY).eval()
    torch.nn.init.normal_(model.trunk.edge_bias)
    return model


def prepared(seed: int, distribution: dict[str, float], *, count: int = 4, **options: object):  # type: ignore[no-untyped-def]
    scene = scene_of(seed, count=count, **options)  # type: ignore[arg-type]
    name = scene.objects[0].name if count else "dog"
    return prepare(
        VOCABULARY,
        scene,
        f"What color is the {name}?",
        parse_of(f"select: {name}->query: color [0]"),
        Execution(count, distribution),  # type: ignore[arg-type]
        Context([Triple(f"{name} is animal", ("0",))], [Query(f"is the {name} red")]),  # type: ignore[arg-type]
    )


ITEMS = [
    prepared(1, {"red": 0.7, "brown": 0.3}),
    prepared(2, {"turquoise": 0.6, "red": 0.4}, count=2),
    prepared(3, {"yes": 1.0}, count=0),
]


def test_batching_changes_no_answer() -> None:
    model = make_model()
    together = answer_prepared(model, ITEMS)
    for item, expected in zip(ITEMS, together, strict=True):
        alone = answer_prepared(model, [item])[0]
        assert alone.answer == expected.answer
        assert alone.distribution == pytest.approx(expected.distribution, abs=1e-5)
        assert alone.executor_weight == pytest.approx(expected.executor_weight, abs=1e-5)
    assert answer_prepared(model, []) == []


def test_mixture_is_a_distribution_and_copies_unknown_answers() -> None:
    model = make_model()
    result = answer_prepared(model, ITEMS)[1]
    assert result.method == "mixture" and 0 < result.executor_weight < 1
    assert result.distribution["turquoise"] == pytest.approx(0.6 * result.executor_weight, abs=1e-3)
    with torch.no_grad():
        model.mixture.gate[2].bias.fill_(20.0)
    assert answer_prepared(model, ITEMS)[1].answer == "turquoise"
    with torch.no_grad():
        model.mixture.gate[2].bias.fill_(-20.0)
    neural = answer_prepared(model, ITEMS)[1]
    assert neural.answer == next(iter(neural.neural))


def test_unfamiliar_scenes_let_the_program_decide_and_say_so() -> None:
    model = make_model()
    foreign = prepared(1, {"turquoise": 0.6, "red": 0.4}, detector="onnx:yolox")
    result = answer_prepared(model, [foreign])[0]
    assert (result.answer, result.method, result.executor_weight) == ("turquoise", "program", None)
    assert any("onnx:yolox" in note for note in result.notes)


def test_names_it_never_met_make_a_scene_unfamiliar() -> None:
    scene = scene_of(1, dense=False, detector="oracle")
    scene.objects = [type(o)(o.id, f"zzz {o.name}", o.score, o.box) for o in scene.objects]
    item = prepare(VOCABULARY, scene, "Is it red?", parse_of("select: dog->exist: ? [0]"),
                   Execution(4, {"no": 1.0}), None)  # type: ignore[arg-type]  # fmt: skip
    assert answer_prepared(make_model(), [item])[0].method == "program"


def test_a_failed_parse_leaves_the_neural_side_alone() -> None:
    model = make_model()
    item = prepare(
        VOCABULARY, scene_of(1), "Wie geht's?", Parse([], Failure("no form")), None, None
    )  # type: ignore[arg-type]
    result = answer_prepared(model, [item])[0]
    assert result.method == "neural" and "no form" in result.notes[0]
    assert result.answer == next(iter(result.neural))
    assert model.answer_scene(scene_of(1), "Wie geht's?", Parse([], None), None, None).answer


def test_saving_and_loading_keeps_the_answers(tmp_path: Path) -> None:
    model = make_model()
    model.save_pretrained(tmp_path, "card\n")
    loaded = ReasonerModel.from_pretrained(tmp_path)
    assert loaded.vocabulary == model.vocabulary and loaded.config == model.config
    for first, second in zip(
        answer_prepared(model, ITEMS), answer_prepared(loaded, ITEMS), strict=True
    ):
        assert first.answer == second.answer
        assert first.distribution == pytest.approx(second.distribution, abs=5e-3)


def test_bad_weights_name_file_and_field(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json"):
        ReasonerModel.from_pretrained(tmp_path)
    make_model().save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    record = json.loads(config.read_text())
    record["vocabulary"]["answers"].append("maybe")
    config.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"answer_.*expected shape"):
        ReasonerModel.from_pretrained(tmp_path)
    record["model"]["depth"] = 3
    config.write_text(json.dumps(record))
    with pytest.raises(InputError, match="unknown key 'depth'"):
        ReasonerModel.from_pretrained(tmp_path)
    config.write_text("[]")
    with pytest.raises(InputError, match="'model' and 'vocabulary'"):
        ReasonerModel.from_pretrained(tmp_path)
    make_model().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="safetensors"):
        ReasonerModel.from_pretrained(tmp_path)


def test_dropped_sources_have_no_influence() -> None:
    model = make_model()
    batch = collate([i.question for i in ITEMS], [i.scene for i in ITEMS], feature_size=6)
    off = Sources(program=False, guidance=False, executed=False, triples=False, queries=False)
    bare = drop_sources(batch, [off] * 3)
    visible = batch.kind[bare.text_mask]
    assert set(visible.tolist()) == {KINDS.index("answer"), KINDS.index("token")}
    assert bare.pointed.abs().sum() == 0
    without = prepare(VOCABULARY, scene_of(1), "What color is the " + scene_of(1).objects[0].name
                      + "?", None, None, None)  # fmt: skip
    alone = collate([without.question], [without.scene], feature_size=6)
    hidden = drop_sources(alone, [off])
    with torch.no_grad():
        torch.testing.assert_close(
            model(bare).logits[:1], model(hidden).logits, atol=1e-5, rtol=1e-4
        )
    kept = drop_sources(batch, [Sources()] * 3)
    with torch.no_grad():
        torch.testing.assert_close(model(kept).logits, model(batch).logits)


def test_a_model_built_without_a_source_never_sees_it(tmp_path: Path) -> None:
    batch = collate([i.question for i in ITEMS], [i.scene for i in ITEMS], feature_size=6)
    silent = replace(batch, edges=batch.edges._replace(weight=torch.zeros_like(batch.edges.weight)))
    for name, same in (
        ("executed", drop_sources(batch, [Sources(executed=False)] * 3)),
        ("guidance", drop_sources(batch, [Sources(guidance=False)] * 3)),
        ("edges", silent),
    ):
        whole, part = make_model(), make_model(without=(name,), executor_mixture=False)
        part.save_pretrained(tmp_path / name)
        part = ReasonerModel.from_pretrained(tmp_path / name)
        whole.load_state_dict(part.state_dict())
        assert part.config.without == (name,)
        with torch.no_grad():
            logits = part(batch).logits
            torch.testing.assert_close(logits, whole(same).logits, atol=1e-5, rtol=1e-4)
            assert not torch.equal(logits, whole(batch).logits)
            mixed = part.mixture(logits, batch.executed, batch.executed_share, batch.signals)
        torch.testing.assert_close(mixed.combined, logits.softmax(-1))
    assert make_model(without=("edges",)).config.guided
    assert not make_model(without=("program",)).config.guided
    with pytest.raises(InputError, match=r"without: expected some of program, .* got 'words'"):
        make_model(without=("words",))


def test_guidance_reaches_the_answer_and_every_weight_learns() -> None:
    model = make_model().train()
    batch = collate(
        [i.question for i in ITEMS], [i.scene for i in ITEMS], feature_size=6, guidance=True
    )
    assert batch.guided.sum().item() == pytest.approx(2.0)
    output = model(batch, keep_attention=True)
    assert output.attention.shape == batch.guided.shape
    (output.logits.square().sum() + output.type_logits.sum()).backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None and "mixture" not in n]
    assert not idle


def test_permuting_objects_permutes_nothing_in_the_answer() -> None:
    model = make_model()
    scene = scene_of(1)
    order = [2, 0, 3, 1]
    other = scene_of(1)
    other.objects = [scene.objects[i] for i in order]
    for name in ("features", "class_probabilities", "attribute_probabilities"):
        setattr(other, name, getattr(scene, name)[order])
    other.relation_probabilities = scene.relation_probabilities[order][:, order]
    text = f"What color is the {scene.objects[0].name}?"
    items = [prepare(VOCABULARY, s, text, None, None, None) for s in (scene, other)]
    first, second = answer_prepared(model, items)
    assert first.distribution == pytest.approx(second.distribution, abs=1e-5)


def gated_batch(triple: str):  # type: ignore[no-untyped-def]
    item = prepare(
        VOCABULARY,
        scene_of(1, count=3),
        "What color is the dog?",
        parse_of("select: dog->query: color [0]"),
        None,
        Context([Triple(triple, ("0",)), Triple("dog is brown", ("1",))], []),  # type: ignore[arg-type]
    )
    return collate([item.question], [item.scene], feature_size=6)


def test_the_gate_can_take_none_of_the_context() -> None:
    model = make_model(context_gate=True)
    assert model.gate is not None
    kind = gated_batch("dog is red").kind
    triples = (kind == KINDS.index("triple"))[0]
    open_gate = model(gated_batch("dog is red"))
    assert open_gate.taken is not None
    assert (open_gate.taken[0, triples] > 0.1).all()
    assert (open_gate.taken[0, ~triples] == 0).all()
    assert not torch.allclose(open_gate.logits, model(gated_batch("cat is blue")).logits)
    with torch.no_grad():
        model.gate.null.fill_(40.0)
    shut = model(gated_batch("dog is red"))
    assert (shut.taken[0] < 1e-6).all()  # type: ignore[index]
    torch.testing.assert_close(shut.logits, model(gated_batch("cat is blue")).logits)


def test_the_gate_learns_with_the_answer_and_survives_saving(tmp_path: Path) -> None:
    model = make_model(context_gate=True)
    loss = torch.nn.functional.cross_entropy(
        model(gated_batch("dog is red")).logits, torch.tensor([2])
    )
    loss.backward()
    assert model.gate is not None
    for name, parameter in model.gate.named_parameters():
        if name != "relevance_weight":
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    model.save_pretrained(tmp_path)
    again = ReasonerModel.from_pretrained(tmp_path)
    assert again.config.context_gate
    left, right = model(gated_batch("dog is red")), again(gated_batch("dog is red"))
    torch.testing.assert_close(left.logits, right.logits, atol=0.02, rtol=0.02)
