"""One layer's weights, and how a batch's positions lie in memory.

Legend: B batch, L length, N real positions of a packed batch, D width, I inner attention width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from gqa_reasoner.model.attention import Attention, FeedForward, RootMeanSquareNorm
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.plan import Row

__all__ = ["Block", "Layout", "make_norm"]


class Layout(NamedTuple):
    """How a group's positions lie: padded (B, L, D), or packed (N, D) with `places` in B * L."""

    batch: int
    length: int
    places: Tensor | None

    def pad(self, values: Tensor) -> Tensor:
        """To (B, L, D), zeros at padding."""
        if self.places is None:
            return values
        flat = values.new_zeros(self.batch * self.length, values.shape[-1])
        return flat.index_copy(0, self.places, values).unflatten(0, (self.batch, self.length))

    def pack(self, values: Tensor) -> Tensor:
        """From (B, L, D) to the layout's own form."""
        return values if self.places is None else values.flatten(0, 1).index_select(0, self.places)


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
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward = None
        if row.feed_forward:
            self.feed_forward = FeedForward(
                config.width, config.hidden, config.activation, bias=config.bias
            )
            self.feed_forward_norm = make_norm(config)

    def finish(self, values: Tensor, mixed: Tensor) -> Tensor:
        """Residual, norms and feed-forward after the attention has mixed the values (..., I)."""
        update = self.dropout(self.attention.output(mixed))
        values = values + update if self.pre else self.attention_norm(values + update)
        if self.feed_forward is None:
            return values
        inner = self.feed_forward_norm(values) if self.pre else values
        values = values + self.dropout(self.feed_forward(inner))
        return values if self.pre else self.feed_forward_norm(values)


def make_norm(config: TrunkConfig) -> nn.Module:
    """The norm that the configuration names."""
    if config.norm == "rms":
        return RootMeanSquareNorm(config.width, config.epsilon)
    return nn.LayerNorm(config.width, config.epsilon)
