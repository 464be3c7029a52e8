"""How the real positions of a padded batch lie without their padding.

Legend: B batch, T text length, V vision length, N real positions of a stream, R ranks (the samples
sorted by length, so that samples of one length are neighbours and attend in one call), E edges.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from gqa_reasoner.model.masks import Edges
from gqa_reasoner.model.plan import Stream

__all__ = ["EdgePlaces", "Group", "PackedLayout"]


class Group(NamedTuple):
    """`samples` samples from rank `first` on, all of one size.

    `starts` and `lengths` are by stream: where the group's rows begin, and the rows of a sample.
    """

    first: int
    samples: int
    starts: tuple[int, ...]
    lengths: tuple[int, ...]


class EdgePlaces(NamedTuple):
    """Typed edges between real positions, as places of one flat array over all groups' pairs."""

    kind: Tensor
    weight: Tensor
    place: Tensor
    total: int


class PackedLayout:
    """Sizes and places of both streams; a stream that is absent has length 0.

    Args:
        text: T and vision: V of the padded batch.
        joint: order the samples by their whole length, not by text length first.
    """

    def __init__(
        self,
        batch: int,
        text: int,
        vision: int,
        text_mask: Tensor | None,
        vision_mask: Tensor | None,
        device: torch.device,
        *,
        joint: bool,
    ) -> None:
        self.batch, self.padded = batch, {"t": text, "v": vision}
        masks: dict[Stream, Tensor] = {}
        given: tuple[tuple[Stream, Tensor | None], ...] = (("t", text_mask), ("v", vision_mask))
        for stream, mask in given:
            shape = (batch, self.padded[stream])
            masks[stream] = torch.ones(shape, dtype=torch.bool, device=device) if (
                mask is None
            ) else mask.bool()  # fmt: skip
        counts = {stream: mask.sum(dim=1) for stream, mask in masks.items()}
        key = counts["t"] + counts["v"] if joint else counts["t"] * (vision + 1) + counts["v"]
        self.order = key.argsort(stable=True)
        self.masks = masks
        self.lengths = {s: count[self.order].tolist() for s, count in counts.items()}
        self._counts = {s: count[self.order] for s, count in counts.items()}
        self.places: dict[Stream, Tensor] = {}
        self.positions: dict[str, Tensor] = {}
        for stream, mask in masks.items():
            rank, position = mask[self.order].nonzero().unbind(1)
            self.places[stream] = self.order[rank] * self.padded[stream] + position
            self.positions[stream] = position + (text if stream == "v" else 0)
            if stream == "t":
                self._text_rank = rank
            else:
                self._vision_rank = rank
        self._groups: dict[str, list[Group]] = {}

    @property
    def filled(self) -> float:
        """Share of the padded positions that are real."""
        real = len(self.places["t"]) + len(self.places["v"])
        return real / max(self.batch * (self.padded["t"] + self.padded["v"]), 1)

    def pack(self, stream: Stream, values: Tensor) -> Tensor:
        """(B, L, D) to (N, D), samples by rank."""
        return values.flatten(0, 1).index_select(0, self.places[stream])

    def pad(self, stream: Stream, values: Tensor) -> Tensor:
        """(N, D) to (B, L, D), zeros at padding."""
        length = self.padded[stream]
        flat = values.new_zeros(self.batch * length, values.shape[-1])
        return flat.index_copy(0, self.places[stream], values).unflatten(0, (self.batch, length))

    @cached_property
    def joint_rows(self) -> tuple[Tensor, Tensor]:
        """Rows of text and of vision in the joint form: each sample's text, then its vision."""
        text, vision = self._counts["t"], self._counts["v"]
        before_vision = vision.cumsum(0) - vision
        after_text = text.cumsum(0)
        rows_text = torch.arange(len(self._text_rank), device=text.device)
        rows_vision = torch.arange(len(self._vision_rank), device=text.device)
        return (
            rows_text + before_vision[self._text_rank],
            rows_vision + after_text[self._vision_rank],
        )

    def join(self, text: Tensor, vision: Tensor) -> Tensor:
        """Both packed streams as one."""
        rows_text, rows_vision = self.joint_rows
        joint = text.new_empty(len(text) + len(vision), text.shape[-1])
        return joint.index_copy(0, rows_text, text).index_copy(0, rows_vision, vision)

    def part(self, joint: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `join`."""
        rows_text, rows_vision = self.joint_rows
        return joint.index_select(0, rows_text), joint.index_select(0, rows_vision)

    @cached_property
    def joint_positions(self) -> Tensor:
        """(N,) place in the padded joint sequence of each row of the joint form."""
        rows_text, rows_vision = self.joint_rows
        result = rows_text.new_empty(len(rows_text) + len(rows_vision))
        result[rows_text] = self.positions["t"]
        result[rows_vision] = self.positions["v"]
        return result

    def groups(self, streams: str) -> list[Group]:
        """Runs of ranks whose lengths of the named streams agree; `tv` as one joint sequence."""
        if streams not in self._groups:
            text, vision = self.lengths["t"], self.lengths["v"]
            sizes: list[tuple[int, ...]]
            if streams == "tv":
                sizes = [(t + v,) for t, v in zip(text, vision, strict=True)]
            else:
                parts = [self.lengths[s] for s in streams.split("+")]  # type: ignore[index]
                sizes = list(zip(*parts, strict=True))
            self._groups[streams] = _runs(sizes)
        return self._groups[streams]

    def edge_places(self, edges: Edges) -> EdgePlaces:
        """Edges between real positions, for rows in the joint form."""
        real = torch.cat([self.masks["t"], self.masks["v"]], dim=1)
        compact = real.cumsum(dim=1) - 1
        sample, query, key = edges.batch, edges.query, edges.key
        kept = real[sample, query] & real[sample, key]
        sample, query, key = sample[kept], query[kept], key[kept]
        length = self._counts["t"] + self._counts["v"]
        start = (length * length).cumsum(0) - length * length
        rank = self.order.argsort()[sample]
        size = length[rank]
        place = start[rank] + compact[sample, query] * size + compact[sample, key]
        total = int((length * length).sum())
        return EdgePlaces(edges.kind[kept], edges.weight[kept], place, total)


def _runs(sizes: list[tuple[int, ...]]) -> list[Group]:
    """Neighbours of equal size, with where their rows begin."""
    found: list[Group] = []
    starts = [0] * len(sizes[0])
    first = 0
    for rank in range(1, len(sizes) + 1):
        if rank < len(sizes) and sizes[rank] == sizes[first]:
            continue
        count = rank - first
        found.append(Group(first, count, tuple(starts), sizes[first]))
        starts = [start + count * size for start, size in zip(starts, sizes[first], strict=True)]
        first = rank
    return found
