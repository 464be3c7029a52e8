"""Greedy decoding and nucleus sampling: one word after the other, no search.

Legend: B pictures, K samples of a picture, T words so far, W vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.rules import Hypothesis, Rules
from gqa_reasoner.vlp.captioning.steps import Steps, survivors

__all__ = ["NucleusSettings", "greedy", "sample"]


@dataclass(frozen=True)
class NucleusSettings:
    """Nucleus sampling (Holtzman et al. 2020): draw from the fewest words that hold `mass`."""

    mass: float = 0.9
    temperature: float = 1.0
    count: int = 1
    """Captions per picture, drawn independently; equal ones are possible."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.mass <= 1:
            raise InputError(f"nucleus: mass: expected above 0 and up to 1, got {self.mass}")
        if not self.temperature > 0:
            raise InputError(f"nucleus: temperature: expected above 0, got {self.temperature}")
        if self.count < 1:
            raise InputError(f"nucleus: captions: expected at least 1, got {self.count}")


def greedy(steps: Steps, rules: Rules) -> list[list[Hypothesis]]:
    """The likeliest word each time: one caption per picture, ranked by its log-probability."""
    return _decode(steps, rules, 1, lambda scores, length, alive: scores.argmax(dim=-1))


def sample(
    steps: Steps, rules: Rules, settings: NucleusSettings, numbers: Sequence[int] | None = None
) -> list[list[Hypothesis]]:
    """`count` captions per picture, best first.

    Args:
        numbers: a number per picture that its draws depend on beside the seed, so that a picture
            gets the same captions in any batch; None: 0, 1, 2, ….
    """
    numbers = range(steps.pictures) if numbers is None else numbers
    shape = (rules.max_length + 1, settings.count)
    draws = torch.from_numpy(
        np.stack([np.random.default_rng([settings.seed, n]).random(shape) for n in numbers])
    )  # (B, T, K)

    def pick(scores: Tensor, length: int, alive: Tensor) -> Tensor:
        chance = (scores.double() / settings.temperature).softmax(dim=-1)
        if settings.mass == 1:
            up_to = chance.cumsum(dim=-1)
            point = draws[alive, length].to(scores.device)[..., None] * up_to[..., -1:]
            return (up_to <= point).sum(dim=-1).clamp(max=chance.shape[-1] - 1)
        chance, order = chance.sort(dim=-1, descending=True, stable=True)
        up_to = chance.cumsum(dim=-1)
        inside = (up_to - chance) < settings.mass
        up_to = (chance * inside).cumsum(dim=-1)
        point = draws[alive, length].to(scores.device)[..., None] * up_to[..., -1:]
        place = (up_to <= point).sum(dim=-1, keepdim=True)
        place = place.minimum(inside.sum(dim=-1, keepdim=True) - 1)
        return order.gather(-1, place)[..., 0]

    found = _decode(steps, rules, settings.count, pick)
    return [sorted(captions, key=lambda one: -one.score) for captions in found]


@torch.inference_mode()
def _decode(
    steps: Steps,
    rules: Rules,
    count: int,
    pick: Callable[[Tensor, int, Tensor], Tensor],
) -> list[list[Hypothesis]]:
    """Say words until every caption has ended; finished pictures leave the batch."""
    total = steps.pictures
    words = torch.full((total, count, rules.max_length + 1), rules.end)
    logs = torch.zeros(total, count, rules.max_length + 1)
    alive = torch.arange(total)
    ended = torch.zeros(total, count, dtype=torch.bool)
    newest = torch.full((total, 1), rules.start)
    for length in range(rules.max_length + 1):
        if not len(alive):
            break
        logits = steps.step(newest)
        if length == 0 and count > 1:
            steps.reorder(torch.zeros(total, count, dtype=torch.long))
            logits = logits.expand(-1, count, -1).clone()
        scores = logits.float()
        normaliser = scores.logsumexp(dim=-1)
        rules.restrict(scores, words[alive, :, :length].to(scores.device))
        chosen = pick(scores, length, alive)
        log = (scores.gather(-1, chosen[..., None])[..., 0] - normaliser).cpu()
        newest = chosen.cpu().masked_fill(ended, rules.end)
        words[alive, :, length] = newest
        logs[alive, :, length] = log.masked_fill(ended, 0.0)
        ended |= newest == rules.end
        left = survivors(ended.all(dim=1))
        if len(left) < len(alive):
            alive, ended, newest = alive[left], ended[left], newest[left]
            if len(alive):
                steps.keep(left)
    return [
        [_hypothesis(words[b, k], logs[b, k], rules) for k in range(count)] for b in range(total)
    ]


def _hypothesis(words: Tensor, logs: Tensor, rules: Rules) -> Hypothesis:
    said = words.tolist()
    length = said.index(rules.end)
    parts = tuple(logs[: length + 1].tolist())
    return Hypothesis(tuple(said[:length]), parts, sum(parts))
