"""Beam search: the best captions of each picture, batched.

Legend: B pictures still searched, K beams, P finished captions kept, T words so far, W vocabulary.
A caption's rank is log p / length ** alpha, its length counting the end word (alpha 0: plain
log-probability; 1: mean per word). At every step each beam's ending is offered to the picture's
finished captions, and the K best ways to go on become the beams, so the widest beam enumerates
every caption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.rules import Hypothesis, Rules
from gqa_reasoner.vlp.captioning.steps import Steps, survivors

__all__ = ["BeamSettings", "beam_search"]


@dataclass(frozen=True)
class BeamSettings:
    """How wide and how long to search."""

    beams: int = 5
    length_penalty: float = 1.0
    """The power of the length that a caption's log-probability is divided by."""
    count: int = 1
    """Captions returned per picture."""
    stop: Literal["bound", "likely"] = "bound"
    """When a picture is done: when no beam can still win (`bound`), or when none would at its
    present length (`likely`, earlier)."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.beams:
            raise InputError(
                f"beam search: expected 1 <= captions <= beams, got {self.count} captions from "
                f"{self.beams} beams"
            )
        if self.length_penalty < 0:
            raise InputError(
                f"beam search: length penalty: expected 0 or more, got {self.length_penalty}"
            )


@dataclass
class _Pool:
    """Captions: words and log-probabilities (B, P, L), ranks (B, P), lengths with end (B, P)."""

    words: Tensor
    logs: Tensor
    rank: Tensor
    lengths: Tensor

    @classmethod
    def empty(cls, pictures: int, size: int, length: int, device: torch.device) -> _Pool:
        return cls(
            torch.zeros(pictures, size, length, dtype=torch.long, device=device),
            torch.zeros(pictures, size, length, device=device),
            torch.full((pictures, size), -torch.inf, device=device),
            torch.zeros(pictures, size, dtype=torch.long, device=device),
        )

    def offer(self, other: _Pool) -> None:
        """Keep the best of both."""
        size = self.rank.shape[1]
        rank, chosen = torch.cat([self.rank, other.rank], dim=1).topk(size, dim=1)
        wide = chosen[..., None].expand(-1, -1, self.words.shape[-1])
        self.words = torch.cat([self.words, other.words], dim=1).gather(1, wide)
        self.logs = torch.cat([self.logs, other.logs], dim=1).gather(1, wide)
        self.lengths = torch.cat([self.lengths, other.lengths], dim=1).gather(1, chosen)
        self.rank = rank

    def keep(self, pictures: Tensor) -> None:
        """Only these pictures."""
        for name in ("words", "logs", "rank", "lengths"):
            setattr(self, name, getattr(self, name).index_select(0, pictures))

    def hypotheses(self, picture: int) -> list[Hypothesis]:
        """The captions of one picture, best first."""
        found = []
        for k, rank in enumerate(self.rank[picture].tolist()):
            if rank == -torch.inf:
                break
            length = int(self.lengths[picture, k])
            found.append(
                Hypothesis(
                    tuple(self.words[picture, k, : length - 1].tolist()),
                    tuple(self.logs[picture, k, :length].tolist()),
                    rank,
                )
            )
        return found


@torch.inference_mode()
def beam_search(steps: Steps, rules: Rules, settings: BeamSettings) -> list[list[Hypothesis]]:
    """Up to `count` captions per picture, best first (at least one)."""
    search = _Search(steps, rules, settings)
    for length in range(rules.max_length + 1):
        if not search.advance(length):
            break
    return search.results


class _Search:
    """The state of one search."""

    def __init__(self, steps: Steps, rules: Rules, settings: BeamSettings) -> None:
        self.steps, self.rules, self.settings = steps, rules, settings
        self.results: list[list[Hypothesis]] = [[] for _ in range(steps.pictures)]
        self.alive = list(range(steps.pictures))
        count, device = steps.pictures, steps.device
        self.said = torch.zeros(count, 1, 0, dtype=torch.long, device=device)  # (B, K, T)
        self.logs = torch.zeros(count, 1, 0, device=device)  # (B, K, T)
        self.total = torch.zeros(count, 1, device=device)  # (B, K)
        self.newest = torch.full((count, 1), rules.start, device=device)  # (B, K)
        self.pool = _Pool.empty(count, settings.count, rules.max_length + 1, device)

    def advance(self, length: int) -> bool:
        """Say one more word after `length` words; False when every picture is done."""
        if not self.alive:
            return False
        scores = self.steps.step(self.newest).float()
        normaliser = scores.logsumexp(dim=-1)  # (B, K)
        self.rules.restrict(scores, self.said)
        self.pool.offer(self._ended(scores[..., self.rules.end] - normaliser, length))
        if length < self.rules.max_length:
            self._go_on(scores, normaliser)
        self._retire(length + 1)
        return bool(self.alive)

    def _ended(self, end: Tensor, length: int) -> _Pool:
        """Every beam followed by the end word, whose log-probability is `end` (B, K)."""
        room = self.rules.max_length + 1 - length
        words = torch.nn.functional.pad(self.said, (0, room))
        logs = torch.nn.functional.pad(self.logs, (0, room))
        logs[..., length] = end
        rank = (self.total + end) / (length + 1) ** self.settings.length_penalty
        return _Pool(words, logs, rank, torch.full_like(words[..., 0], length + 1))

    def _go_on(self, scores: Tensor, normaliser: Tensor) -> None:
        """Choose the K best continuations of all beams."""
        scores[..., self.rules.end] = -torch.inf
        wanted = self.settings.beams
        each, words = scores.topk(min(wanted, scores.shape[-1]), dim=-1)  # (B, K, J)
        each -= normaliser[..., None]
        total = (self.total[..., None] + each).flatten(1)
        self.total, chosen = total.topk(min(wanted, total.shape[1]), dim=1)
        source = torch.div(chosen, each.shape[-1], rounding_mode="floor")
        self.newest = words.flatten(1).gather(1, chosen)
        log = each.flatten(1).gather(1, chosen)
        wide = source[..., None].expand(-1, -1, self.said.shape[-1])
        said, logs = self.said.gather(1, wide), self.logs.gather(1, wide)
        self.said = torch.cat([said, self.newest[..., None]], dim=-1)
        self.logs = torch.cat([logs, log[..., None]], dim=-1)
        self.steps.reorder(source)

    def _retire(self, length: int) -> None:
        """Write down the pictures that are done and go on with the others."""
        if length > self.rules.max_length:
            done = torch.ones(len(self.alive), dtype=torch.bool)
        else:
            alpha = self.settings.length_penalty
            longest = self.rules.max_length + 1 if self.settings.stop == "bound" else length
            best = self.total.amax(dim=1) / longest**alpha
            done = (self.pool.rank[:, -1] >= best).cpu()
        if not bool(done.any()):
            return
        for place in done.nonzero().flatten().tolist():
            self.results[self.alive[place]] = self.pool.hypotheses(place)
        left = survivors(done)
        self.alive = [self.alive[place] for place in left.tolist()]
        if self.alive:
            self.steps.keep(left)
            left = left.to(self.said.device)
            self.pool.keep(left)
            for name in ("said", "logs", "total", "newest"):
                setattr(self, name, getattr(self, name).index_select(0, left))
