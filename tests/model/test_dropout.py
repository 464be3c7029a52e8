from __future__ import annotations

import pytest
import torch

from gqa_reasoner.model.dropout import ByteDropout


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_share_and_the_mean_are_kept(p: float) -> None:
    torch.manual_seed(0)
    layer, values = ByteDropout(p), torch.ones(333, 301, requires_grad=True)
    result = layer(values)
    assert float((result == 0).float().mean()) == pytest.approx(p, abs=0.005)
    assert float(result.detach().mean()) == pytest.approx(1.0, abs=0.01)
    result.sum().backward()
    assert torch.equal(values.grad, result.detach())
    again = layer(values)
    assert not torch.equal(again, result)
    torch.manual_seed(0)
    assert torch.equal(layer(values), result)
    halves = (result[:, ::2] == 0).float().mean(), (result[:, 1::2] == 0).float().mean()
    assert abs(float(halves[0] - halves[1])) < 0.01


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_ends_and_evaluation_are_plain(p: float) -> None:
    values = torch.randn(5, 3)
    layer = ByteDropout(p)
    assert torch.equal(layer(values), values * (1 - p))
    assert torch.equal(ByteDropout(0.3).eval()(values), values)
    assert ByteDropout(0.3)(values[:0]).shape == (0, 3)
