"""A tower made smaller: cells averaged to a coarser grid, features projected on main components.

Frozen towers give many wide cells (MobileNet 49 × 1,280); averaging them to 4 × 4 and projecting to
512 numbers makes models on top several times faster. Components are scaled by the power -1/4 of
their variance, half way to whitening, so that no few directions rule.

N: pictures, R C: grid of the inner tower, V: cells after averaging, F: inner width, W: new width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.vlp.data.feature_cache import FeatureCache, write_cache
from gqa_reasoner.vlp.tower import ImageTower

__all__ = ["ReducedTower", "Reduction", "reduce_cache"]

_PART = 256
_POWER = -0.25


@dataclass(frozen=True)
class Reduction:
    """A fitted reduction."""

    inner: str
    """Specification of the inner tower, such as "mobilenet:DIR"; may be empty."""
    inner_fingerprint: str
    inner_grid: tuple[int, int]
    grid: tuple[int, int]
    mean: Tensor
    """(F,)"""
    components: Tensor
    """(F, W), scaled."""

    @property
    def fingerprint(self) -> str:
        """Of the inner tower and the numbers here."""
        digest = hashlib.sha256(self.components.numpy().tobytes() + self.mean.numpy().tobytes())
        rows, columns = self.grid
        return f"{self.inner_fingerprint}-{rows}x{columns}-{digest.hexdigest()[:12]}"

    def __call__(self, features: Tensor) -> Tensor:
        """(N, R * C, F) to (N, V, W)."""
        return (_average(features, self.inner_grid, self.grid) - self.mean) @ self.components

    @classmethod
    def fit(
        cls,
        cache: FeatureCache,
        names: Sequence[str],
        *,
        grid: tuple[int, int] = (4, 4),
        width: int = 512,
        inner: str = "",
    ) -> Reduction:
        """Principal components of the averaged cells of the named pictures.

        Raises:
            InputError: fewer cells than components, or a finer grid than the tower's.
        """
        if width < 1 or width > min(cache.width, len(names) * grid[0] * grid[1]):
            raise InputError(f"reduction: width {width}: expected at most {cache.width} and cells")
        if not all(1 <= new <= old for new, old in zip(grid, cache.grid, strict=True)):
            raise InputError(f"reduction: grid {grid}: expected at most {cache.grid}")
        total = torch.zeros(cache.width, dtype=torch.float64)
        square = torch.zeros(cache.width, cache.width, dtype=torch.float64)
        count = 0
        for start in range(0, len(names), _PART):
            rows = _average(cache.rows(names[start : start + _PART]), cache.grid, grid).flatten(
                0, 1
            )
            total += rows.sum(0)
            square += (rows.T @ rows).double()
            count += len(rows)
        mean = total / count
        values, vectors = torch.linalg.eigh(square / count - torch.outer(mean, mean))
        values, vectors = values.flip(0)[:width].clamp(min=1e-8), vectors.flip(1)[:, :width]
        signs = torch.where(vectors.gather(0, vectors.abs().argmax(0)[None])[0] < 0, -1.0, 1.0)
        components = vectors * signs * values.pow(_POWER)
        return cls(
            inner,
            cache.fingerprint,
            cache.grid,
            grid,
            mean.float(),
            components.float().contiguous(),
        )

    def save(self, folder: str | Path) -> None:
        """Write `reduction.json` and `reduction.npz`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "reduction.npz", mean=self.mean.numpy(), components=self.components.numpy()
        )
        record = {
            "inner": self.inner,
            "inner_fingerprint": self.inner_fingerprint,
            "inner_grid": self.inner_grid,
            "grid": self.grid,
        }
        (folder / "reduction.json").write_text(json.dumps(record, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Reduction:
        """Read what `save` wrote.

        Raises:
            InputError: files missing or of another form.
        """
        folder = Path(folder)
        try:
            record = json.loads((folder / "reduction.json").read_text())
            with np.load(folder / "reduction.npz", allow_pickle=False) as arrays:
                mean, components = arrays["mean"], arrays["components"]
            return cls(
                record["inner"],
                record["inner_fingerprint"],
                tuple(record["inner_grid"]),
                tuple(record["grid"]),
                torch.from_numpy(mean),
                torch.from_numpy(components),
            )
        except (OSError, ValueError, KeyError) as error:
            line = " ".join(str(error).split())[:120]
            raise InputError(f"{folder}: no reduced tower there ({line})") from error


class ReducedTower:
    """An inner tower, followed by its reduction."""

    def __init__(self, inner: ImageTower, reduction: Reduction, name: str = "reduced") -> None:
        if inner.fingerprint != reduction.inner_fingerprint:
            raise InputError(
                f"reduced tower: was fitted to tower {reduction.inner_fingerprint}, "
                f"got {inner.fingerprint}"
            )
        self.inner = inner
        self.reduction = reduction
        self.name = name
        self.fingerprint = reduction.fingerprint
        self.grid = reduction.grid
        self.width = reduction.components.shape[1]
        self.image_size = inner.image_size

    def __call__(self, images: Tensor) -> Tensor:
        """See `ImageTower`."""
        return self.reduction(self.inner(images))


def reduce_cache(
    cache: FeatureCache, reduction: Reduction, path: str | Path, name: str = "reduced"
) -> FeatureCache:
    """The cache that the reduced tower would have built, made from the inner tower's.

    Args:
        cache: of the inner tower.
        reduction: what to apply.
        path: folder of the new cache.
        name: the reduced tower's specification, kept with it.

    Raises:
        InputError: the cache is of another tower than the reduction.
    """
    if cache.fingerprint != reduction.inner_fingerprint:
        raise InputError(f"{cache.path}: of another tower than the reduction was fitted to")
    names = cache.names()
    parts = (
        (names[start : start + _PART], reduction(cache.rows(names[start : start + _PART])))
        for start in range(0, len(names), _PART)
    )
    shape = (len(names), reduction.grid[0] * reduction.grid[1], reduction.components.shape[1])
    return write_cache(
        path,
        parts,
        shape=shape,
        grid=reduction.grid,
        tower=name,
        fingerprint=reduction.fingerprint,
    )


def _average(features: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    if old == new:
        return features
    planes = features.transpose(1, 2).unflatten(2, old)
    return functional.adaptive_avg_pool2d(planes, new).flatten(2).transpose(1, 2)
