"""Region heads: pooling from a pyramid, the shared box head, class and box predictors.

Legend: B pictures, R regions a picture, C classes (background is index C, the last), D feature
size, P pooled cells a side; boxes (x1, y1, x2, y2) in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.boxes import BoxCoder, box_area, clip_boxes
from detectors.matching import match_boxes, sample_balanced
from detectors.ops import roi_align_grouped

__all__ = [
    "BoxHead",
    "BoxPredictor",
    "PyramidPooler",
    "RegionSample",
    "box_losses",
    "sample_regions",
]


class PyramidPooler(nn.Module):
    """RoIAlign from the pyramid level that fits each region.

    Level k = floor(k0 + log2(sqrt(area) / canonical size)), cut to the levels there are, with k0
    the level of stride 16 (Lin et al. 2017, equation 1).
    """

    def __init__(
        self,
        output_size: int,
        sampling_ratio: int,
        canonical_size: float,
        strides: Sequence[int],
        *,
        aligned: bool = True,
        level_shift: float = 0.0,
    ) -> None:
        super().__init__()
        self.level_shift = level_shift
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.canonical_size = canonical_size
        self.strides = tuple(strides)
        self.aligned = aligned

    def assign(self, boxes: Tensor) -> Tensor:
        """Position in `strides` of the level of each box (...)."""
        size = box_area(boxes).clamp(min=1e-6).sqrt()
        first = self.strides[0].bit_length() - 1
        exact = 4 + torch.log2(size / self.canonical_size + 1e-8) + self.level_shift
        level = torch.floor(exact).long()
        return (level - first).clamp(0, len(self.strides) - 1)

    def forward(self, levels: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Levels (B, C, h, w) and boxes (B, R, 4) -> (B, R, P, P, C)."""
        assigned = self.assign(boxes)
        batch, count = assigned.shape
        size, channels = self.output_size, levels[0].shape[1]
        pooled = levels[0].new_zeros(batch * count, size, size, channels)
        first_row = torch.arange(batch)[:, None] * count
        for position, (level, stride) in enumerate(zip(levels, self.strides, strict=True)):
            member = assigned == position
            most = int(member.sum(dim=1).max()) if count else 0
            if most == 0:
                continue
            index = member.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
            part = roi_align_grouped(
                level,
                boxes.gather(1, index[..., None].expand(-1, -1, 4)),
                (size, size),
                spatial_scale=1 / stride,
                sampling_ratio=self.sampling_ratio,
                aligned=self.aligned,
                weight=member.gather(1, index).to(boxes.dtype),
            )
            pooled = pooled.index_add(0, (first_row + index).flatten(), part.flatten(0, 1))
        return pooled.view(batch, count, size, size, channels)


class BoxHead(nn.Module):
    """Two fully connected layers over the pooled cells; their output is the region feature."""

    def __init__(self, channels: int, pooled_size: int, feature_size: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels * pooled_size**2, feature_size)
        self.second = nn.Linear(feature_size, feature_size)
        for layer in (self.first, self.second):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, R, P, P, C) -> (B, R, D)."""
        return torch.relu(self.second(torch.relu(self.first(pooled.flatten(2)))))


class BoxPredictor(nn.Module):
    """Class logits and class-agnostic box deltas of each region."""

    def __init__(self, feature_size: int, classes: int) -> None:
        super().__init__()
        self.classes = nn.Linear(feature_size, classes + 1)
        self.deltas = nn.Linear(feature_size, 4)
        self.coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.normal_(self.deltas.weight, std=0.001)
        nn.init.zeros_(self.classes.bias)
        nn.init.zeros_(self.deltas.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, R, D) -> class logits (B, R, C + 1) and deltas (B, R, 4), float32."""
        return self.classes(features).float(), self.deltas(features).float()


class RegionSample(NamedTuple):
    """Regions that the heads learn from; the first M of each picture stand for its true boxes."""

    boxes: Tensor
    """(B, R, 4)."""
    labels: Tensor
    """(B, R) int64; C is background, -1 is padding."""
    true_index: Tensor
    """(B, R) int64: the true box of a positive region."""


def sample_regions(
    proposals: Sequence[Tensor],
    true_boxes: Tensor,
    true_labels: Tensor,
    true_mask: Tensor,
    *,
    background: int,
    count: int,
    positive_fraction: float,
    jitter: float,
    size: tuple[int, int],
    generator: torch.Generator | None = None,
) -> RegionSample:
    """True boxes, moved by up to `jitter` of their size, and a balanced sample of proposals.

    Proposals are positive from overlap 0.5 on, background below (Girshick 2015, section 2.3; true
    boxes among the regions as in detectron2 `add_ground_truth_to_proposals`).

    Args:
        proposals: per picture (P, 4).
        true_boxes: (B, M, 4), padded.
        true_labels: (B, M) int64.
        true_mask: (B, M) bool.
        background: index of the background class.
        count: proposals drawn per picture.
        positive_fraction: largest share of positives among them.
        jitter: see above.
        size: height and width of the pictures.
        generator: source of randomness.
    """
    batch, objects = true_boxes.shape[:2]
    longest = max(max((part.shape[0] for part in proposals), default=0), 1)
    padded = true_boxes.new_zeros(batch, longest, 4)
    present = torch.zeros(batch, longest, dtype=torch.bool)
    for picture, part in enumerate(proposals):
        padded[picture, : part.shape[0]] = part
        present[picture, : part.shape[0]] = True
    matches = match_boxes(padded, true_boxes, true_mask, low=0.5, high=0.5)
    index, drawn = sample_balanced(
        matches.positive & present,
        matches.negative & present,
        count=count,
        positive_fraction=positive_fraction,
        generator=generator,
    )
    true_index = matches.true_index.gather(1, index)
    labels = torch.full_like(index, background)
    if objects:
        positive = matches.positive.gather(1, index)
        labels = torch.where(positive, true_labels.gather(1, true_index), labels)
    labels = labels.masked_fill(~drawn, -1)
    boxes = padded.gather(1, index[..., None].expand(-1, -1, 4))
    sides = (true_boxes[..., 2:] - true_boxes[..., :2]).repeat(1, 1, 2)
    noise = torch.rand(true_boxes.shape, generator=generator) * 2 - 1
    moved = clip_boxes(true_boxes + noise * sides * jitter, *size)
    return RegionSample(
        torch.cat([moved, boxes], dim=1),
        torch.cat([true_labels.masked_fill(~true_mask, -1), labels], dim=1),
        torch.cat([torch.arange(objects).expand(batch, -1), true_index], dim=1),
    )


def box_losses(
    logits: Tensor,
    deltas: Tensor,
    sample: RegionSample,
    true_boxes: Tensor,
    coder: BoxCoder,
    *,
    background: int,
    label_smoothing: float = 0.0,
) -> dict[str, Tensor]:
    """Class cross-entropy over all regions, L1 box loss over positives; both per region."""
    counted = sample.labels >= 0
    total = counted.sum().clamp(min=1)
    classification = F.cross_entropy(
        logits.flatten(0, 1),
        sample.labels.flatten(),
        ignore_index=-1,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    picture, place = (counted & (sample.labels != background)).nonzero(as_tuple=True)
    target = true_boxes[picture, sample.true_index[picture, place]]
    wanted = coder.encode(sample.boxes[picture, place], target)
    regression = (deltas[picture, place] - wanted).abs().sum()
    return {"class": classification / total, "box": regression / total}
