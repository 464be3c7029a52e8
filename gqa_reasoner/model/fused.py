"""Linear layers that take their GELU or their residual sum with them where no gradient is needed.

On the processor oneDNN multiplies float32 a little faster than the library behind `addmm`, and its
kernels apply the activation or the sum while a result is still in the cache. `frozen.py` goes
further: it also keeps the weights in oneDNN's form, for inference alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gqa_reasoner.model.frozen import can_freeze

__all__ = ["FusedLinear", "fused_linear"]

_TYPES = (torch.float32, torch.bfloat16)


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
    if _has_kernel(values, weight):
        if residual is not None:
            return torch.ops.mkldnn._linear_pointwise.binary(values, residual, weight, bias, "add")
        name, algorithm = ("gelu", "none") if gelu else ("none", "")
        return torch.ops.mkldnn._linear_pointwise(values, weight, bias, name, [], algorithm)
    result = functional.linear(values, weight, bias)
    if torch.is_grad_enabled():
        result = functional.gelu(result) if gelu else result
        return result if residual is None else residual + result
    result = torch.ops.aten.gelu_(result) if gelu else result
    return result if residual is None else result.add_(residual)


def _has_kernel(values: Tensor, weight: Tensor) -> bool:
    return (
        not torch.is_grad_enabled()
        and values.device.type == "cpu"
        and values.dtype == weight.dtype
        and values.dtype in _TYPES
        and values.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and can_freeze()
    )
