"""Box arithmetic: areas, overlaps, clipping, flipping, and the box coder of R-CNN.

Legend: N, M boxes; boxes are (x1, y1, x2, y2) in pixels, x to the right, y downwards, continuous
coordinates (the area of a box is (x2 - x1) * (y2 - y1), no "+ 1").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BoxCoder", "box_area", "box_iou", "clip_boxes", "flip_boxes", "pairwise_intersection"]

MAXIMUM_LOG_SCALE = math.log(1000.0 / 16)
"""Largest |log| size change that is decoded (Detectron's `BBOX_XFORM_CLIP`)."""


def box_area(boxes: Tensor) -> Tensor:
    """Areas (...) of boxes (..., 4); boxes turned inside out have area 0."""
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return size[..., 0] * size[..., 1]


def pairwise_intersection(first: Tensor, second: Tensor) -> Tensor:
    """Intersection areas (..., N, M) of boxes (..., N, 4) with boxes (..., M, 4)."""
    left = torch.maximum(first[..., :, None, 0], second[..., None, :, 0])
    right = torch.minimum(first[..., :, None, 2], second[..., None, :, 2])
    width = right.sub_(left).clamp_(min=0)
    top = torch.maximum(first[..., :, None, 1], second[..., None, :, 1])
    bottom = torch.minimum(first[..., :, None, 3], second[..., None, :, 3])
    return bottom.sub_(top).clamp_(min=0).mul_(width)


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union (..., N, M); 0 where the union is empty."""
    intersection = pairwise_intersection(first, second)
    union = box_area(first)[..., :, None] + box_area(second)[..., None, :] - intersection
    return torch.where(union > 0, intersection / union, torch.zeros_like(union))


def clip_boxes(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes (..., 4) cut at the borders of a picture of `height` x `width` pixels."""
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limit)


def flip_boxes(boxes: Tensor, width: float) -> Tensor:
    """Boxes (..., 4) mirrored left to right in a picture of `width` pixels."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


@dataclass(frozen=True)
class BoxCoder:
    """Regression targets of R-CNN (Girshick et al. 2014, appendix C; Ren et al. 2015, eq. 2).

    `dx = wx (gx - ax) / aw, dy = wy (gy - ay) / ah, dw = ww log(gw / aw), dh = wh log(gh / ah)`
    with centres (x, y) and sizes (w, h) of the reference `a` and the target `g`. `weights` are
    (1, 1, 1, 1) in a proposal network and (10, 10, 5, 5) in a box head (detectron2
    `BBOX_REG_WEIGHTS`, torchvision `bbox_reg_weights`).
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    def encode(self, reference: Tensor, target: Tensor) -> Tensor:
        """Deltas (..., 4) that move `reference` boxes (..., 4) onto `target` boxes (..., 4)."""
        tiny = 1e-6
        reference_size = (reference[..., 2:] - reference[..., :2]).clamp(min=tiny)
        target_size = (target[..., 2:] - target[..., :2]).clamp(min=tiny)
        reference_centre = reference[..., :2] + 0.5 * reference_size
        target_centre = target[..., :2] + 0.5 * target_size
        shift = (target_centre - reference_centre) / reference_size
        scale = torch.log(target_size / reference_size)
        return torch.cat([shift, scale], dim=-1) * reference.new_tensor(self.weights)

    def decode(self, reference: Tensor, deltas: Tensor) -> Tensor:
        """Boxes (..., 4): `reference` boxes (..., 4) moved by `deltas` (..., 4)."""
        deltas = deltas / deltas.new_tensor(self.weights)
        size = reference[..., 2:] - reference[..., :2]
        centre = reference[..., :2] + 0.5 * size
        centre = centre + deltas[..., :2] * size
        half = 0.5 * size * torch.exp(deltas[..., 2:].clamp(max=MAXIMUM_LOG_SCALE))
        return torch.cat([centre - half, centre + half], dim=-1)
