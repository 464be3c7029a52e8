"""Anchor boxes of a region proposal network.

Legend: A anchors per cell, h x w cells of a pyramid level; boxes (x1, y1, x2, y2) in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["AnchorGenerator", "RoundedAnchorGenerator", "cell_anchors"]


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Anchors (A, 4) around the origin; A = sizes x ratios, size-major.

    An anchor of size s and ratio r has area s^2 and height / width = r (Ren et al. 2015,
    section 3.1.1; the order and unrounded corners are those of detectron2's
    `DefaultAnchorGenerator`).
    """
    boxes = []
    for size in sizes:
        for ratio in ratios:
            width = (size * size / ratio) ** 0.5
            height = ratio * width
            boxes.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(boxes, dtype=torch.float32)


class AnchorGenerator:
    """Anchors of every cell of every pyramid level, computed once per picture size.

    Args:
        sizes: anchor sizes in pixels, one sequence per level.
        ratios: height / width ratios, the same on every level.
        strides: pixels per cell, one per level.
        offset: position of a cell's anchors inside the cell, in cells: 0 puts them at the cell's
            corner (detectron2 and torchvision), 0.5 at its centre.
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float],
        strides: Sequence[int],
        offset: float = 0.0,
    ) -> None:
        self.strides = tuple(strides)
        self.offset = offset
        self.cells = [cell_anchors(level, ratios) for level in sizes]
        self._cache: dict[tuple[tuple[int, int], ...], list[Tensor]] = {}

    def anchors_per_cell(self) -> list[int]:
        """A of each level."""
        return [cell.shape[0] for cell in self.cells]

    def __call__(
        self, shapes: Sequence[tuple[int, int]], size: tuple[int, int] | None = None
    ) -> list[Tensor]:
        """Anchors (h * w * A, 4) per level for feature maps of `shapes` (h, w).

        The order is row, column, anchor, which fits outputs laid out as (h, w, A). `size` is the
        height and width of the padded pictures, which only some variants need.
        """
        key = (*shapes, size or (0, 0))
        if key not in self._cache:
            if len(self._cache) >= 16:
                self._cache.clear()
            self._cache[key] = [
                self._level(shape, self._strides(shape, stride, size), cell)
                for shape, stride, cell in zip(shapes, self.strides, self.cells, strict=True)
            ]
        return self._cache[key]

    def _strides(
        self, shape: tuple[int, int], stride: int, size: tuple[int, int] | None
    ) -> tuple[int, int]:
        """Pixels per cell down and across."""
        return stride, stride

    def _level(self, shape: tuple[int, int], strides: tuple[int, int], cell: Tensor) -> Tensor:
        y = (torch.arange(shape[0], dtype=torch.float32) + self.offset) * strides[0]
        x = (torch.arange(shape[1], dtype=torch.float32) + self.offset) * strides[1]
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        shift = torch.stack([grid_x, grid_y, grid_x, grid_y], dim=-1)
        return (shift[:, :, None, :] + cell).reshape(-1, 4)


class RoundedAnchorGenerator(AnchorGenerator):
    """torchvision's anchors: corners rounded to whole pixels, strides = picture size // map size.

    The strides differ from the nominal ones where a map's size was rounded up, as the coarsest
    level's often is.
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float],
        strides: Sequence[int],
    ) -> None:
        super().__init__(sizes, ratios, strides)
        self.cells = [cell.round() for cell in self.cells]

    def _strides(
        self, shape: tuple[int, int], stride: int, size: tuple[int, int] | None
    ) -> tuple[int, int]:
        if size is None:
            return stride, stride
        return size[0] // shape[0], size[1] // shape[1]
