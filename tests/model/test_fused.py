from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gqa_reasoner.model import fused
from gqa_reasoner.model.fused import FusedLinear, fused_linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 8), (0, 8)])
def test_fused_and_plain_linear_layers_agree(bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = FusedLinear(8, 6, bias=bias)
    plain = nn.Linear(8, 6, bias=bias)
    plain.load_state_dict(layer.state_dict())
    values, residual = torch.randn(shape), torch.randn(*shape[:-1], 6)
    kept = residual.clone()
    expected = plain(values).detach()
    for context in (torch.no_grad(), torch.inference_mode(), torch.enable_grad()):
        with context:
            torch.testing.assert_close(layer(values), expected)
            torch.testing.assert_close(layer(values, gelu=True), functional.gelu(expected))
            torch.testing.assert_close(layer(values, residual), expected + residual)
    assert torch.equal(residual, kept)


@pytest.mark.parametrize("shape", [(600, 8), (2, 300, 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_large_training_batches_have_the_plain_gradients(
    shape: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(0)
    found = []
    layer = FusedLinear(8, 6, bias=bias)
    plain = nn.Linear(8, 6, bias=bias)
    plain.load_state_dict(layer.state_dict())
    start, weights = torch.randn(shape), torch.randn(*shape[:-1], 6)
    for module in (layer, plain):
        values = start.clone().requires_grad_()
        result = module(values)
        (result.tanh() * weights).sum().backward()
        found.append((result, values.grad, *(p.grad for p in module.parameters())))
    assert "_Linear" in type(found[0][0].grad_fn).__name__
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_gradients_and_other_types_take_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, values = FusedLinear(4, 4), torch.randn(3, 4)
    layer(values, values, gelu=False).sum().backward()
    assert layer.weight.grad is not None
    with torch.no_grad():
        wide = fused_linear(values.double(), layer.weight.double(), layer.bias.double(), gelu=True)
        torch.testing.assert_close(wide.float(), layer(values, gelu=True))
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(values).dtype == torch.bfloat16
        monkeypatch.setattr(fused, "can_freeze", lambda: False)
        expected = values + functional.linear(values, layer.weight, layer.bias)
        torch.testing.assert_close(layer(values, values), expected)
