"""The calibrated mixture of the neural and the executed answer distribution.

    P(answer) = g · executed^a / Σ executed^a + (1 − g) · softmax(logits / t)

Legend: B questions, A answers, K executed answers. The gate g is a small network over confidence
signals; g, a and t are fitted on pictures that the trunk was not trained on, since on its own
training pictures the trunk looks better than it is.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["GATE_SIGNALS", "Mixed", "Mixture"]

GATE_SIGNALS = (
    "parse score",
    "least step truth",
    "doubt of the step truths",
    "detector score of the pointed objects",
    "number of objects",
    "executor's doubt",
    "executed top share",
    "executed margin",
    "executed entropy",
    "neural top share",
    "neural entropy",
    "neural share of the executed answer",
    "executed share of the neural answer",
    "executed answer outside the vocabulary",
)


class Mixed(NamedTuple):
    """`gate` (B,) is the executor's weight, 0 where nothing was executed."""

    gate: Tensor
    neural: Tensor
    """(B, A) probabilities."""
    executed: Tensor
    """(B, K) probabilities of the executed answers, in their order."""
    combined: Tensor
    """(B, A); executed answers outside the vocabulary are not in it, so rows may sum to less."""


class Mixture(nn.Module):
    """Gate, temperature and power; about three hundred numbers.

    Args:
        enabled: False closes the gate, so that the neural side answers alone.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, enabled: bool = True) -> None:
        super().__init__()
        self.enabled = enabled
        size = len(GATE_SIGNALS)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        self.log_power = nn.Parameter(torch.zeros(()))
        verdict = nn.Linear(16, 1)
        nn.init.zeros_(verdict.weight)
        nn.init.zeros_(verdict.bias)
        self.gate = nn.Sequential(nn.Linear(size, 16), nn.Tanh(), verdict)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def forward(self, logits: Tensor, executed: Tensor, share: Tensor, signals: Tensor) -> Mixed:
        """Combine.

        Args:
            logits: (B, A) neural answer logits.
            executed: (B, K) answer ids; -1 outside the vocabulary, -2 padding.
            share: (B, K) executed probabilities.
            signals: (B, 6) from `encode`.
        """
        neural = (logits / self.log_temperature.exp()).softmax(dim=-1)
        if executed.shape[1] == 0:
            executed = executed.new_full((len(logits), 1), -2)
            share = share.new_zeros(len(logits), 1)
        real = executed > -2
        power = share.clamp(min=1e-6).pow(self.log_power.exp()).masked_fill(~real, 0)
        execution = power / power.sum(dim=-1, keepdim=True).clamp(min=1e-9)
        inputs = (self.signals(logits, executed, share, signals) - self.mean) / self.deviation
        gate = torch.sigmoid(self.gate(inputs).squeeze(-1)) * real.any(dim=-1)
        gate = gate if self.enabled else gate * 0
        inside = execution.masked_fill(executed < 0, 0) * gate[:, None]
        combined = (neural * (1 - gate)[:, None]).scatter_add(1, executed.clamp(min=0), inside)
        return Mixed(gate, neural, execution, combined)

    @staticmethod
    def signals(logits: Tensor, executed: Tensor, share: Tensor, signals: Tensor) -> Tensor:
        """(B, 14) the gate's inputs, see `GATE_SIGNALS`."""
        neural = logits.softmax(dim=-1)
        top, best = neural.max(dim=-1)
        padded = nn.functional.pad(share, (0, 2))
        margin = padded[:, 0] - padded[:, 1]
        first = executed[:, 0]
        agreed = neural.gather(1, first.clamp(min=0)[:, None]).squeeze(1) * (first >= 0)
        returned = (share * (executed == best[:, None])).sum(dim=-1)
        measured = [
            padded[:, 0],
            margin,
            _entropy(share),
            top,
            _entropy(neural),
            agreed,
            returned,
            (first == -1).float(),
        ]
        return torch.cat([signals, torch.stack(measured, dim=-1)], dim=-1)


def _entropy(shares: Tensor) -> Tensor:
    return -(shares * shares.clamp(min=1e-9).log()).sum(dim=-1)
