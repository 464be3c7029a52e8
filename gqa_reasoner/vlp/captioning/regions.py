"""Boxes on a picture as a bias on the cells of its feature grid.

Legend: N boxes, V cells = rows x columns. A box is (left, top, right, bottom) in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.model.masks import FORBIDDEN

__all__ = ["cell_bias"]

Box = Sequence[float]


def cell_bias(
    boxes: Sequence[Box], size: tuple[int, int], grid: tuple[int, int], *, source: str = "boxes"
) -> Tensor:
    """(N, V): the log of how much of each cell a box covers, `FORBIDDEN` where it covers none.

    The shares are relative to the best covered cell, so a box smaller than a cell sees that cell.

    Args:
        boxes: parts outside the picture are cut off.
        size: the picture's width and height.
        grid: rows and columns.
        source: begins the error line.

    Raises:
        InputError: not four finite numbers, no area, or a box outside the picture.
    """
    width, height = size
    rows, columns = grid
    shares = []
    for number, box in enumerate(boxes):
        where = f"{source}: box {number}"
        if len(box) != 4 or not all(
            isinstance(value, int | float) and math.isfinite(value) for value in box
        ):
            raise InputError(f"{where}: expected four numbers left, top, right, bottom, got {box}")
        left, right = max(box[0], 0), min(box[2], width)
        top, bottom = max(box[1], 0), min(box[3], height)
        if right <= left or bottom <= top:
            raise InputError(
                f"{where}: expected left < right and top < bottom inside {width} x {height} "
                f"pixels, got {list(box)}"
            )
        across = _overlap(left * columns / width, right * columns / width, columns)
        down = _overlap(top * rows / height, bottom * rows / height, rows)
        share = (down[:, None] * across[None, :]).flatten()
        shares.append(share / share.max())
    covered = torch.stack(shares) if shares else torch.zeros(0, rows * columns)
    return torch.where(covered > 1e-4, covered.clamp(min=1e-4).log(), torch.tensor(FORBIDDEN))


def _overlap(start: float, stop: float, cells: int) -> Tensor:
    """(cells,) how much of each unit cell the interval covers."""
    edge = torch.arange(cells, dtype=torch.float32)
    return ((edge + 1).clamp(max=stop) - edge.clamp(min=start)).clamp(min=0)
