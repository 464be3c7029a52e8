"""`Trunk(plan)`: the one transformer that every model of this project is made of.

Legend: B batch, T text length, V vision length, L = T + V, D width, H heads, I inner width,
N real positions of a packed batch. A trunk reads two streams, text and vision (either may be
absent), and its plan says row by row which attends to which; see `plan.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from detectors.errors import InputError
from gqa_reasoner.model.attention import RelativeBias
from gqa_reasoner.model.block import Block, make_norm
from gqa_reasoner.model.cache import Cache
from gqa_reasoner.model.compiling import check_compiler
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.frozen import can_freeze
from gqa_reasoner.model.masks import Edges
from gqa_reasoner.model.packed import PackedRun
from gqa_reasoner.model.padded import PaddedRun
from gqa_reasoner.model.plan import Stream

__all__ = ["Cache", "Trunk", "TrunkOutput"]


class TrunkOutput(NamedTuple):
    """`text` (B, T, D) and `vision` (B, V, D) after the last row (None where absent).

    `hidden` holds both streams before the first row and after each (empty where they were not
    kept: a packed pass, or `keep_hidden=False`); `attention` maps asked-for
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
        keep_hidden: bool = True,
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
            packed: compute real positions only (same result there, zeros at padding, less work);
                a pass with a cache is padded all the same.
            keep_hidden: whether to return the states between rows of a padded pass; without them
                their memory is freed on the way.
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
        run: PaddedRun | PackedRun
        if packed and cache is None:
            run = PackedRun(self, streams, text_mask, vision_mask, edges, grid, prefix)
            keep_hidden = False
        else:
            run = PaddedRun(self, streams, text_mask, vision_mask, edges, grid, prefix, cache)
        hidden = [streams] if keep_hidden else []
        del text, vision, streams
        return self._rows(run, hidden, keep_hidden, keep_attention)

    def _rows(
        self,
        run: PaddedRun | PackedRun,
        hidden: list[dict[Stream, Tensor]],
        keep_hidden: bool,
        keep_attention: Collection[int],
    ) -> TrunkOutput:
        """All rows in turn."""
        attention: dict[int, Tensor] = {}
        for index in range(len(self.rows)):
            keep = index in keep_attention
            if self.checkpointing and self.training and not keep:
                run.streams = checkpoint(run.row, index, run.streams, use_reentrant=False)
            else:
                kept = attention if keep else None
                run.streams = run.row(index, run.streams, kept)  # type: ignore[arg-type]
            if keep_hidden:
                hidden.append(run.unpacked())
        last = run.unpacked()
        return TrunkOutput(last.get("t"), last.get("v"), hidden, attention)

    def blocks(self, index: int) -> Mapping[str, Block]:
        """The weights of row `index`: `tied`, or one block per stream that it changes."""
        return cast("Mapping[str, Block]", self.rows[index])

    def compile_blocks(self) -> Trunk:
        """Let `torch.compile` fuse norms, activations, dropout and sums of every block.

        The first passes wait for the compiler; results stay the same to rounding.

        Raises:
            InputError: there is no C++ compiler, which the processor's kernels need.
        """
        check_compiler(self.rows)
        for number in range(len(self.rows)):
            for block in self.blocks(number).values():
                block.compile_steps()
        return self

    def freeze(self, rows: int = 2048) -> Trunk:
        """Lay the weights out for inference on the processor, dropping the plain ones.

        The answers stay the same to rounding; afterwards there are no gradients and no
        `state_dict`. Without oneDNN kernels, and for weights in another type than float32 and
        bfloat16, nothing is changed.

        Args:
            rows: typical number of positions of a batch.
        """
        if not can_freeze():
            return self.eval()
        for number, row in enumerate(self.config.plan.rows):
            whole = all(k in row.active for s in row.active for k in row.keys(s))
            read = {k for s in row.active for k in row.keys(s)}
            for block in self.blocks(number).values():
                block.freeze(rows, project=whole and read >= set(row.active))
        return self.eval()

    def norm_after(self, index: int, stream: Stream, values: Tensor) -> Tensor:
        """The stream's final norm, where row `index` is the last that changes it."""
        if not self.final_norm or self._last.get(stream) != index:
            return values
        return self.final_norm["tied" if "tied" in self.final_norm else stream](values)
