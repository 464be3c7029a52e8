"""Relations as functions of what is drawn: composed ones from the layout, the others from boxes.

Legend: boxes are (x1, y1, x2, y2) in pixels; owner masks are (240, 320) bool.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gqa_reasoner.tinygqa.items import Item
from gqa_reasoner.tinygqa.stage import full_mask

__all__ = ["above", "hides", "left_of", "near"]

Box = tuple[float, float, float, float]


def _overlap(first: Box, second: Box, axis: int) -> float:
    return min(first[axis + 2], second[axis + 2]) - max(first[axis], second[axis])


def left_of(first: Box, second: Box) -> bool:
    """Whether `first` is clearly to the left of `second`.

    The boxes' horizontal extents overlap by at most a quarter of the narrower one.
    """
    if (first[0] + first[2]) >= (second[0] + second[2]):
        return False
    narrow = min(first[2] - first[0], second[2] - second[0])
    return _overlap(first, second, 0) <= 0.25 * narrow


def near(first: Box, second: Box) -> bool:
    """Whether two boxes stand side by side: gap of at most 9 px, rows mostly shared."""
    gap = -_overlap(first, second, 0)
    low = min(first[3] - first[1], second[3] - second[1])
    return -2 <= gap <= 9 and _overlap(first, second, 1) >= 0.6 * low


def above(first: Box, second: Box) -> bool:
    """Whether `first` hangs or flies right above `second`, at most 60 px higher."""
    narrow = min(first[2] - first[0], second[2] - second[0])
    gap = second[1] - first[3]
    return -3 <= gap <= 60 and _overlap(first, second, 0) >= 0.6 * narrow


def hides(near_items: Sequence[Item], far_item: Item, least: float = 0.08) -> bool:
    """Whether the nearer items visibly cover part of the farther one."""
    far = full_mask(far_item)
    cover = np.zeros_like(far)
    for item in near_items:
        cover |= full_mask(item)
    shared = int((cover & far).sum())
    smaller = min(int(far.sum()), int(cover.sum()))
    return shared >= 40 and shared >= least * smaller
