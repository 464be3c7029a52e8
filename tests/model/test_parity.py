"""The trunk against `transformers`' own classes: outputs and gradients, float32, 1e-5 relative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detectors.errors import InputError
from gqa_reasoner.model.parity import bert, clip, gpt2, lxmert, t5, vilt, visualbert
from gqa_reasoner.model.parity.keymap import Rule, from_theirs, to_theirs
from gqa_reasoner.model.trunk import Cache

transformers = pytest.importorskip("transformers")
TOLERANCE = 1e-5


def relative(found: Tensor, expected: Tensor) -> float:
    scale = expected.abs().max().clamp(min=1e-6)
    return float(((found - expected).abs().max() / scale).detach())


def make_theirs(kind: str, config: Any, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    model = getattr(transformers, kind)(config, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def check(
    ours: nn.Module,
    theirs: nn.Module,
    rules: Sequence[Rule],
    run_ours: Callable[[], Sequence[Tensor]],
    run_theirs: Callable[[], Sequence[Tensor]],
    ignored: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> None:
    """Load, compare outputs and the gradients of a random sum of them, save back."""
    state = theirs.state_dict()
    ours.load_state_dict(from_theirs(rules, state, "test", ignored=ignored))
    ours.eval()
    found, expected = list(run_ours()), list(run_theirs())
    assert len(found) == len(expected)
    worst = 0.0
    for number, (first, second) in enumerate(zip(found, expected, strict=True)):
        assert first.shape == second.shape
        worst = max(worst, relative(first, second))
        assert worst < tolerance, f"output {number}"
    for outputs in (found, expected):
        generator = torch.Generator().manual_seed(7)
        total = torch.zeros(())
        for output in outputs:
            total = total + (output * torch.randn(output.shape, generator=generator)).sum()
        total.backward()
    gradients = {n: p.grad for n, p in theirs.named_parameters() if p.grad is not None}
    needed = [rule for rule in rules if all(name in gradients for name in rule.theirs)]
    assert len(needed) > len(rules) // 2
    wanted = from_theirs(needed, gradients, "gradients", ignored=("",))
    mine = dict(ours.named_parameters())
    # A key's bias moves all logits of a query alike: its true gradient is zero, its computed one
    # noise. So each gradient is compared on the scale of the largest of all.
    largest, worst_gradient = max(float(value.abs().max()) for value in wanted.values()), 0.0
    for name, value in wanted.items():
        scale = max(float(value.abs().max()), 1e-3 * largest)
        error = float((mine[name].grad - value).abs().max()) / scale
        worst_gradient = max(worst_gradient, error)
        assert error < tolerance, f"gradient of {name}: {error}"
    print(f"| {type(theirs).__name__} | {worst:.1e} | {worst_gradient:.1e} |")
    back = to_theirs(rules, ours.state_dict())
    for name, value in back.items():
        assert torch.equal(value, state[name]), name


IDS = torch.tensor([[5, 6, 7, 8, 9, 2], [5, 9, 4, 2, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])


def hidden_at(states: Sequence[Tensor], mask: Tensor = MASK) -> list[Tensor]:
    """Real positions only: what stands at padding is nobody's business."""
    return [state[mask.bool()] for state in states]


@pytest.mark.parametrize("kind", ["Bert", "Roberta"])
def test_bert_and_roberta(kind: str) -> None:
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=30, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=20, type_vocab_size=2, pad_token_id=1,
    )  # fmt: skip
    theirs = make_theirs(f"{kind}Model", config)
    record = config.to_dict()
    ours = bert.build(record)
    segments = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]])

    def run_ours() -> list[Tensor]:
        states = ours(IDS, MASK.bool(), segments)
        return [*hidden_at(states.hidden), states.pooled]

    def run_theirs() -> list[Tensor]:
        output = theirs(IDS, MASK, segments, output_hidden_states=True)
        return [*hidden_at(output.hidden_states), output.pooler_output]

    check(ours, theirs, bert.rules(record), run_ours, run_theirs, bert.IGNORED)


