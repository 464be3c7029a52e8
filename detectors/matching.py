"""Assignment of true boxes to anchors or proposals, and balanced sampling, for whole batches.

Legend: B pictures, N references (anchors or proposals) a picture, M true boxes a picture (padded).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from detectors.boxes import box_iou

__all__ = ["Matches", "match_boxes", "sample_balanced"]


class Matches(NamedTuple):
    """Result of `match_boxes`; all (B, N)."""

    true_index: Tensor
    """The true box with the largest overlap, int64."""
    overlap: Tensor
    """That overlap."""
    positive: Tensor
    """bool: learns to be the true box `true_index`."""
    negative: Tensor
    """bool: learns to be background. References that are neither are ignored."""


def match_boxes(
    references: Tensor,
    true_boxes: Tensor,
    true_mask: Tensor,
    *,
    low: float,
    high: float,
    allow_low_quality: bool = False,
) -> Matches:
    """Match references to true boxes by overlap (Ren et al. 2015, section 3.1.2).

    A reference is positive from overlap `high` on and negative below `low`. With
    `allow_low_quality` every true box also takes the references that overlap it most, ties
    included (detectron2 `Matcher`).

    Args:
        references: (N, 4) or (B, N, 4).
        true_boxes: (B, M, 4), padded.
        true_mask: (B, M) bool, False on padding.
        low: see above.
        high: see above.
        allow_low_quality: see above.
    """
    if references.dim() == 2:
        references = references[None]
    batch, count = true_boxes.shape[0], references.shape[1]
    if true_boxes.shape[1] == 0:
        zeros = true_boxes.new_zeros(batch, count)
        return Matches(zeros.long(), zeros, zeros.bool(), ~zeros.bool())
    overlaps = box_iou(references, true_boxes).masked_fill_(~true_mask[:, None, :], 0.0)
    best, index = overlaps.max(dim=2)
    positive = best >= high
    negative = best < low
    if allow_low_quality:
        best_per_true = overlaps.amax(dim=1, keepdim=True).clamp(min=1e-6)
        rescued = (overlaps >= best_per_true).any(dim=2)
        positive = positive | rescued
        negative = negative & ~rescued
    return Matches(index, best, positive, negative)


def sample_balanced(
    positive: Tensor,
    negative: Tensor,
    *,
    count: int,
    positive_fraction: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw up to `count` references per picture, at most a fraction of them positive.

    Negatives fill up what positives leave (Ren et al. 2015, section 3.1.3; detectron2
    `subsample_labels`).

    Args:
        positive: (B, N) bool.
        negative: (B, N) bool, disjoint from `positive`.
        count: references drawn per picture.
        positive_fraction: largest share of positives.
        generator: source of randomness.

    Returns:
        Indices (B, count) int64 and (B, count) bool, False where a picture has too few; drawn
        positives come first.
    """
    count = min(count, positive.shape[1])
    noise = torch.rand(positive.shape, generator=generator)
    limit = int(count * positive_fraction)
    key = torch.where(positive, noise + 2, torch.where(negative, noise + 1, -noise))
    if limit < count:
        quota, candidates = torch.where(positive, noise, -1.0).topk(min(limit + 1, count), dim=1)
        if quota.shape[1] > limit:
            threshold = quota[:, limit : limit + 1]
            surplus = positive & (noise <= threshold) & (threshold >= 0)
            key = torch.where(surplus, -noise, key)
        del candidates
    best, index = key.topk(count, dim=1)
    return index, best >= 1
