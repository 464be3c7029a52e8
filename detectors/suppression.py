"""Greedy suppression of many boxes through the few pairs that overlap.

Legend: N boxes sorted by score, E pairs. Boxes are (x1, y1, x2, y2).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["keep_unsuppressed", "overlapping_pairs"]

_ROWS = 128
"""Boxes compared at once; the buffers stay in the processor's cache."""
_MOST_PAIRS = 4_000_000
_NEARLY = 1 - 1e-5
"""Pairs this close to the threshold are decided by the exact quotient."""


def overlapping_pairs(boxes: Tensor, threshold: float) -> Tensor | None:
    """Pairs (2, E) with intersection over union above `threshold`, the lower index first.

    An overlap above t needs a common width of at least t times either width, so a box can only
    meet boxes whose left edge lies less than (1 - t) widths to the right of its own: boxes are
    swept from left to right. Returns None where more pairs overlap than are worth listing.
    """
    order = torch.argsort(boxes[:, 0], stable=True)
    x1, y1, x2, y2 = boxes[order].unbind(1)
    x1, y1, x2, y2 = (side.contiguous() for side in (x1, y1, x2, y2))
    width, height = (x2 - x1).clamp(min=0), (y2 - y1).clamp(min=0)
    area = width * height
    share = area * (threshold / (1 + threshold) * _NEARLY)
    reach = x1 + width * (1 - threshold) * (2 - _NEARLY) + x1.abs() * 1e-6 + 1e-3
    count = len(boxes)
    found, total = [], 0
    for start in range(0, count, _ROWS):
        rows = slice(start, min(start + _ROWS, count))
        end = int(torch.searchsorted(x1, reach[rows].max(), right=True))
        columns = slice(start, max(end, rows.stop))
        shared = torch.minimum(x2[rows, None], x2[columns])
        shared.sub_(torch.maximum(x1[rows, None], x1[columns])).clamp_(min=0)
        tall = torch.minimum(y2[rows, None], y2[columns])
        tall.sub_(torch.maximum(y1[rows, None], y1[columns])).clamp_(min=0)
        shared.mul_(tall)
        above = shared > torch.add(share[rows, None], share[columns], out=tall)
        above[:, : rows.stop - start].triu_(diagonal=1)
        pair = above.nonzero()
        total += len(pair)
        if total > _MOST_PAIRS:
            return None
        common = shared[pair[:, 0], pair[:, 1]]
        pair = pair + start
        union = area[pair[:, 0]] + area[pair[:, 1]] - common
        found.append(order[pair[common / union > threshold]])
    pairs = torch.cat(found).sort(dim=1).values
    return pairs.t()


def keep_unsuppressed(count: int, pairs: Tensor) -> Tensor:
    """Which of `count` boxes a greedy pass keeps, bool (count,).

    A box is kept iff no kept box before it overlaps it too much. Iterating that rule from "all
    kept" settles box by box, so it reaches the greedy answer after as many rounds as the longest
    chain of suppressions, which is short.
    """
    first, second = pairs
    keep = torch.ones(count, dtype=torch.bool, device=pairs.device)
    while True:
        updated = torch.ones_like(keep)
        updated[second[keep[first]]] = False
        if torch.equal(updated, keep):
            return keep
        keep = updated
