"""What a decoded caption may say: special words, lengths, no n-gram twice.

Legend: B pictures, K beams or samples of a picture, T words said so far, W vocabulary.
Lengths count words, not the end word. Every caption ends in the end word, whose log-probability
counts; at the maximum length it is the only choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from detectors.errors import InputError

__all__ = ["Hypothesis", "Rules"]


@dataclass(frozen=True)
class Hypothesis:
    """One decoded caption: word ids without start and end, and the model's own scores."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    """One per word and a last one for the end word, before any rule."""
    score: float
    """What it was ranked by."""

    @property
    def total(self) -> float:
        """The caption's log-probability."""
        return math.fsum(self.log_probabilities)


@dataclass(frozen=True)
class Rules:
    """The limits of decoding."""

    start: int
    end: int
    forbidden: tuple[int, ...] = field(default=())
    """Words never said (padding, unknown, mask, …)."""
    min_length: int = 1
    max_length: int = 20
    no_repeat: int = 0
    """No n-gram of this many words occurs twice in a caption; 0: no such rule."""

    def __post_init__(self) -> None:
        if self.min_length < 0 or self.max_length < max(1, self.min_length):
            raise InputError(
                "decoding: expected 0 <= min length <= max length and a max length of at least 1, "
                f"got {self.min_length} and {self.max_length}"
            )
        if self.no_repeat < 0:
            raise InputError(f"decoding: no-repeat: expected 0 or more, got {self.no_repeat}")
        if self.end in self.forbidden:
            raise InputError("decoding: the end word cannot be forbidden")

    def restrict(self, scores: Tensor, said: Tensor) -> Tensor:
        """Forbid words in place: minus infinity where a word may not follow.

        Where the rules leave nothing to say, the caption ends: the end word keeps its score.

        Args:
            scores: (B, K, W) scores of the next word.
            said: (B, K, T) words said so far.
        """
        length = said.shape[-1]
        end = scores[..., self.end].clone()
        if length >= self.max_length:
            scores.fill_(-torch.inf)
            scores[..., self.end] = end
            return scores
        if self.forbidden:
            scores[..., list(self.forbidden)] = -torch.inf
        if 0 < self.no_repeat <= length:
            _forbid_repeats(scores, said, self.no_repeat)
            scores[..., self.end] = end
        if length < self.min_length:
            scores[..., self.end] = -torch.inf
            stuck = (scores == -torch.inf).all(dim=-1)
            scores[..., self.end] = torch.where(stuck, end, scores[..., self.end])
        return scores


def _forbid_repeats(scores: Tensor, said: Tensor, size: int) -> None:
    """Minus infinity at each word that followed the last `size - 1` words before."""
    followers = said[..., size - 1 :]
    if size == 1:
        seen = torch.ones_like(followers, dtype=torch.bool)
    else:
        windows = said.unfold(-1, size - 1, 1)  # (B, K, T - size + 2, size - 1)
        seen = (windows[..., :-1, :] == windows[..., -1:, :]).all(dim=-1)
    if bool(seen.any()):
        # A word that was not seen points at a spare last column.
        spare = torch.full_like(followers, scores.shape[-1])
        wide = scores.new_zeros(*scores.shape[:-1], scores.shape[-1] + 1)
        wide.scatter_(-1, torch.where(seen, followers, spare), -torch.inf)
        scores += wide[..., :-1]
