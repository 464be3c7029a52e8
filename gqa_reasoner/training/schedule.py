"""The learning rate and the precision of a training run, for every stage and for the family."""

from __future__ import annotations

import math
from typing import Protocol

from gqa_reasoner.model.frozen import native_bfloat16

__all__ = ["Scheduled", "learning_rate", "multiplies_in_bfloat16"]


class Scheduled(Protocol):
    """The fields of a training configuration that decide its learning rate."""

    @property
    def learning_rate(self) -> float:
        """The rate after the warm-up."""

    @property
    def steps(self) -> int:
        """Steps of the whole run."""

    @property
    def warmup_steps(self) -> int:
        """Steps until the rate is reached."""

    @property
    def final_learning_rate_share(self) -> float:
        """Share of the rate that is left at the end."""


def learning_rate(config: Scheduled, step: int, spent: float | None = None) -> float:
    """Linear warm-up, then a half cosine down to the final share (Loshchilov & Hutter 2017).

    Args:
        step: from 0.
        spent: share of the cosine that is over, for runs bounded by time; None: the steps tell.
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(config.steps - warmup, 1) if spent is None else spent
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    share = config.final_learning_rate_share
    return peak * (share + (1 - share) * cosine)


def multiplies_in_bfloat16(precision: str) -> bool:
    """Whether `precision` means bfloat16 here; `auto`: where the processor multiplies it itself."""
    return native_bfloat16() if precision == "auto" else precision == "bfloat16"
