from __future__ import annotations

import torch

from gqa_reasoner.model.mixture import GATE_SIGNALS, Mixture


def inputs() -> tuple[torch.Tensor, ...]:
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    executed = torch.tensor([[1, 0], [-1, 2], [-2, -2]])
    share = torch.tensor([[0.75, 0.25], [0.9, 0.1], [0.0, 0.0]])
    return logits, executed, share, torch.zeros(3, 6)


def test_probabilities_add_up() -> None:
    mixed = Mixture()(*inputs())
    outside = mixed.gate[1] * mixed.executed[1, 0]
    torch.testing.assert_close(mixed.combined.sum(-1), torch.stack([torch.ones(()), 1 - outside,
                                                                    torch.ones(())]))  # fmt: skip
    expected = 0.5 * torch.tensor([2.0, 0.0, 0.0]).softmax(-1) + 0.5 * torch.tensor([0.25, 0.75, 0])
    torch.testing.assert_close(mixed.combined[0], expected)


def test_without_execution_the_neural_side_speaks() -> None:
    mixture = Mixture()
    logits, executed, share, signals = inputs()
    mixed = mixture(logits, executed, share, signals)
    assert mixed.gate[2] == 0
    torch.testing.assert_close(mixed.combined[2], logits[2].softmax(-1))
    empty = mixture(logits, executed[:, :0], share[:, :0], signals)
    torch.testing.assert_close(empty.combined, logits.softmax(-1))


def test_signals_have_their_names_number() -> None:
    logits, executed, share, signals = inputs()
    assert Mixture.signals(logits, executed, share, signals).shape == (3, len(GATE_SIGNALS))


def test_power_sharpens_and_temperature_softens() -> None:
    mixture = Mixture()
    with torch.no_grad():
        mixture.log_power.fill_(1.0)
        mixture.log_temperature.fill_(2.0)
    mixed = mixture(*inputs())
    assert mixed.executed[0, 0] > 0.9
    assert mixed.neural[0, 0] < 0.45
