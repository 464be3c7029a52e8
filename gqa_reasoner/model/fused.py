"""Linear layers on oneDNN: a little faster, and with their GELU or residual sum in one kernel.

On the processor oneDNN multiplies float32 faster than the library behind `addmm`, but for the
weights' gradient. Where no gradient is needed, its kernels also apply the activation or the sum
while a result is still in the cache. `frozen.py` goes further: it keeps the weights in oneDNN's
form, for inference alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gqa_reasoner.model.frozen import can_freeze

__all__ = ["FusedLinear", "fused_linear"]

_TYPES = (torch.float32, torch.bfloat16)
_ROWS = 512
"""Rows from which on a training step gains by oneDNN."""


class FusedLinear(nn.Linear):
    """`nn.Linear` with `fused_linear`'s options."""

    def forward(
        self, values: Tensor, residual: Tensor | None = None, *, gelu: bool = False
    ) -> Tensor:
        """(..., in) to (..., out); with `residual` (..., out) added, or the exact GELU applied."""
        return fused_linear(values, self.weight, self.bias, residual, gelu=gelu)


def fused_linear(
    values: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None = None,
    *,
    gelu: bool = False,
) -> Tensor:
    """x Wᵀ + b, with `residual` added or the exact GELU applied, in one kernel where there is one.

    Args:
        values: (..., in).
        weight: (out, in).
        bias: (out,) or None.
        residual: (..., out); not with `gelu`.
    """
    kernel = _has_kernel(values, weight)
    if kernel and not torch.is_grad_enabled():
        if residual is not None:
            return torch.ops.mkldnn._linear_pointwise.binary(values, residual, weight, bias, "add")
        return _product(values, weight, bias, gelu=gelu)
    if kernel and weight.dtype == torch.float32 and values.numel() >= _ROWS * values.shape[-1]:
        result = _Linear.apply(values, weight, bias)
    else:
        result = functional.linear(values, weight, bias)
    if torch.is_grad_enabled():
        result = functional.gelu(result) if gelu else result
        return result if residual is None else residual + result
    result = torch.ops.aten.gelu_(result) if gelu else result
    return result if residual is None else result.add_(residual)


class _Linear(torch.autograd.Function):
    """x Wᵀ + b in training: oneDNN forwards and for the input's gradient."""

    @staticmethod
    def forward(context: Any, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(values, weight)
        return _product(values, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, weight = context.saved_tensors
        wanted = context.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            _product(gradient, weight.T, None) if wanted[0] else None,
            rows.T @ values.flatten(0, -2) if wanted[1] else None,
            rows.sum(0) if wanted[2] else None,
        )


def _product(values: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool = False) -> Tensor:
    name, algorithm = ("gelu", "none") if gelu else ("none", "")
    return torch.ops.mkldnn._linear_pointwise(values, weight, bias, name, [], algorithm)


def _has_kernel(values: Tensor, weight: Tensor) -> bool:
    return (
        values.device.type == "cpu"
        and values.dtype == weight.dtype
        and values.dtype in _TYPES
        and values.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and can_freeze()
    )
