"""Who may see whom: additive attention biases for the joint sequence [text | vision].

Legend: B batch, T text length, V vision length, L = T + V, H heads, E edges.
A forbidden pair has the bias `FORBIDDEN`, a large finite number, so that a query without any
allowed key stays finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.model.plan import Row

__all__ = ["FORBIDDEN", "Edges", "Visibility", "allowed_pairs", "grid_pairs"]

FORBIDDEN = -1.0e9


class Edges(NamedTuple):
    """A sparse list of typed edges between positions of the joint sequence [text | vision].

    `batch, query, key, kind` are (E,) int64, `weight` is (E,) float. Several edges may join the
    same pair; their biases add up.
    """

    batch: Tensor
    query: Tensor
    key: Tensor
    kind: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Visibility:
    """What a batch lets every layer see.

    `text_mask` (B, T) and `vision_mask` (B, V): True at real positions, None: all real.
    `grid`: frames, rows and columns of the vision stream. `prefix` (B,): how many leading
    positions of a `prefix` stream everybody sees.
    """

    text_length: int
    vision_length: int
    text_mask: Tensor | None = None
    vision_mask: Tensor | None = None
    grid: tuple[int, int, int] | None = None
    prefix: Tensor | None = None
    device: torch.device | None = None

    def keys(self) -> Tensor | None:
        """(B, 1, L) True at real keys, or None when all are real."""
        if self.text_mask is None and self.vision_mask is None:
            return None
        masks = (self.text_mask, self.vision_mask)
        batch = max(mask.shape[0] for mask in masks if mask is not None)
        parts = [
            torch.ones(batch, length, dtype=torch.bool, device=self.device)
            if mask is None
            else mask
            for mask, length in zip(masks, (self.text_length, self.vision_length), strict=True)
        ]
        return torch.cat(parts, dim=1)[:, None, :]


def grid_pairs(row: Row, grid: tuple[int, int, int], device: torch.device | None) -> Tensor:
    """(V, V) True where `row`'s axial or near rule lets a grid position see another."""
    frames, rows, columns = grid
    axes = [torch.arange(size, device=device) for size in (frames, rows, columns)]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    distance = (place[:, None] - place[None, :]).abs()  # (V, V, 3)
    if row.vv == "axial":
        others = [axis for axis in range(3) if axis != row.axis]
        pairs = (distance[..., others] == 0).all(dim=-1)
    else:
        pairs = (distance <= torch.tensor(row.extent, device=device)).all(dim=-1)
    return pairs.tril() if row.grid_causal else pairs


def allowed_pairs(row: Row, seen: Visibility) -> Tensor | None:
    """(1 or B, 1 or L, L) True where a query may attend to a key; None: everywhere.

    Raises:
        InputError: the row needs a grid or a prefix length that `seen` lacks.
    """
    text, vision = seen.text_length, seen.vision_length
    keys = seen.keys()
    own: dict[str, Tensor] = {}
    for name, kind, length in (("tt", row.tt, text), ("vv", row.vv, vision)):
        if length and kind not in ("off", "full"):
            own[name] = _own_pairs(row, kind, length, seen)
    off = [name for name in ("tt", "tv", "vt", "vv") if getattr(row, name) == "off"]
    if not own and (not off or not text or not vision):
        return keys
    batch = max((pairs.shape[0] for pairs in own.values()), default=1)
    pairs = torch.ones(batch, text + vision, text + vision, dtype=torch.bool, device=seen.device)
    parts = {"t": slice(0, text), "v": slice(text, text + vision)}
    for name in off:
        pairs[:, parts[name[0]], parts[name[1]]] = False
    for name, block in own.items():
        pairs[:, parts[name[0]], parts[name[1]]] = block
    return pairs if keys is None else pairs & keys


def _own_pairs(row: Row, kind: str, length: int, seen: Visibility) -> Tensor:
    """(1 or B, length, length) visibility inside one stream."""
    if kind in ("axial", "near"):
        if seen.grid is None or seen.grid[0] * seen.grid[1] * seen.grid[2] != length:
            raise InputError(
                f"trunk: a plan with {kind!r} needs grid=(frames, rows, columns) of "
                f"{length} positions, got {seen.grid}"
            )
        return grid_pairs(row, seen.grid, seen.device)[None]
    position = torch.arange(length, device=seen.device)
    causal = (position[:, None] >= position[None, :])[None]
    if kind == "causal":
        return causal
    if seen.prefix is None:
        raise InputError("trunk: a plan with 'prefix' needs prefix=lengths (B,), got None")
    return causal | (position[None, None, :] < seen.prefix[:, None, None])
