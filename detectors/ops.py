"""Non-maximum suppression and RoIAlign in vectorized torch.

Legend: N boxes, B pictures, R regions, C channels, H x W feature cells, P = (ph, pw) output bins.
Boxes are (x1, y1, x2, y2); regions are (picture index, x1, y1, x2, y2) in picture pixels.
Where a torchvision that imports is installed its compiled kernels are used (`backend="auto"`);
results agree with the plain forms to rounding.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from detectors.boxes import box_area, pairwise_intersection
from detectors.region_pooling import interpolation, pool_dense, pool_windows
from detectors.suppression import keep_unsuppressed, overlapping_pairs

__all__ = ["batched_nms", "nms", "roi_align", "roi_align_grouped"]

Backend = Literal["auto", "torch"]
_NMS_BLOCK = 512
_EXACT_RANGE = 16_384.0
"""Up to here float32 coordinates are exact to a thousandth of a pixel."""
_SHIFTED_IN_FLOAT32 = 1000
"""Up to this many boxes torchvision's shifts round in float32, and so do ours."""
_NMS_COLUMNS = 1024
"""Overlaps are computed in tiles that stay in the processor's cache."""


@lru_cache(maxsize=1)
def _torchvision_ops() -> Any | None:
    """torchvision's operators, or None where they do not import or are not compiled in."""
    try:
        module = importlib.import_module("torchvision.ops")
        module.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except Exception:  # a torchvision built for another torch raises various errors
        return None
    return module


def nms(boxes: Tensor, scores: Tensor, threshold: float, *, backend: Backend = "auto") -> Tensor:
    """Greedy non-maximum suppression.

    Boxes are visited from the highest score down (equal scores: lower index first); a box is kept
    unless its intersection over union with a kept box is above `threshold` (strictly, as in
    torchvision and detectron2).

    Args:
        boxes: (N, 4) float.
        scores: (N,) float.
        threshold: overlap above which the lower box is dropped.
        backend: "torch" forces the plain form.

    Returns:
        Indices (K,) int64 of the kept boxes, from the highest score down.
    """
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    compiled = _torchvision_ops() if backend == "auto" else None
    if compiled is not None:
        return compiled.nms(boxes, scores, threshold)
    order = torch.argsort(scores, descending=True, stable=True)
    if boxes.shape[0] > _NMS_BLOCK:
        pairs = overlapping_pairs(boxes.detach()[order], threshold)
        if pairs is not None:
            return order[keep_unsuppressed(len(order), pairs)]
    kept: list[Tensor] = []
    block_size = 64 if boxes.shape[0] > _NMS_BLOCK else _NMS_BLOCK
    while order.numel():
        block, rest = order[:block_size], order[block_size:]
        block_size = _NMS_BLOCK
        block = block[_greedy_block(boxes[block], threshold)]
        kept.append(block)
        if rest.numel():
            best = boxes[block]
            suppressed = [
                _exceeds(best, boxes[part], threshold).any(dim=0)
                for part in rest.split(_NMS_COLUMNS)
            ]
            rest = rest[~torch.cat(suppressed)]
        order = rest
    return torch.cat(kept)


def _exceeds(first: Tensor, second: Tensor, threshold: float) -> Tensor:
    """Whether the overlap of each pair is above the threshold, bool (N, M)."""
    intersection = pairwise_intersection(first, second)
    union = box_area(first)[:, None] + box_area(second)[None, :]
    union.sub_(intersection)
    return intersection.div_(union) > threshold


def _greedy_block(boxes: Tensor, threshold: float) -> Tensor:
    """Positions kept among `boxes` sorted by score.

    A box is kept iff no kept box before it overlaps it too much. Iterating that rule from "all
    kept" settles row by row, so it reaches the greedy answer after as many rounds as the longest
    chain of suppressions, which is short.
    """
    overlaps = _exceeds(boxes, boxes, threshold).triu_(diagonal=1).float()
    keep = overlaps.new_ones(boxes.shape[0])
    while True:
        updated = (keep @ overlaps == 0).to(overlaps.dtype)
        if torch.equal(updated, keep):
            return keep.nonzero().squeeze(1)
        keep = updated