def test_gpt2_and_its_cache() -> None:
    config = transformers.GPT2Config(vocab_size=30, n_embd=32, n_layer=3, n_head=4, n_positions=20)
    theirs = make_theirs("GPT2Model", config)
    record = config.to_dict()
    ours = gpt2.build(record)

    def run_theirs() -> list[Tensor]:
        return list(theirs(IDS, output_hidden_states=True).hidden_states)

    check(ours, theirs, gpt2.rules(record), lambda: ours(IDS), run_theirs, gpt2.IGNORED)
    cache = Cache()
    steps = [ours(IDS[:, i : i + 1], cache=cache)[-1] for i in range(IDS.shape[1])]
    assert relative(torch.cat(steps, dim=1), theirs(IDS).last_hidden_state) < TOLERANCE
    head = make_theirs("GPT2LMHeadModel", config)
    ours.load_state_dict(from_theirs(gpt2.rules(record), head.transformer.state_dict(), "test"))
    assert relative(ours.logits(ours(IDS)[-1]), head(IDS).logits) < TOLERANCE


@pytest.mark.parametrize("end", [2, 28])
def test_clip_both_towers(end: int) -> None:
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.CLIPConfig(
        text_config={**sizes, "vocab_size": 30, "hidden_size": 32, "intermediate_size": 48,
                     "max_position_embeddings": 12, "eos_token_id": end},
        vision_config={**sizes, "hidden_size": 40, "intermediate_size": 56, "image_size": 16,
                       "patch_size": 4},
        projection_dim=24,
    )  # fmt: skip
    theirs = make_theirs("CLIPModel", config)
    record = config.to_dict()
    ours = clip.build(record)
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    ids = torch.tensor([[3, 4, 28, 1], [5, 6, 7, 28]])

    def run_ours() -> list[Tensor]:
        text, text_hidden = ours.encode_text(ids)
        image, image_hidden = ours.encode_image(pixels)
        return [text, image, *text_hidden[1:-1], *image_hidden[1:], ours(ids, pixels)]

    def run_theirs() -> list[Tensor]:
        output = theirs(ids, pixels)
        text = theirs.text_model(ids, output_hidden_states=True)
        image = theirs.vision_model(pixels, output_hidden_states=True)
        return [
            theirs.text_projection(text.pooler_output),
            theirs.visual_projection(image.pooler_output),
            *text.hidden_states[1:-1],
            *image.hidden_states[1:],
            output.logits_per_text,
        ]

    check(ours, theirs, clip.rules(record), run_ours, run_theirs, clip.IGNORED)


def test_visualbert() -> None:
    config = transformers.VisualBertConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=20, visual_embedding_dim=20,
    )  # fmt: skip
    theirs = make_theirs("VisualBertModel", config)
    record = config.to_dict()
    ours = visualbert.build(record)
    features = torch.randn(2, 4, 20, generator=torch.Generator().manual_seed(3))
    regions = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    both = torch.cat([MASK, regions], dim=1)

    def run_ours() -> list[Tensor]:
        states = ours(IDS, features, MASK.bool(), regions.bool())
        return [*hidden_at(states.hidden, both), states.pooled]

    def run_theirs() -> list[Tensor]:
        output = theirs(
            IDS, MASK, visual_embeds=features, visual_attention_mask=regions,
            output_hidden_states=True,
        )  # fmt: skip
        return [*hidden_at(output.hidden_states, both), output.pooler_output]

    check(ours, theirs, visualbert.rules(record), run_ours, run_theirs, visualbert.IGNORED)


LXMERT = {
    "vocab_size": 30, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 20, "l_layers": 2, "r_layers": 2, "x_layers": 2,
    "visual_feat_dim": 20, "num_qa_labels": 6,
}  # fmt: skip


def lxmert_inputs() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(2, 4, 20, generator=generator)
    boxes = torch.rand(2, 4, 4, generator=generator)
    return features, boxes, torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def test_lxmert() -> None:
    config = transformers.LxmertConfig(**LXMERT)
    theirs = make_theirs("LxmertModel", config)
    record = config.to_dict()
    ours = lxmert.build(record)
    features, boxes, regions = lxmert_inputs()

    def run_ours() -> list[Tensor]:
        states = ours(IDS, features, boxes, MASK.bool(), regions.bool())
        return [states.text[MASK.bool()], states.vision[regions.bool()], states.pooled]

    def run_theirs() -> list[Tensor]:
        output = theirs(IDS, features, boxes, MASK, regions.float())
        return [
            output.language_output[MASK.bool()],
            output.vision_output[regions.bool()],
            output.pooled_output,
        ]

    check(ours, theirs, lxmert.rules(record), run_ours, run_theirs, lxmert.IGNORED)


