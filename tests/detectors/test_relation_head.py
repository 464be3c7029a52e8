from __future__ import annotations

import torch

from detectors.relation_head import GEOMETRY_SIZE, RelationHead, pair_geometry, relation_loss


def test_geometry_says_where_the_second_box_lies() -> None:
    boxes = torch.tensor([[[0.0, 0, 20, 10], [40, 0, 60, 10]]])
    geometry = pair_geometry(boxes, (100, 200))
    assert geometry.shape == (1, 2, 2, GEOMETRY_SIZE)
    assert geometry[0, 0, 1, 0] > 0
    assert geometry[0, 1, 0, 0] < 0
    assert torch.isfinite(geometry).all()


def test_geometry_of_empty_boxes_is_finite() -> None:
    assert torch.isfinite(pair_geometry(torch.zeros(1, 3, 4), (100, 200))).all()


def test_loss_ignores_padding_and_an_object_with_itself() -> None:
    logits = torch.zeros(1, 3, 3, 2, requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    relation_loss(logits, torch.ones(1, 3, 3, 2), mask).backward()
    assert logits.grad is not None
    touched = logits.grad[0].abs().sum(dim=-1) > 0
    assert touched.tolist() == [[False, True, False], [True, False, False], [False, False, False]]


def test_head_takes_no_objects() -> None:
    head = RelationHead(8, 3, 5, 4, 6)
    none = torch.zeros(1, 0, dtype=torch.int64)
    assert head(torch.zeros(1, 0, 8), none, torch.zeros(1, 0, 4), (10, 10)).shape == (1, 0, 0, 5)
