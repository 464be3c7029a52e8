"""`Steps`: what decoding asks of a model, and the trunk's own answer to it.

Legend: B pictures, K beams or samples of a picture, W vocabulary, D width. A state starts with
one beam per picture; the first `reorder` widens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel

__all__ = ["Steps", "TrunkSteps", "survivors"]


class Steps(Protocol):
    """A batch that is being decoded: it has read the pictures and the words so far."""

    pictures: int
    device: torch.device

    def step(self, words: Tensor) -> Tensor:
        """Read the newest words (B, K) and return logits (B, K, W) of the next ones.

        The caller may overwrite the result.
        """

    def reorder(self, source: Tensor) -> None:
        """Beam k of picture b goes on from beam `source[b, k]`; (B, K'), also where K' != K."""

    def keep(self, pictures: Tensor) -> None:
        """Go on with these pictures only, in this order.

        Args:
            pictures: indices into the present batch, as `survivors` gives them: a picture stays
                at its place, or comes from the end to the place of one that is done.
        """


def survivors(done: Tensor) -> Tensor:
    """The pictures that go on, the holes filled from the end: no more is moved than must be.

    Args:
        done: (B,) True where a picture is done.
    """
    count = int((~done).sum())
    order = torch.arange(len(done))
    order[:count][done[:count]] = order[count:][~done[count:]]
    return order[:count]


class TrunkSteps:
    """Any plan that writes captions, through the trunk's own `Cache`.

    Each reorder copies the cache of every row, the pictures' keys and values with it;
    `beam_steps.py` does without, and is tested against this one.

    Args:
        features: (B, V, F) of the image tower.
    """

    def __init__(self, model: VisionLanguageModel, features: Tensor) -> None:
        self.model, self.state = model, model.begin_captions(features)
        self.pictures, self.device = features.shape[0], features.device
        self.beams = 1

    def step(self, words: Tensor) -> Tensor:
        """See `Steps`."""
        logits = self.model.caption_step(self.state, words.flatten())
        return logits.unflatten(0, tuple(words.shape))

    def reorder(self, source: Tensor) -> None:
        """See `Steps`."""
        first = torch.arange(self.pictures, device=source.device)[:, None] * self.beams
        self.state.reorder((first + source).flatten())
        self.beams = source.shape[1]

    def keep(self, pictures: Tensor) -> None:
        """See `Steps`."""
        beams = torch.arange(self.beams)
        rows = (pictures[:, None] * self.beams + beams).flatten()
        self.state.reorder(rows.to(self.device))
        self.pictures = len(pictures)
