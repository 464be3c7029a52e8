"""Batches of pictures that a guide confuses, for a reader that learns to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gqa_reasoner.vlp.objectives import Guide

__all__ = ["Groups"]


class Groups:
    """Pictures, each followed by `size` - 1 of those that it is most often confused with.

    Args:
        guide: says which are confused; under cross-fitting they are of the same fold.
        size: pictures of a group.
        near: so many confused pictures are drawn from.
    """

    def __init__(self, guide: Guide, size: int, near: int) -> None:
        self.size = size
        self.near = guide.neighbours(max(near, size - 1)).numpy()

    def drawn(self, leaders: Sequence[int], generator: np.random.Generator) -> list[int]:
        """Groups of the leaders and companions drawn at random."""
        return self._joined(
            leaders,
            [
                generator.choice(self.near[leader], self.size - 1, replace=False)
                for leader in leaders
            ],
        )

    def nearest(self, leaders: Sequence[int]) -> list[int]:
        """Groups of the leaders and their nearest."""
        return self._joined(leaders, [self.near[leader, : self.size - 1] for leader in leaders])

    @staticmethod
    def _joined(leaders: Sequence[int], companions: Sequence[np.ndarray]) -> list[int]:
        return [
            int(row)
            for leader, others in zip(leaders, companions, strict=True)
            for row in (leader, *others)
        ]
