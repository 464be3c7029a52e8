"""`Trunk(plan)`: the one transformer that every model of this project is made of.

Legend: B batch, T text length, V vision length, L = T + V, D width, H heads, I inner width,
N real positions of a packed batch. A trunk reads two streams, text and vision (either may be
absent), and its plan says row by row which attends to which; see `plan.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from detectors.errors import InputError
from gqa_reasoner.model.attention import RelativeBias
from gqa_reasoner.model.block import Block, Layout, make_norm
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.masks import FORBIDDEN, Edges, Visibility, allowed_pairs
from gqa_reasoner.model.plan import Row, Stream

__all__ = ["Cache", "Trunk", "TrunkOutput"]


@dataclass
class Cache:
    """Keys and values (B, length, I) of earlier positions, per row and stream, for decoding."""

    rows: dict[tuple[int, Stream], tuple[Tensor, Tensor]] = field(default_factory=dict)
    text_length: int = 0
    vision_length: int = 0


class TrunkOutput(NamedTuple):
    """`text` (B, T, D) and `vision` (B, V, D) after the last row (None where absent).

    `hidden` holds both streams before the first row and after each; `attention` maps asked-for
    rows to (B, H, L, L) weights of a joint row, (B, H, T, keys) of a row that changes text only.
    """

    text: Tensor | None
    vision: Tensor | None
    hidden: list[dict[Stream, Tensor]]
    attention: dict[int, Tensor]


class Trunk(nn.Module):
    """Layers after a plan; a model is this, an embedding before it and losses behind it.

    Under pre-norm each stream's final norm follows the last row that changes it, so that an
    encoder's output is normalised before a decoder reads it.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.rows = nn.ModuleList(
            nn.ModuleDict(
                {"tied": Block(config, row)}
                if row.tied
                else {stream: Block(config, row) for stream in row.active}
            )
            for row in config.plan.rows
        )
        tied = all(row.tied for row in config.plan.rows)
        changed = {s: config.plan.last_change(s) for s in ("t", "v")}
        self._last = {s: row for s, row in changed.items() if row is not None}
        self.final_norm = nn.ModuleDict()
        if config.norm_position == "pre" and config.final_norm:
            names = ["tied"] if tied else list(self._last)
            self.final_norm.update({name: make_norm(config) for name in names})
        self.relative = nn.ModuleDict()
        if config.relative_buckets:
            for stream, direction in (("t", "tt"), ("v", "vv")):
                kinds = {getattr(row, direction) for row in config.plan.rows} - {"off"}
                if kinds:
                    self.relative[stream] = RelativeBias(
                        config.heads,
                        config.relative_buckets,
                        config.relative_distance,
                        both="causal" not in kinds,
                    )
        self.edge_bias = None
        if config.edge_types:
            self.edge_bias = nn.Parameter(
                torch.zeros(len(config.plan.rows), config.edge_types, config.heads)
            )
        self.checkpointing = False

    def forward(
        self,
        text: Tensor | None = None,
        vision: Tensor | None = None,
        *,
        text_mask: Tensor | None = None,
        vision_mask: Tensor | None = None,
        edges: Edges | None = None,
        grid: tuple[int, int, int] | None = None,
        prefix: Tensor | None = None,
        cache: Cache | None = None,
        packed: bool = False,
        keep_attention: Collection[int] = (),
    ) -> TrunkOutput:
        """Run the rows.

        Args:
            text: (B, T, D); with a cache only the new positions.
            vision: (B, V, D); with a filled cache None.
            text_mask: (B, T) True at real positions (with a cache: of old and new ones).
            vision_mask: (B, V).
            edges: typed edges between positions of [text | vision].
            grid: frames, rows, columns of the vision stream, for axial and near rows.
            prefix: (B,) lengths for prefix rows.
            cache: filled and read; one per decoded batch.
            packed: leave padding out of every projection (same result, less work).
            keep_attention: rows whose attention weights to return.

        Raises:
            InputError: no stream given, a wrong width, or a plan that needs more than was given.
        """
        streams: dict[Stream, Tensor] = {}
        for name, values in (("t", text), ("v", vision)):
            if values is not None:
                if values.shape[-1] != self.config.width:
                    raise InputError(
                        f"trunk: stream {name!r}: expected width {self.config.width}, "
                        f"got {values.shape[-1]}"
                    )
                streams[name] = values  # type: ignore[index]
        if not streams:
            raise InputError("trunk: expected text or vision, got neither")
        run = _Run(self, streams, text_mask, vision_mask, edges, grid, prefix, cache, packed)
        hidden = [run.unpacked()]
        attention: dict[int, Tensor] = {}
        for index in range(len(self.rows)):
            keep = index in keep_attention
            if self.checkpointing and self.training and not keep:
                run.streams = checkpoint(run.row, index, run.streams, use_reentrant=False)
            else:
                run.streams = run.row(index, run.streams, attention if keep else None)
            hidden.append(run.unpacked() if not packed else {})
        last = run.unpacked()
        return TrunkOutput(last.get("t"), last.get("v"), hidden, attention)

    def blocks(self, index: int) -> Mapping[str, Block]:
        """The weights of row `index`: `tied`, or one block per stream that it changes."""
        return cast("Mapping[str, Block]", self.rows[index])

    def norm_after(self, index: int, stream: Stream, values: Tensor) -> Tensor:
        """The stream's final norm, where row `index` is the last that changes it."""
        if not self.final_norm or self._last.get(stream) != index:
            return values
        return self.final_norm["tied" if "tied" in self.final_norm else stream](values)


