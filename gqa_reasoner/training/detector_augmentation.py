"""Random changes of training pictures that leave the names of what they show alone.

Legend: B pictures, H x W pixels, M true boxes a picture (padded).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.boxes import box_area, clip_boxes
from detectors.faster_rcnn import Targets

__all__ = ["change_light", "change_size"]

_VISIBLE_SHARE = 0.4
"""Objects of which less than this is left in the frame are no longer asked for."""


def change_light(pictures: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Random contrast and brightness per picture, the same for the three colours.

    Pictures (B, 3, H, W) of 0..255 -> float of the same shape.
    """
    count = pictures.shape[0]
    noise = torch.rand(2, count, 1, 1, 1, generator=generator) * 2 - 1
    contrast, shift = 1 + amount * noise[0], 128 * amount * noise[1]
    return ((pictures.float() - 128) * contrast + 128 + shift).clamp_(0, 255)


def change_size(
    pictures: Tensor, targets: Targets, amount: float, generator: torch.Generator
) -> tuple[Tensor, Targets]:
    """Each picture shrunk or enlarged by a random factor, at a random place of its frame.

    The factor is e^u with u uniform in +-log(1 + amount) (scale jitter; Ghiasi et al. 2021,
    section 3). What a shrunk picture leaves free is black, what an enlarged one pushes out is cut.
    Boxes follow; objects that are mostly cut off are taken out of `targets.mask`.

    Args:
        pictures: (B, 3, H, W) of 0..255.
        targets: their truth.
        amount: 0 leaves everything as it is.
        generator: source of randomness.

    Returns:
        Float pictures of the same shape, and the moved truth.
    """
    if amount <= 0:
        return pictures, targets
    height, width = pictures.shape[2:]
    noise = torch.rand(pictures.shape[0], 3, generator=generator)
    scale = torch.exp((noise[:, 0] * 2 - 1) * torch.log(torch.tensor(1 + amount)))
    limits = torch.tensor([width, height], dtype=torch.float32)
    corner = noise[:, 1:] * (1 - scale)[:, None] * limits
    moved = torch.stack(
        [
            _placed(picture, float(factor), corner=(float(x), float(y)))
            for picture, factor, (x, y) in zip(pictures.float(), scale, corner, strict=True)
        ]
    ).contiguous(memory_format=torch.channels_last)
    whole = targets.boxes * scale[:, None, None] + corner.repeat(1, 2)[:, None]
    boxes = clip_boxes(whole, height, width)
    visible = box_area(boxes) >= _VISIBLE_SHARE * box_area(whole).clamp(min=1e-6)
    return moved, targets._replace(boxes=boxes, mask=targets.mask & visible)


def _placed(picture: Tensor, scale: float, *, corner: tuple[float, float]) -> Tensor:
    """A picture (3, H, W) scaled by `scale`, its upper left corner at `corner` of the frame."""
    height, width = picture.shape[1:]
    theta = torch.tensor(
        [
            [1 / scale, 0, (1 - 2 * corner[0] / width - scale) / scale],
            [0, 1 / scale, (1 - 2 * corner[1] / height - scale) / scale],
        ]
    )
    grid = F.affine_grid(theta[None], [1, 3, height, width], align_corners=False)
    small = scale < 1
    source = _shrunk(picture, scale) if small else picture
    return F.grid_sample(source[None], grid, align_corners=False)[0]


def _shrunk(picture: Tensor, scale: float) -> Tensor:
    """A picture without the detail that would flicker at `scale`: averaged down, not up again."""
    height, width = picture.shape[1:]
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    return F.interpolate(picture[None], size, mode="bilinear", antialias=True)[0]
