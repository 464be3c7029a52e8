"""Additive attention biases of one batch: masks, relative positions and typed edges together.

Legend: B batch, L = T + V positions of the padded joint sequence [text | vision], H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gqa_reasoner.model.attention import RelativeBias
from gqa_reasoner.model.masks import FORBIDDEN, Edges, Visibility, allowed_pairs
from gqa_reasoner.model.plan import Row, Stream

__all__ = ["Biases"]


class Biases:
    """Made once per batch; equal rows of the plan share their mask.

    Args:
        spans: first and last place of each stream's queries in the joint sequence.
        relative: the tables of the streams that have one.
        table: (rows, edge kinds, H) weights of the typed edges, or None.
    """

    def __init__(
        self,
        seen: Visibility,
        batch: int,
        heads: int,
        dtype: torch.dtype,
        *,
        spans: dict[Stream, tuple[int, int]],
        relative: nn.ModuleDict,
        edges: Edges | None,
        table: Tensor | None,
    ) -> None:
        self.seen, self.batch, self.heads, self.dtype = seen, batch, heads, dtype
        self.spans, self.relative, self.edges, self.table = spans, relative, edges, table
        self._rows: dict[Row, Tensor | None] = {}
        self._relative: Tensor | None = None

    def of(self, index: int, row: Row, stream: Stream | None, keys: list[Stream]) -> Tensor | None:
        """The bias of one attention: its slice of the joint bias (queries of `stream` or all)."""
        bias = self.joint(index, row)
        if bias is None:
            return None
        if stream is not None and bias.shape[2] > 1:
            start, stop = self.spans[stream]
            bias = bias[:, :, start:stop]
        text, total = self.seen.text_length, self.seen.text_length + self.seen.vision_length
        span = {"t": (0, text), "v": (text, total)}
        start, stop = span[keys[0]][0], span[keys[-1]][1]
        return bias if (start, stop) == (0, total) else bias[..., start:stop]

    def plain(self, row: Row) -> bool:
        """Whether only padding keeps this row's queries from keys."""
        return not self.relative and {row.tt, row.tv, row.vt, row.vv} <= {"full", "off"}

    def joint(self, index: int, row: Row) -> Tensor | None:
        """Masks, relative positions and edges as (1 or B, 1 or H, 1 or L, L), or None."""
        if row not in self._rows:
            allowed = allowed_pairs(row, self.seen)
            bias = None
            if allowed is not None:
                zeros = torch.zeros(allowed.shape, dtype=self.dtype, device=allowed.device)
                bias = zeros.masked_fill_(~allowed, FORBIDDEN)[:, None]
            if self.relative:
                relative = self._relative_bias().to(self.dtype)
                bias = relative if bias is None else bias + relative
            self._rows[row] = bias
        bias = self._rows[row]
        if self.edges is None or self.table is None:
            return bias
        length = self.seen.text_length + self.seen.vision_length
        dense = self.table.new_zeros(self.batch, length, length, self.table.shape[-1])
        values = self.table[index, self.edges.kind] * self.edges.weight[:, None]
        place = (self.edges.batch, self.edges.query, self.edges.key)
        dense = dense.index_put(place, values.to(dense.dtype), accumulate=True)
        dense = dense.permute(0, 3, 1, 2)
        return (dense if bias is None else dense + bias).to(self.dtype).contiguous()

    def _relative_bias(self) -> Tensor:
        """(1, H, L, L): the tables of both streams on the diagonal blocks."""
        if self._relative is None:
            blocks = []
            for s, length in (("t", self.seen.text_length), ("v", self.seen.vision_length)):
                if s in self.relative:
                    table: RelativeBias = self.relative[s]  # type: ignore[assignment]
                    blocks.append(table(length)[0])
                else:
                    blocks.append(torch.zeros(self.heads, length, length, device=self.seen.device))
            text = nn.functional.pad(blocks[0], (0, self.seen.vision_length))
            vision = nn.functional.pad(blocks[1], (self.seen.text_length, 0))
            self._relative = torch.cat([text, vision], dim=1)[None]
        return self._relative
