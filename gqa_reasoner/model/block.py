"""One layer's weights.

Legend: D width, I inner attention width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gqa_reasoner.model.attention import Attention, FeedForward, RootMeanSquareNorm
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.frozen import PackedLinear
from gqa_reasoner.model.plan import Row

__all__ = ["Block", "make_norm"]

_FREEZABLE = (torch.float32, torch.bfloat16)


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
        values = self._add(self.attention.output, mixed, values)
        if not self.pre:
            values = self.attention_norm(values)
        if self.feed_forward is None:
            return values
        inner = self.feed_forward_norm(values) if self.pre else values
        values = self._add(self.feed_forward.output, self.feed_forward.inside(inner), values)
        return values if self.pre else self.feed_forward_norm(values)

    def freeze(self, rows: int, *, project: bool) -> None:
        """Replace the linear layers by packed ones; `project`: the fused input projection too."""
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
        """values + dropout(last(inner)), without a copy where no gradient is needed."""
        if isinstance(last, PackedLinear):
            return last(inner, residual=values)
        update = self.dropout(last(inner))
        return values + update if torch.is_grad_enabled() else update.add_(values)


def make_norm(config: TrunkConfig) -> nn.Module:
    """The norm that the configuration names."""
    if config.norm == "rms":
        return RootMeanSquareNorm(config.width, config.epsilon)
    return nn.LayerNorm(config.width, config.epsilon)
