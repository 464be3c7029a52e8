"""Feature pyramid network (Lin et al. 2017, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FeaturePyramid"]


class FeaturePyramid(nn.Module):
    """Top-down pathway with lateral 1x1 and output 3x3 convolutions.

    Args:
        in_channels: channels of the backbone maps, finest first.
        out_channels: channels of every pyramid level.
        plain_levels: this many of the finest levels go without the output convolution, which is
            most of the cost of a pyramid that starts at stride 4.
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: int, plain_levels: int = 0
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList([nn.Conv2d(c, out_channels, 1) for c in in_channels])
        self.output = nn.ModuleList(
            [
                nn.Identity()
                if level < plain_levels
                else nn.Conv2d(out_channels, out_channels, 3, padding=1)
                for level in range(len(in_channels))
            ]
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Backbone maps, finest first -> pyramid levels of the same sizes."""
        merged: list[Tensor] = []
        above: Tensor | None = None
        for lateral, current in zip(reversed(self.lateral), reversed(list(maps)), strict=True):
            level = lateral(current)
            if above is not None:
                level = level + F.interpolate(above, size=level.shape[-2:], mode="nearest")
            above = level
            merged.append(level)
        merged.reverse()
        return [layer(level) for layer, level in zip(self.output, merged, strict=True)]
