"""The small residual backbone of the default detector.

Legend: B pictures, H x W pixels; maps are (B, C, H / stride, W / stride).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["ResidualBlock", "SmallResidualNetwork", "convolution"]


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with "same" padding and batch normalization."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = convolution(outputs, outputs, 3)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


class SmallResidualNetwork(nn.Module):
    """Two strided 3x3 convolutions, then four residual stages of strides 4, 8, 16 and 32.

    Args:
        stem_channels: channels of the first convolution (stride 2).
        stage_channels: channels of the four stages.
        stage_blocks: residual blocks of the four stages.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self, stem_channels: int, stage_channels: Sequence[int], stage_blocks: Sequence[int]
    ) -> None:
        super().__init__()
        self.out_channels = tuple(stage_channels)
        self.stem = nn.ModuleList(
            [
                convolution(3, stem_channels, 3, 2),
                convolution(stem_channels, stage_channels[0], 3, 2),
            ]
        )
        stages = []
        inputs = stage_channels[0]
        for position, (channels, blocks) in enumerate(
            zip(stage_channels, stage_blocks, strict=True)
        ):
            layers = []
            for block in range(blocks):
                stride = 2 if position > 0 and block == 0 else 1
                layers.append(ResidualBlock(inputs, channels, stride))
                inputs = channels
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Normalized pictures (B, 3, H, W) -> maps of strides 4, 8, 16 and 32."""
        x = pictures
        for layer in self.stem:
            x = torch.relu(layer(x))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
