"""SOHO's visual dictionary (Huang et al. 2021): the nearest of K embeddings, moved by averages.

Legend: N positions, K entries, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Lookup", "VisualDictionary", "moving_average", "nearest"]


class Lookup(NamedTuple):
    """`tokens` (..., D) are the entries with the gradient of the input; `codes` (...) int64."""

    tokens: Tensor
    codes: Tensor


def nearest(values: Tensor, entries: Tensor) -> Tensor:
    """(N, D) values and (K, D) entries to (N,) the entry at the least Euclidean distance."""
    distance = entries.square().sum(dim=1)[None] - 2 * values @ entries.T
    return distance.argmin(dim=1)


def moving_average(
    sums: Tensor, counts: Tensor, values: Tensor, codes: Tensor, decay: float
) -> tuple[Tensor, Tensor]:
    """One step of the exponential averages (van den Oord et al. 2017, appendix A.1).

    counts <- decay counts + (1 - decay) n;  sums <- decay sums + (1 - decay) sum of the values
    per entry; an entry is sums / counts.

    Args:
        sums: (K, D). counts: (K,). values: (N, D). codes: (N,) the entry of each value.
    """
    chosen = functional.one_hot(codes, len(counts)).to(values.dtype)
    counts = decay * counts + (1 - decay) * chosen.sum(dim=0)
    return decay * sums + (1 - decay) * chosen.T @ values, counts


class VisualDictionary(nn.Module):
    """Entries that follow the values they stand for; gradients pass straight through.

    The first batch sets the entries to values drawn from it. Entries that hardly any value
    chooses any more move to a value of the batch, so that all stay in use.
    """

    entries: Tensor
    sums: Tensor
    counts: Tensor
    filled: Tensor

    def __init__(self, size: int, width: int, decay: float = 0.99, least: float = 0.05) -> None:
        super().__init__()
        self.decay, self.least = decay, least
        self.register_buffer("entries", torch.randn(size, width))
        self.register_buffer("sums", torch.zeros(size, width))
        self.register_buffer("counts", torch.zeros(size))
        self.register_buffer("filled", torch.tensor(False))

    def forward(self, values: Tensor) -> Lookup:
        """(..., D) to entries and codes; in training the entries learn."""
        flat = values.detach().float().flatten(0, -2)
        if self.training and not bool(self.filled):
            self._fill(flat)
        codes = nearest(flat, self.entries)
        tokens = self.entries[codes].view_as(values).to(values.dtype)
        if self.training:
            self._learn(flat, codes)
        return Lookup(values + (tokens - values).detach(), codes.view(values.shape[:-1]))

    def _draw(self, values: Tensor, count: int) -> Tensor:
        return values[torch.randint(len(values), (count,), device=values.device)]

    def _fill(self, values: Tensor) -> None:
        drawn = self._draw(values, len(self.entries))
        noise = 1e-3 * values.std() * torch.randn_like(drawn)
        self.entries.copy_(drawn + noise)
        self.counts.fill_(1.0)
        self.sums.copy_(self.entries)
        self.filled.fill_(True)

    def _learn(self, values: Tensor, codes: Tensor) -> None:
        sums, counts = moving_average(self.sums, self.counts, values, codes, self.decay)
        idle = counts < self.least
        if bool(idle.any()):
            sums[idle] = self._draw(values, int(idle.sum()))
            counts[idle] = 1.0
        self.sums.copy_(sums)
        self.counts.copy_(counts)
        self.entries.copy_(sums / counts[:, None])
