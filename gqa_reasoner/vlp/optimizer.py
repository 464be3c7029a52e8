"""AdamW with its groups: what decays, and what learns slower or faster than the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.training_config import TrainingConfig

__all__ = ["FRESH", "make_optimizer"]

FRESH = ("words.", "classes.", "features.", "codes.")
"""Heads that only pre-training reads; a start in closed form leaves them as they were made."""
_SINGLE_SPEED = 10.0


def make_optimizer(model: VisionLanguageModel, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; only matrices decay. Each group has a `speed`, its share of the learning rate:
    `start_share` for all but the fresh heads, 10 for the few single numbers that weigh the parts
    of a pair's score."""
    single = () if model.pair_score is None else model.pair_score.weights()
    special = {id(value) for value in single}
    kept = config.start_share < 1
    groups: list[dict[str, Any]] = []
    for fresh in (True, False) if kept else (True,):
        chosen = [
            value
            for name, value in model.named_parameters()
            if id(value) not in special and (not kept or name.startswith(FRESH) == fresh)
        ]
        speed = 1.0 if fresh else config.start_share
        matrices = [value for value in chosen if value.ndim > 1]
        others = [value for value in chosen if value.ndim <= 1]
        groups.append({"params": matrices, "weight_decay": config.weight_decay, "speed": speed})
        groups.append({"params": others, "weight_decay": 0.0, "speed": speed})
    if single:
        groups.append({"params": list(single), "weight_decay": 0.0, "speed": _SINGLE_SPEED})
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-8)
