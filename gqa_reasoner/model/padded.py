"""One pass over a padded batch, with or without a cache of earlier keys and values.

Legend: B batch, T text length, V vision length, L = T + V, D width, H heads, I = H * head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gqa_reasoner.model.bias import Biases
from gqa_reasoner.model.block import Block
from gqa_reasoner.model.cache import Cache
from gqa_reasoner.model.masks import Edges, Visibility
from gqa_reasoner.model.plan import Row, Stream

if TYPE_CHECKING:
    from gqa_reasoner.model.trunk import Trunk

__all__ = ["PaddedRun"]


class PaddedRun:
    """The batch's masks and, row after row, its streams (B, T, D) and (B, V, D)."""

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
    ) -> None:
        self.trunk, self.cache, self.streams = trunk, cache, streams
        some = next(iter(streams.values()))
        past = cache.text_length if cache else 0
        text = past + (streams["t"].shape[1] if "t" in streams else 0)
        given = streams["v"].shape[1] if "v" in streams else 0
        vision = given or (cache.vision_length if cache else 0)
        self.spans: dict[Stream, tuple[int, int]] = {"t": (past, text), "v": (text, text + vision)}
        self.biases = Biases(
            Visibility(text, vision, text_mask, vision_mask, grid, prefix, some.device),
            some.shape[0],
            trunk.config.heads,
            some.dtype,
            spans=self.spans,
            relative=trunk.relative,
            edges=edges,
            table=trunk.edge_bias,
        )
        if cache is not None:
            cache.text_length, cache.vision_length = text, vision

    def unpacked(self) -> dict[Stream, Tensor]:
        """The streams as they are now."""
        return dict(self.streams)

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
            key = pairs[0][0] if len(pairs) == 1 else torch.cat([p[0] for p in pairs], dim=1)
            value = pairs[0][1] if len(pairs) == 1 else torch.cat([p[1] for p in pairs], dim=1)
            bias = self.biases.of(index, row, s, readable)
            if attention is not None:
                attention[index] = block.attention.weights(queries[s], key, bias)
            mixed = block.attention.attend(queries[s], key, value, bias)
            result[s] = self.trunk.norm_after(index, s, block.finish(streams[s], mixed))
        return result

    def _joint(
        self,
        index: int,
        row: Row,
        streams: dict[Stream, Tensor],
        attention: dict[int, Tensor] | None,
    ) -> dict[Stream, Tensor]:
        """Both streams as one sequence through shared weights."""
        block = self.trunk.blocks(index)["tied"]
        sizes = [streams["t"].shape[1], streams["v"].shape[1]]
        values = torch.cat([streams["t"], streams["v"]], dim=1)
        query, key, value = block.project(values)
        if self.cache is not None:
            for s in row.active:
                start, stop = self.spans[s]
                self.cache.rows[index, s] = key[:, start:stop], value[:, start:stop]
        bias = self.biases.of(index, row, None, ["t", "v"])
        if attention is not None:
            attention[index] = block.attention.weights(query, key, bias)
        mixed = block.attention.attend(query, key, value, bias)
        text, vision = block.finish(values, mixed).split(sizes, dim=1)
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
            if any(s in row.keys(q) for q in row.active):
                queries[s], key, value = block.project(streams[s])
                own[s] = self._remember(index, s, (key, value))
            else:
                source = block.attention_norm(streams[s]) if block.pre else streams[s]
                queries[s] = block.attention.project_queries(source)
        keys: dict[tuple[Stream, Stream], tuple[Tensor, Tensor]] = {}
        for s in present:
            block = blocks["tied"] if row.tied else blocks[s]
            for k in row.keys(s):
                if k in own:
                    keys[s, k] = own[k]
                elif k in streams:
                    pair = block.attention.project_keys(streams[k])
                    keys[s, k] = self._remember(index, k, pair)
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
