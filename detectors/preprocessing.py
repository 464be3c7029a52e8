"""Pictures as the input of published detectors, in the exact ways that they were published.

Legend: H x W pixels; the result is (B, 3, H, W) float32, normalized and padded with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.rcnn_config import RCNNConfig

__all__ = ["Prepared", "prepare", "resized_size"]


class Prepared(NamedTuple):
    """A batch ready for the network."""

    pictures: Tensor
    """(B, 3, H, W)."""
    sizes: list[tuple[int, int]]
    """(height, width) of each resized picture without padding."""
    scales: list[tuple[float, float]]
    """Factors (down, across) from resized to original pixels."""


def resized_size(height: int, width: int, config: RCNNConfig) -> tuple[int, int]:
    """Height and width after resizing the shorter side to `minimum_side`, the longer at most
    `maximum_side`.

    detectron2 (`ResizeShortestEdge`) rounds to the nearest pixel; torchvision
    (`GeneralizedRCNNTransform`) rounds down.
    """
    if config.resize == "tensor":
        scale = min(
            config.minimum_side / min(height, width), config.maximum_side / max(height, width)
        )
        return int(height * scale), int(width * scale)
    scale = config.minimum_side / min(height, width)
    if height < width:
        new_height, new_width = float(config.minimum_side), scale * width
    else:
        new_height, new_width = scale * height, float(config.minimum_side)
    if max(new_height, new_width) > config.maximum_side:
        scale = config.maximum_side / max(new_height, new_width)
        new_height, new_width = new_height * scale, new_width * scale
    return int(new_height + 0.5), int(new_width + 0.5)


def prepare(pictures: Sequence[PIL.Image.Image], config: RCNNConfig) -> Prepared:
    """Resize, order the colours, normalize, and pad to a common size.

    Padding follows normalization, so padded pixels have the mean colour.
    """
    arrays, sizes, scales = [], [], []
    for picture in pictures:
        size = resized_size(picture.height, picture.width, config)
        arrays.append(_resized_and_normalized(picture, size, config))
        sizes.append(size)
        scales.append((picture.height / size[0], picture.width / size[1]))
    height, width = max(s[0] for s in sizes), max(s[1] for s in sizes)
    if config.size_divisor > 1:
        height = -(-height // config.size_divisor) * config.size_divisor
        width = -(-width // config.size_divisor) * config.size_divisor
    batch = torch.zeros(len(arrays), 3, height, width)
    for row, array in zip(batch, arrays, strict=True):
        row[:, : array.shape[1], : array.shape[2]] = array
    return Prepared(batch, sizes, scales)


def _resized_and_normalized(
    picture: PIL.Image.Image, size: tuple[int, int], config: RCNNConfig
) -> Tensor:
    """(3, H, W) in the order of `input_format`.

    detectron2 resizes bytes and normalizes 0..255; bottom-up attention resizes floats of 0..255
    without smoothing (its Caffe original and the files published for LXMERT alike) and normalizes
    them; torchvision normalizes 0..1 and resizes floats. Each order of arithmetic is kept, for a
    deep network makes rounding visible.
    """
    mean = torch.tensor(config.pixel_mean, dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor(config.pixel_std, dtype=torch.float64).view(3, 1, 1)
    if config.resize == "pillow":
        picture = picture.resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR)
    array = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    if config.input_format == "BGR":
        array = array.flip(0)
    if config.resize == "tensor":
        array = (array / 255 - (mean / 255).float()) / (std / 255).float()
    if config.resize != "pillow":
        array = F.interpolate(array[None], size=size, mode="bilinear", align_corners=False)[0]
    return array if config.resize == "tensor" else (array - mean.float()) / std.float()
