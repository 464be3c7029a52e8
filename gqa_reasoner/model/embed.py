"""Embeddings: what turns words, regions and patches into the trunk's tokens.

Legend: B batch, T text length, V regions or patches, D width, F feature size, G box numbers.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["PatchEmbedding", "RegionEmbedding", "TextEmbedding"]


class TextEmbedding(nn.Module):
    """Word + position + segment, then perhaps norm and dropout.

    Args:
        vocabulary: number of words.
        positions: longest text; 0: no absolute positions.
        segments: number of segment ids; 0: none.
        norm: whether a layer norm follows.
        padding: RoBERTa's counting: positions of real words start at `padding` + 1 and padding
            keeps `padding`; None: 0, 1, 2, ….
        fixed_first: row 0 of every table never learns (LXMERT).
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        *,
        positions: int = 512,
        segments: int = 0,
        norm: bool = True,
        epsilon: float = 1e-12,
        padding: int | None = None,
        fixed_first: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        still = 0 if fixed_first else None
        self.words = nn.Embedding(vocabulary, width, padding_idx=still)
        self.positions = nn.Embedding(positions, width, padding_idx=still) if positions else None
        self.segments = nn.Embedding(segments, width, padding_idx=still) if segments else None
        self.norm = nn.LayerNorm(width, epsilon) if norm else None
        self.padding = padding
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, segments: Tensor | None = None, offset: int = 0) -> Tensor:
        """(B, T) word ids and segment ids to (B, T, D); `offset`: words before these."""
        return self.finish(self.sum(ids, segments, offset))

    def sum(self, ids: Tensor, segments: Tensor | None = None, offset: int = 0) -> Tensor:
        """The sum before norm and dropout."""
        total = self.words(ids)
        if self.segments is not None:
            total = total + self.segments(torch.zeros_like(ids) if segments is None else segments)
        if self.positions is None:
            return total
        if self.padding is None:
            place = torch.arange(offset, offset + ids.shape[1], device=ids.device)[None]
        else:
            real = (ids != self.padding).long()
            place = (real.cumsum(dim=1) + offset) * real + self.padding
        return total + self.positions(place)

    def finish(self, total: Tensor) -> Tensor:
        """Norm and dropout."""
        return self.dropout(total if self.norm is None else self.norm(total))


class RegionEmbedding(nn.Module):
    """Region features and boxes.

    Args:
        style: how the two meet. `mean`: (norm(Wf) + norm(Wb)) / 2 (LXMERT); `sum`:
            norm(Wf + Wb) (Unicoder-VL); `feature`: Wf + segment + position, no boxes, the norm
            being the text's (VisualBERT).
        box_size: G; 4 corners, or 5 with the area.
        segments, positions: for `feature`.
    """

    def __init__(
        self,
        feature_size: int,
        width: int,
        *,
        style: Literal["mean", "sum", "feature"] = "sum",
        box_size: int = 5,
        epsilon: float = 1e-12,
        segments: int = 0,
        positions: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.style = style
        self.features = nn.Linear(feature_size, width)
        self.boxes = nn.Linear(box_size, width) if style != "feature" else None
        self.norm = nn.LayerNorm(width, epsilon) if style != "feature" else None
        self.box_norm = nn.LayerNorm(width, epsilon) if style == "mean" else None
        self.segments = nn.Embedding(segments, width) if segments else None
        self.positions = nn.Embedding(positions, width) if positions else None
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, features: Tensor, boxes: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """(B, V, F) and (B, V, G) to (B, V, D)."""
        found = self.features(features)
        if self.segments is not None and self.positions is not None:
            if segments is None:
                segments = torch.ones(features.shape[:2], dtype=torch.long, device=found.device)
            place = torch.zeros(features.shape[:2], dtype=torch.long, device=found.device)
            return found + self.segments(segments) + self.positions(place)
        if self.norm is None or self.boxes is None:
            return self.dropout(found)
        if self.box_norm is not None:
            return self.dropout((self.norm(found) + self.box_norm(self.boxes(boxes))) / 2)
        return self.dropout(self.norm(found + self.boxes(boxes)))


class PatchEmbedding(nn.Module):
    """Square patches, a class token before them, learned positions (Dosovitskiy et al. 2021).

    Args:
        norm: whether a layer norm follows (CLIP).
    """

    def __init__(
        self,
        width: int,
        *,
        image_size: int,
        patch_size: int,
        channels: int = 3,
        bias: bool = True,
        norm: bool = False,
        epsilon: float = 1e-5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.side = image_size // patch_size
        self.patches = nn.Conv2d(channels, width, patch_size, patch_size, bias=bias)
        self.first = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.zeros(self.side**2 + 1, width))
        self.norm = nn.LayerNorm(width, epsilon) if norm else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, height, width) to (B, 1 + patches, D).

        Pictures of another size than the trained one get bilinearly interpolated positions.
        """
        found = self.patches(pixels)
        rows, columns = found.shape[-2:]
        place = self.positions[1:]
        if (rows, columns) != (self.side, self.side):
            grid = place.T.unflatten(1, (self.side, self.side))[None]
            grid = nn.functional.interpolate(
                grid, size=(rows, columns), mode="bilinear", align_corners=True
            )
            place = grid[0].flatten(1).T
        tokens = found.flatten(2).transpose(1, 2) + place
        first = (self.first + self.positions[0]).expand(len(pixels), 1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        return self.dropout(tokens if self.norm is None else self.norm(tokens))
