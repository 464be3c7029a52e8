from __future__ import annotations

import torch

from knowledge.gate import ContextGate


def test_weights_and_the_null_sum_to_one_and_respect_the_mask() -> None:
    torch.manual_seed(0)
    gate = ContextGate(8)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    weights, null = gate(torch.randn(2, 8), torch.randn(2, 3, 8), torch.rand(2, 3), mask)
    assert weights.shape == (2, 3) and null.shape == (2,)
    assert torch.allclose(weights.sum(1) + null, torch.ones(2))
    assert weights[0, 2] == 0 and torch.equal(weights[1], torch.zeros(3))
    assert null[1] == 1


def test_no_items_leave_all_to_the_null() -> None:
    gate = ContextGate(4)
    empty = torch.zeros(1, 0)
    weights, null = gate(torch.randn(1, 4), torch.zeros(1, 0, 4), empty, empty.bool())
    assert weights.shape == (1, 0) and null.item() == 1


def test_the_gate_learns_to_take_the_matching_item_and_to_take_none() -> None:
    torch.manual_seed(0)
    gate = ContextGate(4)
    optimizer = torch.optim.Adam(gate.parameters(), lr=0.05)
    questions = torch.eye(4)[:3]
    items = torch.eye(4)[[0, 1]].expand(3, 2, 4)
    relevance, mask = torch.full((3, 2), 0.5), torch.ones(3, 2, dtype=torch.bool)
    target = torch.tensor([0, 1, 2])
    for _ in range(200):
        weights, null = gate(questions, items, relevance, mask)
        loss = -torch.log(torch.cat([weights, null[:, None]], 1))[range(3), target].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights, null = gate(questions, items, relevance, mask)
    assert torch.cat([weights, null[:, None]], 1).argmax(1).tolist() == [0, 1, 2]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in gate.parameters())
