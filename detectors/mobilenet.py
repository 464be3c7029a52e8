"""MobileNetV2 (Sandler et al. 2018, table 2) as a detector's backbone, with published weights.

Legend: B pictures, H x W pixels; maps are (B, C, H / stride, W / stride). The normalization of the
published file is folded into the convolutions, so training never meets its batch statistics.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.errors import InputError
from detectors.exact_state import load_exactly
from detectors.weights_files import read_state_dict

__all__ = ["InvertedResidual", "MobileNetV2", "load_mobilenet"]

_STAGES = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Channels, blocks and stride of the stages after the stem's 16-channel block."""
_MAP_ENDS = (1, 4, 11, 15)
"""The last block of strides 4, 8, 16 and 32."""
_LAST_CHANNELS = 1280


class SameConvolution(nn.Conv2d):
    """A convolution with TensorFlow's "SAME" padding: an odd pixel goes to the right and below."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads: list[int] = []
        for side in (x.shape[-1], x.shape[-2]):
            total = max(kernel - (stride if side % stride == 0 else side % stride), 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, reduce by 1x1; added to the input if alike."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 6 * inputs
        self.residual = stride == 1 and inputs == outputs
        self.expand_1x1 = SameConvolution(inputs, hidden, 1, 1)
        self.conv_3x3 = SameConvolution(hidden, hidden, 3, stride, groups=hidden)
        self.reduce_1x1 = SameConvolution(hidden, outputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        hidden = F.relu6(self.conv_3x3(F.relu6(self.expand_1x1(x))))
        reduced = self.reduce_1x1(hidden)
        return x + reduced if self.residual else reduced


class MobileNetV2(nn.Module):
    """Maps of strides 4, 8, 16 and 32; the last is the 1,280-channel map before the classifier."""

    strides = (4, 8, 16, 32)
    out_channels = (24, 32, 96, _LAST_CHANNELS)

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = nn.ModuleDict(
            {
                "first_conv": SameConvolution(3, 32, 3, 2),
                "conv_3x3": SameConvolution(32, 32, 3, 1, groups=32),
                "reduce_1x1": SameConvolution(32, 16, 1, 1),
            }
        )
        layers, inputs = [], 16
        for outputs, blocks, stride in _STAGES:
            for block in range(blocks):
                layers.append(InvertedResidual(inputs, outputs, stride if block == 0 else 1))
                inputs = outputs
        self.layer = nn.ModuleList(layers)
        self.conv_1x1 = SameConvolution(inputs, _LAST_CHANNELS, 1, 1)
        self.frozen_layers = 0

    def freeze(self, maps: int) -> None:
        """Keep the layers up to the `maps`-th map (0: none, 1: stride 4, …) as they are."""
        self.frozen_layers = _MAP_ENDS[maps - 1] + 1 if maps else 0
        if maps:
            self.conv_stem.requires_grad_(False)
            self.layer[: self.frozen_layers].requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Pictures (B, 3, H, W) of -1..1 -> maps of strides 4, 8, 16 and 32."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_layers):
            x = F.relu6(self.conv_stem["first_conv"](pictures))
            x = self.conv_stem["reduce_1x1"](F.relu6(self.conv_stem["conv_3x3"](x)))
        maps = []
        for position, layer in enumerate(self.layer):
            learned = position >= self.frozen_layers
            with torch.set_grad_enabled(torch.is_grad_enabled() and learned):
                x = layer(x)
            if position in _MAP_ENDS:
                maps.append(x)
        maps[-1] = F.relu6(self.conv_1x1(x))
        return maps


def load_mobilenet(backbone: MobileNetV2, folder: str | Path) -> None:
    """Put the published weights of a Hugging Face `MobileNetV2` folder into `backbone`.

    Raises:
        InputError: files are missing or damaged, or it is another model (names and shapes are
            listed).
    """
    folder = Path(folder)
    config = _read_config(folder / "config.json")
    file = next(
        (folder / n for n in ("model.safetensors", "pytorch_model.bin") if (folder / n).is_file()),
        None,
    )
    if file is None:
        raise InputError(f"{folder}: weights: no model.safetensors and no pytorch_model.bin")
    tensors = {
        name.removeprefix("mobilenet_v2."): value for name, value in read_state_dict(file).items()
    }
    folded = _fold(tensors, float(config.get("layer_norm_eps", 1e-3)), str(file))
    load_exactly(backbone, folded, f"{file}: weights")


def _fold(tensors: dict[str, Tensor], epsilon: float, source: str) -> dict[str, Tensor]:
    """Convolution and normalization of each layer as one convolution with bias."""
    folded = {}
    for name, weight in tensors.items():
        if name.startswith("classifier.") or ".normalization." in name:
            continue
        if not name.endswith(".convolution.weight"):
            raise InputError(f"{source}: weights: unexpected {name}")
        layer = name.removesuffix(".convolution.weight")
        parts = {}
        for part in ("weight", "bias", "running_mean", "running_var"):
            key = f"{layer}.normalization.{part}"
            if key not in tensors:
                raise InputError(f"{source}: weights: missing {key}")
            parts[part] = tensors[key]
        scale = parts["weight"] / (parts["running_var"] + epsilon).sqrt()
        folded[f"{layer}.weight"] = weight * scale[:, None, None, None]
        folded[f"{layer}.bias"] = parts["bias"] - parts["running_mean"] * scale
    return folded


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    wanted = {"depth_multiplier": 1.0, "expand_ratio": 6.0, "tf_padding": True}
    for key, value in wanted.items():
        if not isinstance(config, dict) or config.get(key, value) != value:
            raise InputError(f"{path}: {key}: expected {value}, got {config.get(key)}")
    return config
