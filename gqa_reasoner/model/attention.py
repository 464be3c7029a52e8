"""Multi-head attention with additive biases, the feed-forward sublayer, and norms.

Legend: B batch, Q queries, K keys, D width, H heads, I = H * head width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.model.fused import FusedLinear, fused_linear

__all__ = ["ACTIVATIONS", "Attention", "FeedForward", "RelativeBias", "RootMeanSquareNorm"]


def _quick_gelu(values: Tensor) -> Tensor:
    return values * torch.sigmoid(1.702 * values)


def _tanh_gelu(values: Tensor) -> Tensor:
    return functional.gelu(values, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "tanh_gelu": _tanh_gelu,
    "quick_gelu": _quick_gelu,
    "relu": functional.relu,
}


class Attention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017) with a fused input projection."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        head_width: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if head_width is None and width % heads:
            raise InputError(f"attention: width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.head_width = head_width or width // heads
        self.scale = scale if scale is not None else 1 / math.sqrt(self.head_width)
        self.dropout = dropout
        self.inner = heads * self.head_width
        self.query_key_value = FusedLinear(width, 3 * self.inner, bias=bias)
        self.output = FusedLinear(self.inner, width, bias=bias)

    def project(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(..., D) to queries, keys and values (..., I)."""
        query, key, value = self.query_key_value(values).split(self.inner, dim=-1)
        return query, key, value

    def project_queries(self, values: Tensor) -> Tensor:
        """(..., D) to queries (..., I) alone."""
        return self._part(values, 0, self.inner)

    def project_keys(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(..., D) to keys and values (..., I)."""
        key, value = self._part(values, self.inner, 3 * self.inner).split(self.inner, dim=-1)
        return key, value

    def _part(self, values: Tensor, start: int, stop: int) -> Tensor:
        bias = self.query_key_value.bias
        weight = self.query_key_value.weight[start:stop]
        return fused_linear(values, weight, None if bias is None else bias[start:stop])

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """Queries (B, Q, I) over keys (B, K, I) to mixed values (B, Q, I).

        Args:
            bias: added to the logits, broadcastable to (B, H, Q, K), or None.
        """
        shape = (self.heads, self.head_width)
        query, key, value = (part.unflatten(-1, shape) for part in (query, key, value))
        return self.attend_heads(query, key, value, bias)

    def attend_heads(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        *,
        causal: bool = False,
    ) -> Tensor:
        """`attend` with queries (B, Q, H, head width) and keys alike.

        Args:
            causal: a query sees its own and earlier places only; then without bias.
        """
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            attn_mask=bias,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
            scale=self.scale,
        )
        return mixed.transpose(1, 2).flatten(2)

    def weights(self, query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
        """The attention itself, (B, H, Q, K), rows sum to 1."""
        logits = self._split(query) @ self._split(key).transpose(-1, -2) * self.scale
        return (logits if bias is None else logits + bias).softmax(dim=-1)

    def _split(self, values: Tensor) -> Tensor:
        return values.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)


class FeedForward(nn.Module):
    """The position-wise sublayer; `gated_` activations multiply by a second projection
    (Shazeer 2020)."""

    def __init__(self, width: int, inner: int, activation: str, *, bias: bool = True) -> None:
        super().__init__()
        name = activation.removeprefix("gated_")
        if name not in ACTIVATIONS:
            known = sorted(ACTIVATIONS) + [f"gated_{item}" for item in sorted(ACTIVATIONS)]
            raise InputError(
                f"trunk: activation: expected one of {', '.join(known)}, got {activation!r}"
            )
        self.activation = ACTIVATIONS[name]
        self.exact = name == "gelu"
        self.input = FusedLinear(width, inner, bias=bias)
        self.gate = FusedLinear(width, inner, bias=bias) if activation != name else None
        self.output = FusedLinear(inner, width, bias=bias)

    def forward(self, values: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        return self.output(self.inside(values))

    def inside(self, values: Tensor) -> Tensor:
        """(..., D) to the inner values (..., inner), ready for `output`."""
        if self.exact:
            hidden = self.input(values, gelu=True)
        else:
            hidden = self.activation(self.input(values))
        return hidden if self.gate is None else hidden * self.gate(values)


class RootMeanSquareNorm(nn.Module):
    """x / rms(x) * weight (Zhang and Sennrich 2019): no mean, no bias."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, values: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        square = values.float().pow(2).mean(dim=-1, keepdim=True)
        return self.weight * (values * torch.rsqrt(square + self.eps)).to(self.weight.dtype)


class RelativeBias(nn.Module):
    """A learned bias per head and bucket of distance (Raffel et al. 2020, section 2.1).

    Near distances have a bucket each; farther ones share logarithmically growing buckets up to
    `distance`, beyond which all share the last. `both` splits the buckets between directions.
    """

    def __init__(self, heads: int, buckets: int, distance: int, *, both: bool) -> None:
        super().__init__()
        self.buckets, self.distance, self.both = buckets, distance, both
        self.table = nn.Embedding(buckets, heads)

    def bucket(self, offset: Tensor) -> Tensor:
        """Bucket of each key position minus query position."""
        buckets = self.buckets
        first = torch.zeros_like(offset)
        if self.both:
            buckets //= 2
            first = (offset > 0).long() * buckets
            reach = offset.abs()
        else:
            reach = (-offset).clamp(min=0)
        exact = buckets // 2
        grown = torch.log(reach.clamp(min=1).float() / exact) / math.log(self.distance / exact)
        far = (exact + (grown * (buckets - exact)).long()).clamp(max=buckets - 1)
        return first + torch.where(reach < exact, reach, far)

    def forward(self, length: int) -> Tensor:
        """(1, H, length, length)."""
        position = torch.arange(length, device=self.table.weight.device)
        offset = position[None, :] - position[:, None]
        return self.table(self.bucket(offset)).permute(2, 0, 1)[None]
