"""Dropout with a cheap mask on the processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ByteDropout"]

_LEVELS = 256
_LEAST = -(2**63)


class ByteDropout(nn.Dropout):
    """`nn.Dropout` (Srivastava et al. 2014) that decides each place by one random byte.

    torch draws one number a place, which is a seventh of a training step of a small trunk. Here a
    draw of 64 bits serves eight places. The share that is dropped is the nearest multiple of
    1/256 to `p` (0.1: 26/256), and the rest is scaled by that share, so that means are kept.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape."""
        kept = round((1 - self.p) * _LEVELS)
        plain = values.device.type != "cpu" or self.inplace or not 0 < kept < _LEVELS
        if not self.training or plain:
            return super().forward(values)
        draws = torch.empty((values.numel() + 7) // 8, dtype=torch.int64).random_(_LEAST, None)
        mask = draws.view(torch.uint8)[: values.numel()].view(values.shape) < kept
        return values * mask.to(values.dtype).mul_(_LEVELS / kept)
