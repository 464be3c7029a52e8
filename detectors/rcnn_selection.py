"""Which of a picture's regions become objects, in the three published ways.

Legend: R regions, K classes, N chosen objects, D feature size. Background is the last column.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from detectors.boxes import box_iou
from detectors.ops import batched_nms, nms
from detectors.rcnn_config import RCNNConfig

__all__ = ["Selected", "select_by_confidence", "select_per_class", "select_per_region"]


class Selected(NamedTuple):
    """Objects of one picture, best first."""

    boxes: Tensor
    """(N, 4) in pixels of the resized picture."""
    scores: Tensor
    """(N,)."""
    labels: Tensor
    """(N,) int64."""
    probabilities: Tensor
    """(N, K) of the region that the object comes from."""
    features: Tensor
    """(N, D) of that region."""
    attributes: Tensor | None
    """(N, attributes) softmax without "none", as published; None without an attribute head."""
    regions: Tensor
    """(N,) int64: position of the region among the proposals."""


def select_per_class(
    boxes: Tensor,
    probabilities: Tensor,
    features: Tensor,
    attributes: Tensor | None,
    config: RCNNConfig,
) -> Selected:
    """Score threshold, suppression per class, the best N (detectron2 `fast_rcnn_inference`;
    torchvision `RoIHeads.postprocess_detections`, which also drops tiny boxes).

    A region may give several objects, one per class.

    Args:
        boxes: (R, K, 4), clipped.
        probabilities: (R, K + 1).
        features: (R, D).
        attributes: (R, attributes) or None.
        config: thresholds.
    """
    foreground = probabilities[:, :-1]
    finite = torch.isfinite(boxes).all(dim=-1) & torch.isfinite(foreground)
    passed = (foreground > config.score_threshold) & finite
    if config.minimum_box_size > 0:
        sides = boxes[..., 2:] - boxes[..., :2]
        passed &= (sides >= config.minimum_box_size).all(dim=-1)
    regions, labels = passed.nonzero(as_tuple=True)
    candidates, scores = boxes[regions, labels], foreground[regions, labels]
    groups = labels + 1 if config.background_first else labels  # as numbered when published
    keep = batched_nms(candidates, scores, groups, config.nms_thresholds[0], as_published=True)
    keep = keep[: config.maximum_regions]
    chosen = regions[keep]
    return Selected(
        candidates[keep],
        scores[keep],
        labels[keep],
        foreground[chosen],
        features[chosen],
        None if attributes is None else attributes[chosen],
        chosen,
    )


def select_per_region(
    boxes: Tensor,
    probabilities: Tensor,
    features: Tensor,
    attributes: Tensor | None,
    config: RCNNConfig,
) -> Selected:
    """Every region is its best class; suppression across classes; between the fewest and the most
    regions (the selection published with `frcnn-vg-finetuned`).

    The suppression thresholds are tried in order until at least `minimum_regions` remain; the
    last is taken in any case. Arguments as in `select_per_class`.
    """
    scores, labels = probabilities[:, :-1].max(dim=1)
    best = boxes[torch.arange(boxes.shape[0]), labels]
    keep = torch.empty(0, dtype=torch.int64)
    for threshold in config.nms_thresholds:
        keep = nms(best, scores, threshold)[: config.maximum_regions]
        if keep.shape[0] >= config.minimum_regions:
            break
    return Selected(
        best[keep],
        scores[keep],
        labels[keep],
        probabilities[keep, :-1],
        features[keep],
        None if attributes is None else attributes[keep],
        keep,
    )


def select_by_confidence(
    boxes: Tensor,
    probabilities: Tensor,
    features: Tensor,
    attributes: Tensor | None,
    config: RCNNConfig,
) -> Selected:
    """The adaptive selection of bottom-up attention: regions, not classes, are chosen.

    A region's confidence is its best score among the classes whose suppression it survives
    (Anderson et al. 2018, `generate_tsv.py`; overlaps here without its "+ 1"). Regions of at least
    `score_threshold` are kept, but no fewer than `minimum_regions` and no more than
    `maximum_regions` of the most confident. Boxes are the proposals themselves: `boxes` has one
    class column, (R, 1, 4). Other arguments as in `select_per_class`.
    """
    foreground = probabilities[:, :-1]
    confidence = _surviving_scores(boxes[:, 0], foreground, config.nms_thresholds[0])
    order = torch.argsort(confidence, descending=True, stable=True)
    passed = int((confidence >= config.score_threshold).sum())
    keep = order[: min(max(passed, config.minimum_regions), config.maximum_regions)]
    scores, labels = foreground[keep].max(dim=1)
    return Selected(
        boxes[keep, 0],
        scores,
        labels,
        foreground[keep],
        features[keep],
        None if attributes is None else attributes[keep],
        keep,
    )


def _surviving_scores(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """For boxes (R, 4) and scores (R, K) the best score (R,) that survives its class's suppression.

    All classes go through their greedy passes side by side, one rank at a time.
    """
    count, classes = scores.shape
    overlaps = box_iou(boxes, boxes) > threshold
    order = torch.argsort(scores, dim=0, descending=True, stable=True)
    column = torch.arange(classes, device=scores.device)
    dropped = torch.zeros(classes, count, dtype=torch.bool, device=scores.device)
    kept = torch.zeros_like(dropped)
    for row in order:
        alive = ~dropped[column, row]
        kept[column, row] = alive
        dropped |= overlaps[row] & alive[:, None]
    return torch.where(kept.t(), scores, 0).max(dim=1).values if count else scores.new_zeros(0)
