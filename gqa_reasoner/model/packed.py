"""One pass over the real positions alone: no padding in any projection, norm or attention.

Samples of one length attend in one call without a mask, so that attention costs what the real
pairs cost. Rows that join both streams keep them as one sequence from row to row.

Legend: B batch, N real positions, D width, H heads, I = H * head width, G samples of a group,
Q and K rows of a sample as queries and keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from gqa_reasoner.model.bias import Biases
from gqa_reasoner.model.block import Block
from gqa_reasoner.model.masks import Edges, Visibility
from gqa_reasoner.model.packed_layout import EdgePlaces, Group, PackedLayout
from gqa_reasoner.model.plan import Row, Stream

if TYPE_CHECKING:
    from gqa_reasoner.model.trunk import Trunk

__all__ = ["PackedRun"]


class _Projected(NamedTuple):
    """Queries, keys and values of one stream, each (N, H, head width) or None."""

    query: Tensor | None
    key: Tensor | None
    value: Tensor | None


class PackedRun:
    """The batch's layout and, row after row, its streams `t` and `v`, or both joined as `tv`."""

    def __init__(
        self,
        trunk: Trunk,
        streams: dict[Stream, Tensor],
        text_mask: Tensor | None,
        vision_mask: Tensor | None,
        edges: Edges | None,
        grid: tuple[int, int, int] | None,
        prefix: Tensor | None,
    ) -> None:
        self.trunk, self.edges = trunk, edges
        some = next(iter(streams.values()))
        text = streams["t"].shape[1] if "t" in streams else 0
        vision = streams["v"].shape[1] if "v" in streams else 0
        rows = trunk.config.plan.rows
        self.layout = PackedLayout(
            some.shape[0], text, vision, text_mask, vision_mask, some.device,
            joint=all(row.joint for row in rows),
        )  # fmt: skip
        self.biases = Biases(
            Visibility(text, vision, text_mask, vision_mask, grid, prefix, some.device),
            some.shape[0],
            trunk.config.heads,
            some.dtype,
            spans={"t": (0, text), "v": (text, text + vision)},
            relative=trunk.relative,
            edges=edges,
            table=trunk.edge_bias,
        )
        self.names = list(streams)
        self.streams: dict[str, Tensor] = {
            s: self.layout.pack(s, values) for s, values in streams.items()
        }
        self._edge_places: EdgePlaces | None = None

    def unpacked(self) -> dict[Stream, Tensor]:
        """The streams as they are now, (B, L, D) with zeros at padding."""
        streams = self._parted(self.streams)
        return {s: self.layout.pad(s, streams[s]) for s in self.names}

    def row(
        self,
        index: int,
        streams: dict[str, Tensor],
        attention: dict[int, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Apply one row to the streams."""
        row = self.trunk.config.plan.rows[index]
        if row.joint and len(self.names) == 2:
            return self._joint(index, row, streams, attention)
        streams = self._parted(streams)
        blocks = self.trunk.blocks(index)
        present = [s for s in row.active if s in streams]
        keys = self._projections(row, blocks, streams, present)
        result = dict(streams)
        for s in present:
            block = blocks["tied"] if row.tied else blocks[s]
            readable = [k for k in row.keys(s) if (s, k) in keys]
            if not readable:
                continue
            if attention is not None:
                attention[index] = self._weights(index, row, block, s, readable, keys)
            mixed = self._attend(index, row, block, s, readable, keys)
            result[s] = self.trunk.norm_after(index, s, block.finish(streams[s], mixed))
        return result

    def _parted(self, streams: dict[str, Tensor]) -> dict[str, Tensor]:
        if "tv" not in streams:
            return streams
        text, vision = self.layout.part(streams["tv"])
        return {"t": text, "v": vision}

    def _joint(
        self,
        index: int,
        row: Row,
        streams: dict[str, Tensor],
        attention: dict[int, Tensor] | None,
    ) -> dict[str, Tensor]:
        """Both streams as one sequence through shared weights."""
        values = streams.get("tv")
        if values is None:
            values = self.layout.join(streams["t"], streams["v"])
        block = self.trunk.blocks(index)["tied"]
        projected = self._split(block, block.project(values))
        if attention is not None:
            attention[index] = self._joint_weights(index, row, block, projected)
        groups = self.layout.groups("tv")
        shares = self._edge_bias(index, row, groups)
        parts = []
        for place, (group, query, key, value) in enumerate(
            zip(groups, *(_split_groups(part, groups, 0) for part in projected), strict=True)
        ):
            bias = None
            if shares is not None:
                bias = shares[place]
            elif not self.biases.plain(row):
                start, size = group.starts[0], group.samples * group.lengths[0]
                positions = self.layout.joint_positions[start : start + size]
                bias = self._gathered(index, row, group, positions, positions)
            parts.append(block.attention.attend_heads(query, key, value, bias).flatten(0, 1))
        values = block.finish(values, parts[0] if len(parts) == 1 else torch.cat(parts))
        norms = self.trunk.final_norm
        if norms and "tied" not in norms:
            text, vision = self.layout.part(values)
            norm = self.trunk.norm_after
            return {"t": norm(index, "t", text), "v": norm(index, "v", vision)}
        return {"tv": self.trunk.norm_after(index, "t", values)}

    def _projections(
        self,
        row: Row,
        blocks: Mapping[str, Block],
        streams: dict[str, Tensor],
        present: list[Stream],
    ) -> dict[tuple[str, str], _Projected]:
        """Per stream its queries under (s, "q"); per (query, key) stream pair keys and values."""
        found: dict[tuple[str, str], _Projected] = {}
        own: dict[str, _Projected] = {}
        for s in present:
            block = blocks["tied"] if row.tied else blocks[s]
            if any(s in row.keys(q) for q in row.active):
                own[s] = _Projected(*self._split(block, block.project(streams[s])))
                found[s, "q"] = own[s]
            else:
                source = block.attention_norm(streams[s]) if block.pre else streams[s]
                parts = self._split(block, (block.attention.project_queries(source),))
                found[s, "q"] = _Projected(parts[0], None, None)
        for s in present:
            block = blocks["tied"] if row.tied else blocks[s]
            for k in row.keys(s):
                if k in own:
                    found[s, k] = own[k]
                elif k in streams:
                    key, value = self._split(block, block.attention.project_keys(streams[k]))
                    found[s, k] = _Projected(None, key, value)
        return found

    @staticmethod
    def _split(block: Block, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        shape = (block.attention.heads, block.attention.head_width)
        return tuple(part.unflatten(-1, shape) for part in parts)

    def _attend(
        self,
        index: int,
        row: Row,
        block: Block,
        stream: Stream,
        readable: list[Stream],
        keys: dict[tuple[str, str], _Projected],
    ) -> Tensor:
        """Mixed values (N, I) of one stream that reads `readable`."""
        query = keys[stream, "q"].query
        assert query is not None  # every present stream has queries
        kind = row.attend(stream, readable[0])
        simple = self.biases.plain(row) and self.trunk.edge_bias is None
        causal = kind == "causal" and readable == [stream] and not self.trunk.relative
        groups = self.layout.groups("+".join([stream, *readable]))
        queries = _split_groups(query, groups, 0)
        others = [
            [_split_groups(part, groups, place) for part in keys[stream, k][1:] if part is not None]
            for place, k in enumerate(readable, start=1)
        ]
        parts = []
        for number, group in enumerate(groups):
            found = [[pair[side][number] for pair in others] for side in (0, 1)]
            key, value = (p[0] if len(p) == 1 else torch.cat(p, dim=1) for p in found)
            bias = None
            if not simple and not (causal and self.edges is None):
                bias = self._gathered(
                    index, row, group, self._positions(group, 0, stream),
                    torch.cat([self._positions(group, place, k)
                               for place, k in enumerate(readable, start=1)], dim=1),
                )  # fmt: skip
            mixed = block.attention.attend_heads(
                queries[number], key, value, bias, causal=causal and bias is None
            )
            parts.append(mixed.flatten(0, 1))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _positions(self, group: Group, place: int, stream: Stream) -> Tensor:
        """(G, L) padded positions of a group's rows of one stream."""
        start, length = group.starts[place], group.lengths[place]
        rows = self.layout.positions[stream][start : start + group.samples * length]
        return rows.view(group.samples, length)

    def _gathered(
        self, index: int, row: Row, group: Group, query: Tensor, key: Tensor
    ) -> Tensor | None:
        """(G, 1 or H, Q, K): a group's part of the padded bias."""
        bias = self.biases.joint(index, row)
        if bias is None:
            return None
        length = self.biases.seen.text_length + self.biases.seen.vision_length
        whole = bias.expand(self.layout.batch, -1, length, length)
        samples = self.layout.order[group.first : group.first + group.samples]
        places = (query.view(group.samples, -1, 1), key.view(group.samples, 1, -1))
        return whole[samples[:, None, None], :, places[0], places[1]].permute(0, 3, 1, 2)

    def _edge_bias(self, index: int, row: Row, groups: list[Group]) -> list[Tensor] | None:
        """The typed edges' bias (G, H, L, L) per group of a joint row without masks."""
        table = self.trunk.edge_bias
        if self.edges is None or table is None or not self.biases.plain(row):
            return None
        if self._edge_places is None:
            self._edge_places = self.layout.edge_places(self.edges)
        places = self._edge_places
        values = table[index, places.kind] * places.weight[:, None]
        flat = table.new_zeros(table.shape[-1], places.total)
        flat = flat.index_add(1, places.place, values.T.to(flat.dtype)).to(self.biases.dtype)
        shapes = [(group.samples, group.lengths[0], group.lengths[0]) for group in groups]
        parts = flat.split([samples * length**2 for samples, length, _ in shapes], dim=1)
        return [
            part.unflatten(1, shape).transpose(0, 1)
            for part, shape in zip(parts, shapes, strict=True)
        ]

    def _joint_weights(
        self, index: int, row: Row, block: Block, projected: tuple[Tensor, ...]
    ) -> Tensor:
        """(B, H, L, L) attention of a joint row, padded."""
        query, key = (
            torch.cat([self.layout.pad("t", text), self.layout.pad("v", vision)], dim=1)
            for text, vision in (self.layout.part(p.flatten(1)) for p in projected[:2])
        )
        return block.attention.weights(query, key, self.biases.of(index, row, None, ["t", "v"]))

    def _weights(
        self,
        index: int,
        row: Row,
        block: Block,
        stream: Stream,
        readable: list[Stream],
        keys: dict[tuple[str, str], _Projected],
    ) -> Tensor:
        """(B, H, queries, keys) attention of one stream, padded."""
        query = keys[stream, "q"].query
        assert query is not None
        parts = []
        for k in readable:
            part = keys[stream, k].key
            assert part is not None
            parts.append(self.layout.pad(k, part.flatten(1)))
        bias = self.biases.of(index, row, stream, readable)
        padded = self.layout.pad(stream, query.flatten(1))
        return block.attention.weights(padded, torch.cat(parts, dim=1), bias)


def _split_groups(values: Tensor, groups: list[Group], place: int) -> list[Tensor]:
    """(N, H, head width) as (G, L, H, head width) per group.

    Split at once and not sliced group by group: the gradient of a slice is as large as the whole.
    """
    shapes = [(group.samples, group.lengths[place]) for group in groups]
    parts = values.split([samples * length for samples, length in shapes])
    return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]
