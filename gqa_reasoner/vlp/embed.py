"""Vision tokens from the features of an image tower, by regions, grid, patches or codes.

Legend: B batch, V cells, F feature width, D width. Cells lie row by row; boxes are
(left, top, right, bottom, area) as shares of the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.dictionary import VisualDictionary

__all__ = ["Hidden", "VisionEmbedding", "VisionTokens", "cell_boxes"]


class VisionTokens(NamedTuple):
    """`tokens` (B, V, D); `codes` (B, V) of the visual dictionary, where there is one; `hidden`
    (B, V) True where the feature was withheld, or None."""

    tokens: Tensor
    codes: Tensor | None
    hidden: Tensor | None


Hidden = Tensor | Callable[[Tensor], Tensor] | None
"""(B, V) True where a feature is withheld, or how to choose that from the codes (B, V)."""


def cell_boxes(grid: tuple[int, int]) -> Tensor:
    """(V, 5) boxes of the cells of a grid of rows and columns."""
    rows, columns = grid
    top = torch.arange(rows).repeat_interleave(columns) / rows
    left = torch.arange(columns).repeat(rows) / columns
    area = torch.full_like(top, 1 / (rows * columns))
    return torch.stack([left, top, left + 1 / columns, top + 1 / rows, area], dim=1)


class VisionEmbedding(nn.Module):
    """Normalised and projected features, plus what the recipe adds.

    * `regions` (Unicoder-VL): the box, projected. The cells of the grid are the regions.
    * `grid` (Pixel-BERT): nothing but the segment; place is what the tower put into the cells.
    * `patches` (ViLT, CLIP): a learned position.
    * `codes` (SOHO): the nearest entry of the visual dictionary, and a learned position.

    All add the vision segment; norm and dropout follow.
    """

    boxes: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = config.sizes
        self.kind = config.vision
        self.feature_norm = nn.LayerNorm(config.tower_width)
        self.features = nn.Linear(config.tower_width, sizes.width)
        self.hidden = nn.Parameter(torch.zeros(sizes.width))
        self.segment = nn.Parameter(torch.zeros(sizes.width))
        self.box = nn.Linear(5, sizes.width) if self.kind == "regions" else None
        self.position = (
            nn.Embedding(config.cells, sizes.width) if self.kind in ("patches", "codes") else None
        )
        self.dictionary = (
            VisualDictionary(sizes.codes, sizes.width) if self.kind == "codes" else None
        )
        self.norm = nn.LayerNorm(sizes.width)
        self.dropout = nn.Dropout(sizes.dropout)
        self.register_buffer("boxes", cell_boxes(config.grid), persistent=False)

    def forward(
        self, features: Tensor, *, hidden: Hidden = None, boxes: Tensor | None = None
    ) -> VisionTokens:
        """Embed the cells of a batch of pictures.

        Args:
            features: (B, V, F).
            hidden: where the feature is withheld (its place is not); see `Hidden`.
            boxes: (B, V, 5); None: the cells of the grid.
        """
        found = self.features(self.feature_norm(features))
        codes = None
        if self.dictionary is not None:
            found, codes = self.dictionary(found)
        if callable(hidden):
            hidden = hidden(codes if codes is not None else features.new_zeros(features.shape[:2]))
        if hidden is not None:
            found = torch.where(hidden[..., None], self.hidden.to(found.dtype), found)
        return VisionTokens(self.finish(found, boxes), codes, hidden)

    def finish(self, found: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Add place and segment; norm and dropout."""
        found = found + self.segment
        if self.box is not None:
            found = found + self.box(self.boxes[None] if boxes is None else boxes)
        if self.position is not None:
            found = found + self.position.weight[None]
        return self.dropout(self.norm(found))
