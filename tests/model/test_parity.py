"""The trunk against `transformers`' own classes: outputs and gradients, float32, 1e-5 relative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detectors.errors import InputError
from gqa_reasoner.model.parity import bert, gpt2
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
    for number, (first, second) in enumerate(zip(found, expected, strict=True)):
        assert first.shape == second.shape
        assert relative(first, second) < tolerance, f"output {number}"
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
    largest = max(float(value.abs().max()) for value in wanted.values())
    for name, value in wanted.items():
        scale = max(float(value.abs().max()), 1e-3 * largest)
        error = float((mine[name].grad - value).abs().max()) / scale
        assert error < tolerance, f"gradient of {name}: {error}"
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


def test_a_foreign_checkpoint_is_refused_by_name() -> None:
    config = transformers.GPT2Config(vocab_size=30, n_embd=32, n_layer=1, n_head=4)
    theirs = make_theirs("GPT2Model", config)
    record = transformers.BertConfig(num_hidden_layers=1).to_dict()
    with pytest.raises(InputError, match=r"'embeddings\.word_embeddings\.weight' is missing"):
        from_theirs(bert.rules(record), theirs.state_dict(), "file")
    state = dict(theirs.state_dict(), extra=torch.zeros(1))
    with pytest.raises(InputError, match="'extra' has no place"):
        from_theirs(gpt2.rules(config.to_dict()), state, "file")
