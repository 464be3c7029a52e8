"""The reasoner's training beside the plain loop: pre-training, phases, accumulation, accelerate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.data.questions import read_questions, write_json_items, write_questions
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.training import reasoner_loop
from gqa_reasoner.training.encoded_store import read_shard
from gqa_reasoner.training.reasoner import add_arguments
from gqa_reasoner.training.reasoner import run as command
from gqa_reasoner.training.reasoner_config import read_config
from gqa_reasoner.training.reasoner_pretraining import PretrainingConfig, make_batch
from tests.model.test_reasoner_training import CONFIG, curve, data, run, world_tools  # noqa: F401
from tests.model.worlds import color_question, scene_of

PRETRAINING = replace(
    CONFIG, steps=61, pretraining=PretrainingConfig(steps=60, masked=0.4), learning_rate=5e-3,
    batch_size=16, log_every=20,
)  # fmt: skip


def test_every_pretraining_objective_falls(data: Path, tmp_path: Path) -> None:  # noqa: F811
    assert run(data, tmp_path / "run", config=PRETRAINING) == 0
    lines = [line for line in curve(tmp_path / "run") if "words_loss" in line]
    assert len(lines) == 3
    for name in ("words_loss", "classes_loss"):
        assert lines[-1][name] < 0.8 * lines[0][name], name
    assert ReasonerModel.from_pretrained(tmp_path / "run" / "weights").config == replace(
        CONFIG.model
    )


def test_the_match_of_question_and_picture_is_learned(tmp_path: Path) -> None:
    """Every picture has one object, so that a question about it fits few others' pictures."""
    folder = tmp_path / "data"
    scenes = [scene_of(seed, count=1, dense=False, detector="oracle") for seed in range(24)]
    write_json_items(folder / "sceneGraphs.json", ((s.image_id, s.to_gqa()) for s in scenes))
    write_questions(folder / "questions.json", [color_question(s, 0, s.image_id) for s in scenes])
    objective = PretrainingConfig(steps=160, words=0.0, classes=0.0, masked=0.05)
    config = replace(PRETRAINING, steps=161, pretraining=objective, log_every=40)
    assert run(folder, tmp_path / "run", config=config) == 0
    losses = [line["match_loss"] for line in curve(tmp_path / "run") if "match_loss" in line]
    assert len(losses) == 4
    assert losses[-1] < 0.75 * losses[0], losses


def test_a_pretrained_run_resumes_exactly(data: Path, tmp_path: Path) -> None:  # noqa: F811
    config = replace(PRETRAINING, steps=8, pretraining=PretrainingConfig(steps=5), log_every=1)
    run(data, tmp_path / "a", config=config)
    run(data, tmp_path / "b", config=config, stop_after=4)
    run(data, tmp_path / "b", config=config, resume=True)
    assert curve(tmp_path / "a") == curve(tmp_path / "b")


def test_masking_hides_what_it_asks_for(data: Path, tmp_path: Path) -> None:  # noqa: F811
    run(data, tmp_path / "run", prepare_only=True)
    shard = read_shard(tmp_path / "run" / "cache" / "encoded" / "00000.npz")
    questions = [item.question for item in shard.examples]
    scenes = [shard.scenes[item.scene] for item in shard.examples]
    words = 200
    made = make_batch(
        questions, scenes, np.random.default_rng(0), PretrainingConfig(masked=0.5), words=words,
        feature_size=0,
    )  # fmt: skip
    rows, places = (made.labels >= 0).nonzero().unbind(1)
    assert len(rows) and made.matches[rows].bool().all()  # hidden words where the picture fits
    flat = rows * made.labels.shape[1] + places
    assert (made.batch.text_first.ids[made.batch.text_first.offsets[flat]] == 0).all()
    assert made.classes.shape == (int(made.hidden.sum()), words)
    torch.testing.assert_close(made.classes.sum(1), torch.ones(len(made.classes)))
    kinds = made.batch.kind[made.batch.text_mask]
    assert set(kinds.tolist()) <= {0, 2}  # neither steps nor executed answers
    assert 0 < made.matches.mean() < 1


def test_accumulated_passes_give_the_whole_batch_gradient(
    data: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    weights = []
    for parts in (1, 2):
        config = replace(
            CONFIG, steps=1, accumulate=parts, source_dropout=0.0, precision="float32",
            type_weight=0.0, guidance_weight=0.0, gradient_clip=1e9,
            model=replace(CONFIG.model, dropout=0.0),
        )  # fmt: skip
        run(data, tmp_path / str(parts), config=config)
        state = torch.load(tmp_path / str(parts) / "checkpoint.pt", weights_only=True)
        weights.append(state["model"])
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=2e-5)