def test_lxmert_answers_questions_with_its_gqa_head() -> None:
    config = transformers.LxmertConfig(**LXMERT)
    theirs = make_theirs("LxmertForQuestionAnswering", config)
    record = config.to_dict()
    labels = [f"answer {number}" for number in range(6)]
    ours = lxmert.build(record, labels)
    features, boxes, _ = lxmert_inputs()
    rules = lxmert.rules(record, prefix="lxmert.", answer_head=True)

    def run_ours() -> list[Tensor]:
        return [ours(IDS, features, boxes, MASK.bool()).answers]

    def run_theirs() -> list[Tensor]:
        return [theirs(IDS, features, boxes, MASK).question_answering_score]

    check(ours, theirs, rules, run_ours, run_theirs, lxmert.IGNORED)


def test_vilt(monkeypatch: pytest.MonkeyPatch) -> None:
    # transformers puts the patches into a random order, which changes no answer; here it keeps it.
    monkeypatch.setattr(torch, "multinomial", lambda weights, count, **_: torch.arange(count))
    config = transformers.ViltConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=20, image_size=16, patch_size=4,
    )  # fmt: skip
    theirs = make_theirs("ViltModel", config)
    record = config.to_dict()
    ours = vilt.build(record)
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    both = torch.cat([MASK, torch.ones(2, 17, dtype=torch.long)], dim=1)

    def run_ours() -> list[Tensor]:
        states = ours(IDS, pixels, MASK.bool())
        return [*hidden_at(states.hidden[:-1], both), states.last[both.bool()], states.pooled]

    def run_theirs() -> list[Tensor]:
        output = theirs(IDS, MASK, pixel_values=pixels, output_hidden_states=True)
        hidden = [*output.hidden_states[: config.num_hidden_layers], output.last_hidden_state]
        return [*hidden_at(hidden, both), output.pooler_output]

    check(ours, theirs, vilt.rules(record), run_ours, run_theirs, vilt.IGNORED)


@pytest.mark.parametrize("feed_forward", ["relu", "gated-gelu"])
def test_t5(feed_forward: str) -> None:
    config = transformers.T5Config(
        vocab_size=30, d_model=32, d_kv=6, d_ff=48, num_layers=2, num_decoder_layers=3,
        num_heads=4, feed_forward_proj=feed_forward, relative_attention_num_buckets=8,
        relative_attention_max_distance=16,
    )  # fmt: skip
    theirs = make_theirs("T5Model", config)
    record = config.to_dict()
    ours = t5.build({**record, "tie_word_embeddings": True})
    source = torch.randint(2, 30, (2, 14), generator=torch.Generator().manual_seed(3))
    mask = torch.ones(2, 14, dtype=torch.long)
    mask[1, 9:] = 0

    def run_ours() -> list[Tensor]:
        output = ours(source, IDS, mask.bool())
        return [output.text, output.vision[mask.bool()]]

    def run_theirs() -> list[Tensor]:
        output = theirs(source, mask, decoder_input_ids=IDS)
        return [output.last_hidden_state, output.encoder_last_hidden_state[mask.bool()]]

    check(ours, theirs, t5.rules(record), run_ours, run_theirs, t5.IGNORED)


def test_t5_generates_the_same_words() -> None:
    config = transformers.T5Config(
        vocab_size=30, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        decoder_start_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    theirs = make_theirs("T5ForConditionalGeneration", config)
    record = config.to_dict()
    tied = "lm_head.weight" not in dict(theirs.named_parameters())
    ours = t5.build({**record, "tie_word_embeddings": tied}).eval()
    state = theirs.state_dict()
    ignored = (*t5.IGNORED, "lm_head.weight") if tied else t5.IGNORED
    rules = t5.rules(record, head=not tied)
    ours.load_state_dict(from_theirs(rules, state, "test", ignored=ignored))
    source = torch.randint(2, 30, (2, 9), generator=torch.Generator().manual_seed(5))
    expected = theirs.generate(source, max_new_tokens=6, do_sample=False, num_beams=1)[:, 1:]
    found = ours.generate(source, start=0, end=1, most=6)
    assert found.tolist() == expected.tolist()


def test_a_foreign_checkpoint_is_refused_by_name() -> None:
    config = transformers.GPT2Config(vocab_size=30, n_embd=32, n_layer=1, n_head=4)
    theirs = make_theirs("GPT2Model", config)
    record = transformers.BertConfig(num_hidden_layers=1).to_dict()
    with pytest.raises(InputError, match=r"'embeddings\.word_embeddings\.weight' is missing"):
        from_theirs(bert.rules(record), theirs.state_dict(), "file")
    state = dict(theirs.state_dict(), extra=torch.zeros(1))
    with pytest.raises(InputError, match="'extra' has no place"):
        from_theirs(gpt2.rules(config.to_dict()), state, "file")
