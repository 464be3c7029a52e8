"""The learning rate and the precision of a training run, for every stage and for the family."""

from __future__ import annotations

import math

from gqa_reasoner.model.frozen import native_bfloat16

__all__ = ["multiplies_in_bfloat16", "warmup_cosine"]


def warmup_cosine(
    step: int,
    *,
    peak: float,
    steps: int,
    warmup_steps: int,
    final_share: float,
    spent: float | None = None,
) -> float:
    """Linear warm-up, then a half cosine down to the final share (Loshchilov & Hutter 2017).

    Args:
        step: from 0.
        peak: the rate after the warm-up.
        final_share: share of the peak that is left at the end.
        spent: share of the cosine that is over, for runs bounded by time; None: the steps tell.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    span = max(steps - warmup_steps, 1)
    progress = min((step - warmup_steps) / span if spent is None else spent, 1.0)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress)))


def multiplies_in_bfloat16(precision: str) -> bool:
    """Whether `precision` means bfloat16 here; `auto`: where the processor multiplies it itself."""
    return native_bfloat16() if precision == "auto" else precision == "bfloat16"