def test_the_last_phase_draws_balanced_questions_alone(
    data: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions = read_questions(data / "questions.json")
    for number, question in enumerate(questions.values()):
        question.is_balanced = number % 2 == 0
    write_questions(data / "questions.json", questions.values())
    seen: list[tuple[int, list[int]]] = []
    real = reasoner_loop.ReasonerLoop._update

    def spied(self, chosen):  # type: ignore[no-untyped-def]
        seen.append((self.step, [item.balanced for item in chosen]))
        return real(self, chosen)

    monkeypatch.setattr(reasoner_loop.ReasonerLoop, "_update", spied)
    run(data, tmp_path / "run", config=replace(CONFIG, balanced_share=0.5))
    assert [step for step, _ in seen] == list(range(8))
    assert all(all(flags) for step, flags in seen if step >= 4)
    assert not all(all(flags) for step, flags in seen if step < 4)


def test_accelerate_and_tensorboard(data: Path, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("accelerate")
    pytest.importorskip("tensorboard")
    config = replace(CONFIG, engine="accelerate", tensorboard=True, precision="float32")
    assert run(data, tmp_path / "a", config=config) == 0
    assert list((tmp_path / "a" / "tensorboard").glob("events*"))
    run(data, tmp_path / "b", config=replace(CONFIG, precision="float32"))
    assert curve(tmp_path / "a") == curve(tmp_path / "b")


def test_another_architecture_in_the_checkpoint_is_refused(
    data: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    run(data, tmp_path / "run", model_name="gine", stop_after=4)
    with pytest.raises(InputError, match="the checkpoint is of another model"):
        run(data, tmp_path / "run", resume=True)
    with pytest.raises(InputError, match="only the reasoner is pre-trained"):
        run(data, tmp_path / "c", model_name="gine", config=PRETRAINING)


def test_feature_files_are_scenes(data: Path, tmp_path: Path) -> None:  # noqa: F811
    h5py = pytest.importorskip("h5py")
    ids = sorted({q.image_id for q in read_questions(data / "questions.json").values()})
    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "gqa_objects.h5", "w") as handle:
        handle["features"] = random.normal(size=(len(ids), 100, 12)).astype(np.float32)
        low = random.uniform(0, 50, size=(len(ids), 100, 2))
        handle["bboxes"] = np.concatenate([low, low + 20], axis=-1).astype(np.float32)
    info = {
        name: {"width": 320, "height": 240, "objectsNum": 5 + row % 3, "idx": row}
        for row, name in enumerate(ids)
    }
    (tmp_path / "gqa_objects_info.json").write_text(json.dumps(info))
    output = tmp_path / "run"
    options = {"question_files": [data / "questions.json"]}
    assert run(data, output, features=tmp_path / "gqa_objects.h5", **options) == 0
    model = ReasonerModel.from_pretrained(output / "weights")
    assert model.config.feature_size == 12
    assert model.vocabulary.detectors[0] == "region features"


def test_the_command_says_which_options_go_together(tmp_path: Path) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for words, message in (
        ([], "expected either --data DIR"),
        (["--data", "a", "--questions", "b"], "expected either --data DIR"),
        (["--questions", "b"], "expected either --data DIR"),
        (["--questions", "b", "--scene-graphs", "c", "--detector-weights", "d"], "needs --data"),
        (["--data", "a", "--class-names", "b"], "belongs to --features"),
    ):
        with pytest.raises(InputError, match=message):
            command(parser.parse_args([*words, "--output", str(tmp_path)]))


@pytest.mark.parametrize("name", ["base", "tinygqa", "graphs", "peers"])
def test_the_presets_are_readable(name: str) -> None:
    config = read_config(Path(__file__).parents[2] / "configs" / f"reasoner_{name}.yaml")
    assert config.model.width == (768 if name == "base" else 128)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("engine: horovod", "engine"),
        ("accumulate: 0", "accumulate"),
        ("balanced_share: 2", "balanced_share"),
        ("pretraining: {steps: -1}", "pretraining"),
        ("pretraining: {masked: 1}", "masked"),
        ("pretraining: {noise: 1}", "noise"),
    ],
)
def test_bad_values_are_named(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=word):
        read_config(tmp_path / "c.yaml")