def batched_nms(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    threshold: float,
    *,
    as_published: bool = False,
    backend: Backend = "auto",
) -> Tensor:
    """Non-maximum suppression within each group (class, pyramid level, picture) separately.

    Every group is moved to a place of its own, so that boxes of different groups cannot overlap
    (the offset trick of torchvision `batched_nms`).

    Args:
        boxes: (N, 4) float.
        scores: (N,) float.
        groups: (N,) int64.
        threshold: overlap above which the lower box is dropped.
        as_published: round as torchvision does, which shifts up to 1,000 boxes in float32 (and
            suppresses group by group beyond that), so that overlaps close to the threshold fall to
            the same side; otherwise shifts never cost accuracy. Boxes must not be negative.
        backend: "torch" forces the plain form.

    Returns:
        Indices (K,) int64 of the kept boxes, from the highest score down.
    """
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    step = boxes.max() + 1
    if not as_published or boxes.shape[0] > _SHIFTED_IN_FLOAT32:
        step = step - boxes.min()
        if float(step) * (float(groups.max()) + 1) > _EXACT_RANGE:
            boxes = boxes.double()
    offsets = groups.to(boxes.dtype) * step
    return nms(boxes + offsets[:, None], scores.to(boxes.dtype), threshold, backend=backend)


def roi_align(
    features: Tensor,
    regions: Tensor,
    output_size: tuple[int, int],
    *,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
    backend: Backend = "auto",
) -> Tensor:
    """RoIAlign (He et al. 2017, section 3): average of bilinear samples per output bin.

    `aligned=True` shifts by half a cell, so that pixel centres lie at integer + 0.5 (detectron2
    `ROIAlignV2`); `aligned=False` is the first published form, which also widens regions to at
    least one cell (torchvision Faster R-CNN). `sampling_ratio=0` takes ceil(bin size) samples a
    side (adaptive). Samples further than one cell outside the map count as 0; others are clamped
    to the border.

    The sampling grid is a product of rows and columns, so each output is `Wy F Wx^T` with small
    interpolation matrices over the cells that the region touches.

    Args:
        features: (B, C, H, W).
        regions: (R, 5): picture index, x1, y1, x2, y2 in picture pixels.
        output_size: (ph, pw).
        spatial_scale: feature cells per picture pixel.
        sampling_ratio: samples per bin and side; 0 = adaptive.
        aligned: half-cell shift, see above.
        backend: "torch" forces the plain form.

    Returns:
        (R, C, ph, pw), differentiable with respect to `features`.
    """
    compiled = _torchvision_ops() if backend == "auto" else None
    if compiled is not None:
        return compiled.roi_align(
            features, regions, output_size, spatial_scale, sampling_ratio, aligned
        )
    channels, height, width = features.shape[1:]
    if regions.shape[0] == 0:
        return features.sum() * 0 + features.new_zeros(0, channels, *output_size)
    options = (spatial_scale, sampling_ratio, aligned)
    rows = interpolation(regions[:, 2], regions[:, 4], output_size[0], height, *options)
    columns = interpolation(regions[:, 1], regions[:, 3], output_size[1], width, *options)
    pooled = pool_windows(features, regions[:, 0].long(), rows, columns)
    return pooled.permute(0, 3, 1, 2)


def roi_align_grouped(
    features: Tensor,
    boxes: Tensor,
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int = 0,
    aligned: bool = True,
    weight: Tensor | None = None,
) -> Tensor:
    """RoIAlign with the same number of regions in each picture, as one batched matrix product.

    Args:
        features: (B, C, H, W).
        boxes: (B, R, 4) in picture pixels.
        output_size: (ph, pw).
        spatial_scale: feature cells per picture pixel.
        sampling_ratio: samples per bin and side; 0 = adaptive.
        aligned: as in `roi_align`.
        weight: optional (B, R) factor per region, such as 0 to leave a region out.

    Returns:
        (B, R, ph, pw, C), channels last, of the type of `features`.
    """
    batch, count = boxes.shape[:2]
    flat = boxes.reshape(-1, 4)
    height, width = features.shape[2:]
    options = (spatial_scale, sampling_ratio, aligned)
    rows = interpolation(flat[:, 1], flat[:, 3], output_size[0], height, *options)
    columns = interpolation(flat[:, 0], flat[:, 2], output_size[1], width, *options)
    if weight is not None:
        rows = rows * weight.reshape(-1, 1, 1)
    return pool_dense(
        features, rows.view(batch, count, -1, height), columns.view(batch, count, -1, width)
    )