class _Run:
    """One forward pass: the batch's layout and masks, shared by all rows."""

    def __init__(
        self,
        trunk: Trunk,
        streams: dict[Stream, Tensor],
        text_mask: Tensor | None,
        vision_mask: Tensor | None,
        edges: Edges | None,
        grid: tuple[int, int, int] | None,
        prefix: Tensor | None,
        cache: Cache | None,
        packed: bool,
    ) -> None:
        self.trunk, self.cache, self.edges = trunk, cache, edges
        some = next(iter(streams.values()))
        self.batch, self.dtype = some.shape[0], some.dtype
        new = {s: values.shape[1] for s, values in streams.items()}
        self.past = cache.text_length if cache else 0
        text = self.past + new.get("t", 0)
        vision = new.get("v") or (cache.vision_length if cache else 0)
        self.seen = Visibility(text, vision, text_mask, vision_mask, grid, prefix, some.device)
        self.spans: dict[Stream, tuple[int, int]] = {
            "t": (self.past, text),
            "v": (text, text + vision),
        }
        masks = {"t": text_mask, "v": vision_mask}
        self.layouts: dict[str, Layout] = {}
        for s, length in new.items():
            mask = masks[s]
            index = None
            if packed and cache is None:
                index = (
                    torch.arange(self.batch * length, device=some.device)
                    if mask is None
                    else mask.flatten().nonzero().squeeze(1)
                )
            self.layouts[s] = Layout(self.batch, length, index)
        if len(new) == 2:
            self.layouts["tv"] = self._joint_layout(new["t"], new["v"])
        self.streams = {s: self.layouts[s].pack(values) for s, values in streams.items()}
        self._biases: dict[Row, Tensor | None] = {}
        self._relative: Tensor | None = None
        if cache is not None:
            cache.text_length, cache.vision_length = text, vision

    def _joint_layout(self, text: int, vision: int) -> Layout:
        """Positions of [text | vision], where packed text comes before packed vision."""
        first, second = self.layouts["t"].places, self.layouts["v"].places
        if first is None or second is None:
            return Layout(self.batch, text + vision, None)
        place_text = torch.div(first, text, rounding_mode="floor") * vision + first
        row = torch.div(second, vision, rounding_mode="floor")
        return Layout(self.batch, text + vision, torch.cat([place_text, second + (row + 1) * text]))

    def unpacked(self) -> dict[Stream, Tensor]:
        return {s: self.layouts[s].pad(values) for s, values in self.streams.items()}

    def row(
        self,
        index: int,
        streams: dict[Stream, Tensor],
        attention: dict[int, Tensor] | None = None,
    ) -> dict[Stream, Tensor]:
        """Apply one row to the streams."""
        row = self.trunk.config.plan.rows[index]
        blocks = self.trunk.blocks(index)
        present = [s for s in row.active if s in streams]
        if row.joint and len(present) == 2:
            return self._joint(index, row, streams, attention)
        queries, keys = self._projections(index, row, blocks, streams, present)
        result = dict(streams)
        for s in present:
            block = blocks["tied"] if row.tied else blocks[s]
            readable = [k for k in row.keys(s) if (s, k) in keys]
            if not readable:
                continue
            pairs = [keys[s, k] for k in readable]
            key = torch.cat([pair[0] for pair in pairs], dim=1)
            value = torch.cat([pair[1] for pair in pairs], dim=1)
            bias = self._bias(index, row, s, readable)
            query = queries[s]
            if attention is not None:
                attention[index] = block.attention.weights(query, key, bias)
            mixed = self.layouts[s].pack(block.attention.attend(query, key, value, bias))
            values = block.finish(streams[s], mixed)
            result[s] = self.trunk.norm_after(index, s, values)
        return result

    def _joint(
        self,
        index: int,
        row: Row,
        streams: dict[Stream, Tensor],
        attention: dict[int, Tensor] | None,
    ) -> dict[Stream, Tensor]:
        """Both streams as one sequence through shared weights."""
        block, layout = self.trunk.blocks(index)["tied"], self.layouts["tv"]
        axis = 1 if layout.places is None else 0
        sizes = [streams["t"].shape[axis], streams["v"].shape[axis]]
        values = torch.cat([streams["t"], streams["v"]], dim=axis)
        source = block.attention_norm(values) if block.pre else values
        query, key, value = (layout.pad(part) for part in block.attention.project(source))
        if self.cache is not None:
            for s in row.active:
                start, stop = self.spans[s]
                self.cache.rows[index, s] = key[:, start:stop], value[:, start:stop]
        bias = self._bias(index, row, None, ["t", "v"])
        if attention is not None:
            attention[index] = block.attention.weights(query, key, bias)
        mixed = layout.pack(block.attention.attend(query, key, value, bias))
        text, vision = block.finish(values, mixed).split(sizes, dim=axis)
        norm = self.trunk.norm_after
        return {"t": norm(index, "t", text), "v": norm(index, "v", vision)}

    def _projections(
        self,
        index: int,
        row: Row,
        blocks: Mapping[str, Block],
        streams: dict[Stream, Tensor],
        present: list[Stream],
    ) -> tuple[dict[Stream, Tensor], dict[tuple[Stream, Stream], tuple[Tensor, Tensor]]]:
        """Queries per active stream; keys and values per (query stream, key stream)."""
        queries: dict[Stream, Tensor] = {}
        own: dict[Stream, tuple[Tensor, Tensor]] = {}
        for s in present:
            block = blocks["tied"] if row.tied else blocks[s]
            source = block.attention_norm(streams[s]) if block.pre else streams[s]
            if any(s in row.keys(q) for q in row.active):
                query, *pair = (self.layouts[s].pad(p) for p in block.attention.project(source))
                own[s] = self._remember(index, s, (pair[0], pair[1]))
            else:
                query = self.layouts[s].pad(block.attention.project_queries(source))
            queries[s] = query
        keys: dict[tuple[Stream, Stream], tuple[Tensor, Tensor]] = {}
        for s in present:
            block = blocks["tied"] if row.tied else blocks[s]
            for k in row.keys(s):
                if k in own:
                    keys[s, k] = own[k]
                elif k in streams:
                    key, value = block.attention.project_keys(streams[k])
                    layout = self.layouts[k]
                    keys[s, k] = self._remember(index, k, (layout.pad(key), layout.pad(value)))
                elif self.cache is not None and (index, k) in self.cache.rows:
                    keys[s, k] = self.cache.rows[index, k]
        return queries, keys

    def _remember(
        self, index: int, stream: Stream, pair: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Append to the cache (text grows, vision is given once) and return what is there now."""
        if self.cache is None:
            return pair
        before = self.cache.rows.get((index, stream))
        if before is not None:
            pair = (torch.cat([before[0], pair[0]], dim=1), torch.cat([before[1], pair[1]], dim=1))
        self.cache.rows[index, stream] = pair
        return pair

    def _bias(
        self, index: int, row: Row, stream: Stream | None, keys: list[Stream]
    ) -> Tensor | None:
        """The bias of one attention: its slice of the joint bias (queries of `stream` or all)."""
        bias = self._joint_bias(index, row)
        if bias is None:
            return None
        if stream is not None and bias.shape[2] > 1:
            start, stop = self.spans[stream]
            bias = bias[:, :, start:stop]
        text, total = self.seen.text_length, self.seen.text_length + self.seen.vision_length
        span = {"t": (0, text), "v": (text, total)}
        start, stop = span[keys[0]][0], span[keys[-1]][1]
        return bias if (start, stop) == (0, total) else bias[..., start:stop]

    def _joint_bias(self, index: int, row: Row) -> Tensor | None:
        """Masks, relative positions and edges as (1 or B, 1 or H, 1 or L, L), or None."""
        if row not in self._biases:
            allowed = allowed_pairs(row, self.seen)
            bias = None
            if allowed is not None:
                zeros = torch.zeros(allowed.shape, dtype=self.dtype, device=allowed.device)
                bias = zeros.masked_fill_(~allowed, FORBIDDEN)[:, None]
            if self.trunk.relative:
                relative = self._relative_bias()
                bias = relative if bias is None else bias + relative
            self._biases[row] = bias
        bias, table = self._biases[row], self.trunk.edge_bias
        if self.edges is None or table is None:
            return bias
        length = self.seen.text_length + self.seen.vision_length
        heads = table.shape[-1]
        dense = table.new_zeros(self.batch, length, length, heads)
        values = table[index, self.edges.kind] * self.edges.weight[:, None]
        place = (self.edges.batch, self.edges.query, self.edges.key)
        dense = dense.index_put(place, values.to(dense.dtype), accumulate=True)
        dense = dense.permute(0, 3, 1, 2)
        return (dense if bias is None else dense + bias).contiguous()

    def _relative_bias(self) -> Tensor:
        """(1, H, L, L): the tables of both streams on the diagonal blocks."""
        if self._relative is None:
            heads = self.trunk.config.heads
            blocks = [
                self.trunk.relative[s](length)[0]
                if s in self.trunk.relative
                else torch.zeros(heads, length, length, device=self.seen.device)
                for s, length in (("t", self.seen.text_length), ("v", self.seen.vision_length))
            ]
            text = nn.functional.pad(blocks[0], (0, self.seen.vision_length))
            vision = nn.functional.pad(blocks[1], (self.seen.text_length, 0))
            self._relative = torch.cat([text, vision], dim=1)[None]
        return self._relative
