"""Object classes of single cells, for the masked-class loss.

Legend: F feature width, C classes, N cells.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from detectors.errors import InputError

__all__ = ["CellClasses"]


class CellClasses:
    """A linear classifier of a cell's feature.

    Under a MobileNet tower it is the network's own classifier: pooling and classifying are
    linear, so what it says about a whole picture is the mean of what it says about the cells.
    Without one, k-means centres of the corpus' own cells are the classes: the nearest centre
    is a linear function too.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """From (C, F) and (C,)."""
        self.weight, self.bias = weight, bias

    def __len__(self) -> int:
        return len(self.weight)

    def distribution(self, features: Tensor) -> Tensor:
        """(N, F) to (N, C) probabilities."""
        return (features @ self.weight.T + self.bias).softmax(dim=-1)

    @classmethod
    def of_tower(cls, spec: str) -> CellClasses | None:
        """The classifier of a tower such as "mobilenet:DIR", or None if it has none.

        Under "reduced:DIR" the inner tower's classifier reads what the reduction keeps: the
        least-squares way back through its components.

        Raises:
            InputError: the folder's weights cannot be read.
        """
        kind, _, place = spec.partition(":")
        if kind == "reduced":
            from gqa_reasoner.vlp.reduction import Reduction

            reduction = Reduction.load(place)
            inner = cls.of_tower(reduction.inner)
            if inner is None:
                return None
            back = torch.linalg.pinv(reduction.components)  # (W, F)
            return cls(inner.weight @ back.T, inner.bias + inner.weight @ reduction.mean)
        path = Path(place) / "model.safetensors"
        if kind != "mobilenet" or not path.is_file():
            return None
        from safetensors import safe_open

        try:
            with safe_open(path, framework="pt") as store:
                if "classifier.weight" not in store.keys():  # noqa: SIM118 - not a mapping
                    return None
                weight = store.get_tensor("classifier.weight").float()
                bias = store.get_tensor("classifier.bias").float()
        except Exception as error:  # safetensors raises its own kinds
            raise InputError(f"{path}: not readable weights ({error})") from None
        return cls(weight, bias)

    @classmethod
    def of_cells(cls, cells: Tensor, count: int, *, seed: int, iterations: int = 12) -> CellClasses:
        """k-means over cells (N, F).

        Raises:
            InputError: fewer cells than classes.
        """
        if len(cells) < count:
            raise InputError(f"cell classes: expected at least {count} cells, got {len(cells)}")
        generator = torch.Generator().manual_seed(seed)
        centres = cells[torch.randperm(len(cells), generator=generator)[:count]].clone()
        for _ in range(iterations):
            nearest = (cells @ centres.T - centres.square().sum(dim=1) / 2).argmax(dim=1)
            sums = torch.zeros_like(centres).index_add(0, nearest, cells)
            counts = torch.bincount(nearest, minlength=count)
            used = counts > 0
            centres[used] = sums[used] / counts[used, None]
        spread = max(float(cells.var(dim=0).sum()) / len(cells[0]), 1e-6)
        return cls(centres / spread, -centres.square().sum(dim=1) / (2 * spread))
