"""Linear layers whose weights lie as the processor's matrix kernels want them: inference alone.

oneDNN reorders a weight into its blocked form on every call unless it is kept in that form; kept
so, a multiplication runs faster and takes its GELU or its residual sum with it. The plain weight
is dropped, so that the memory stays the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PackedLinear", "can_freeze", "native_bfloat16"]


def can_freeze() -> bool:
    """Whether this torch has the kernels."""
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_reorder_linear_weight"
    )


def native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (AVX-512 BF16 or AMX)."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


class PackedLinear(nn.Module):
    """`nn.Linear` for inference on the processor; no gradients, no `state_dict`.

    Args:
        rows: typical number of rows, a hint for the blocking.
    """

    def __init__(self, linear: nn.Linear, rows: int = 2048) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.out_features, self.in_features = weight.shape
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        self.bias = None if linear.bias is None else linear.bias.detach().clone()

    def forward(
        self, values: Tensor, residual: Tensor | None = None, *, gelu: bool = False
    ) -> Tensor:
        """(..., in) to (..., out); with `residual` (..., out) added, or the exact GELU applied."""
        if residual is not None:
            return torch.ops.mkldnn._linear_pointwise.binary(
                values, residual, self.packed, self.bias, "add"
            )
        name, algorithm = ("gelu", "none") if gelu else ("none", "")
        return torch.ops.mkldnn._linear_pointwise(
            values, self.packed, self.bias, name, [], algorithm
        )
