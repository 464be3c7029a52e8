"""ResNet-50, -101 and -152 with frozen normalization, in the forms that detectors are published.

Legend: B pictures, C channels, H x W pixels. Stages are called res2 to res5 (strides 4 to 32).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BLOCKS", "Bottleneck", "FrozenNorm", "NormedConvolution", "ResNet", "make_stage"]

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Bottlenecks of res2 to res5 (He et al. 2016, table 1)."""


class FrozenNorm(nn.Module):
    """Batch normalization with fixed statistics and weights."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        scale = self.weight * (self.running_var + self.epsilon).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)


class NormedConvolution(nn.Conv2d):
    """A convolution without bias, followed by frozen normalization."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        epsilon: float = 1e-5,
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(inputs, outputs, kernel, stride, padding, dilation, bias=False)
        self.norm = FrozenNorm(outputs, epsilon)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return self.norm(super().forward(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut (He et al. 2016, figure 5)."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        stride: int,
        stride_in_1x1: bool,
        dilation: int,
        epsilon: float,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.shortcut: NormedConvolution | None = None
        if inputs != outputs:
            self.shortcut = NormedConvolution(inputs, outputs, 1, stride=stride, epsilon=epsilon)
        self.conv1 = NormedConvolution(inputs, hidden, 1, stride=first, epsilon=epsilon)
        self.conv2 = NormedConvolution(
            hidden, hidden, 3, stride=second, dilation=dilation, epsilon=epsilon
        )
        self.conv3 = NormedConvolution(hidden, outputs, 1, epsilon=epsilon)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        hidden = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return torch.relu(self.conv3(hidden) + shortcut)


def make_stage(
    stage: int,
    blocks: int,
    *,
    stride: int,
    stride_in_1x1: bool,
    dilation: int = 1,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    """Stage `stage` (2 to 5): `blocks` bottlenecks, the first of them strided."""
    outputs = 256 << (stage - 2)
    inputs = 64 if stage == 2 else outputs // 2
    return nn.Sequential(
        *(
            Bottleneck(
                inputs if block == 0 else outputs,
                outputs // 4,
                outputs,
                stride=stride if block == 0 else 1,
                stride_in_1x1=stride_in_1x1,
                dilation=dilation,
                epsilon=epsilon,
            )
            for block in range(blocks)
        )
    )


class ResNet(nn.Module):
    """Stem and the stages up to `last_stage`.

    Args:
        depth: 50, 101 or 152.
        last_stage: 4 (C4 heads) or 5 (pyramids).
        stride_in_1x1: see `RCNNConfig`.
        caffe_max_pool: see `RCNNConfig`.
        epsilon: of the normalization.
    """

    def __init__(
        self,
        depth: int,
        last_stage: int,
        *,
        stride_in_1x1: bool,
        caffe_max_pool: bool = False,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.caffe_max_pool = caffe_max_pool
        self.stem = nn.ModuleDict({"conv1": NormedConvolution(3, 64, 7, stride=2, epsilon=epsilon)})
        self.names = [f"res{stage}" for stage in range(2, last_stage + 1)]
        for stage, name in enumerate(self.names, start=2):
            layer = make_stage(
                stage,
                BLOCKS[depth][stage - 2],
                stride=1 if stage == 2 else 2,
                stride_in_1x1=stride_in_1x1,
                epsilon=epsilon,
            )
            self.add_module(name, layer)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> the maps of res2 to the last stage."""
        x = torch.relu(self.stem["conv1"](pictures))
        if self.caffe_max_pool:
            x = F.max_pool2d(x, 3, stride=2, padding=0, ceil_mode=True)
        else:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        maps = []
        for name in self.names:
            x = getattr(self, name)(x)
            maps.append(x)
        return maps
