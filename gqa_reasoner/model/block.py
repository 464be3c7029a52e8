"""One layer's weights.

Legend: D width, I inner attention width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from gqa_reasoner.model.attention import Attention, FeedForward, RootMeanSquareNorm
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.dropout import ByteDropout
from gqa_reasoner.model.frozen import PackedLinear
from gqa_reasoner.model.plan import Row

__all__ = ["Block", "make_norm"]

_FREEZABLE = (torch.float32, torch.bfloat16)
_COMPILED = ("project", "finish")


class Block(nn.Module):
    """One set of weights of one row: attention, feed-forward and their norms."""

    def __init__(self, config: TrunkConfig, row: Row) -> None:
        super().__init__()
        self.pre = config.norm_position == "pre"
        self.attention = Attention(
            config.width,
            config.heads,
            head_width=config.head_width,
            bias=config.bias,
            scale=config.scale,
            dropout=config.attention_dropout,
        )
        self.attention_norm = make_norm(config)
        self.dropout = ByteDropout(config.dropout)
        self.feed_forward = None
        if row.feed_forward:
            self.feed_forward = FeedForward(
                config.width, config.hidden, config.activation, bias=config.bias
            )
            self.feed_forward_norm = make_norm(config)

    def project(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(..., D) to queries, keys and values (..., I), normalised first in a pre-norm layer."""
        return self.attention.project(self.attention_norm(values) if self.pre else values)

    def finish(self, values: Tensor, mixed: Tensor) -> Tensor:
        """Residual, norms and feed-forward after the attention has mixed the values (..., I)."""
        values = self._add(self.attention.output, mixed, values)
        if not self.pre:
            values = self.attention_norm(values)
        if self.feed_forward is None:
            return values
        inner = self.feed_forward_norm(values) if self.pre else values
        values = self._add(self.feed_forward.output, self.feed_forward.inside(inner), values)
        return values if self.pre else self.feed_forward_norm(values)

    def compile_steps(self) -> None:
        """Run the projection and what follows attention as `torch.compile` makes them.

        Attention between them depends on how the batch's lengths fall, which a compiler would
        have to learn anew for every batch; these two take any number of positions.
        """
        for name in _COMPILED:
            setattr(self, name, partial(_compiled(name), self))

    def freeze(self, rows: int, *, project: bool) -> None:
        """Replace the linear layers by packed ones; `project`: the fused input projection too.

        A compiled block is no longer: the packed kernels fuse on their own.
        """
        for name in _COMPILED:
            self.__dict__.pop(name, None)
        owners = [(self.attention, "output")]
        owners += [(self.attention, "query_key_value")] if project else []
        feed = self.feed_forward
        if feed is not None:
            owners += [(feed, "input"), (feed, "output")]  # type: ignore[list-item]
        for owner, name in owners:
            linear = getattr(owner, name)
            if isinstance(linear, nn.Linear) and linear.weight.dtype in _FREEZABLE:
                setattr(owner, name, PackedLinear(linear, rows))

    def _add(self, last: nn.Module, inner: Tensor, values: Tensor) -> Tensor:
        """values + dropout(last(inner)), in one kernel where nothing is dropped."""
        if self.training:
            return values + self.dropout(last(inner))
        return last(inner, residual=values)


def make_norm(config: TrunkConfig) -> nn.Module:
    """The norm that the configuration names."""
    if config.norm == "rms":
        return RootMeanSquareNorm(config.width, config.epsilon)
    return nn.LayerNorm(config.width, config.epsilon)


@cache
def _compiled(name: str) -> Callable[..., Any]:
    """A method of `Block` compiled, at its first call and once for all blocks of one shape."""
    return torch.compile(getattr(Block, name), dynamic=True)
