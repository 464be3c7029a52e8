"""Random changes of training pictures: boxes stay on what they name."""

from __future__ import annotations

import torch

from detectors.faster_rcnn import Targets
from gqa_reasoner.training.detector_augmentation import change_size


def white_box(count: int) -> tuple[torch.Tensor, Targets]:
    """Black pictures of 60 x 80 with a white rectangle that the truth names."""
    pictures = torch.zeros(count, 3, 60, 80, dtype=torch.uint8)
    pictures[:, :, 20:40, 30:60] = 255
    return pictures, Targets(
        torch.tensor([[30.0, 20, 60, 40]]).repeat(count, 1, 1),
        torch.zeros(count, 1, dtype=torch.int64),
        torch.ones(count, 1, dtype=torch.bool),
        torch.zeros(count, 1, 0),
        torch.zeros(count, 1, 1, 0),
        {},
    )


def test_boxes_follow_the_pixels() -> None:
    pictures, truth = white_box(12)
    moved, targets = change_size(pictures, truth, 0.6, torch.Generator().manual_seed(0))
    assert moved.shape == pictures.shape
    sides = targets.boxes[:, 0, 2] - targets.boxes[:, 0, 0]
    assert sides.min() < 25 < 35 < sides.max()
    for picture, box in zip(moved, targets.boxes[:, 0], strict=True):
        lit = (picture[0] > 128).nonzero().float()
        corners = torch.cat([lit.amin(dim=0).flip(0), lit.amax(dim=0).flip(0) + 1])
        assert torch.allclose(corners, box, atol=1.0)


def test_objects_that_leave_the_frame_are_not_asked_for() -> None:
    pictures, truth = white_box(40)
    truth = truth._replace(boxes=torch.tensor([[0.0, 0, 10, 10]]).repeat(40, 1, 1))
    _, targets = change_size(pictures, truth, 2.0, torch.Generator().manual_seed(0))
    gone = ~targets.mask[:, 0]
    assert gone.any()
    assert not gone.all()
    area = (targets.boxes[..., 2:] - targets.boxes[..., :2]).prod(dim=-1)[:, 0]
    assert area[gone].max() < area[~gone].max()
    assert targets.boxes.min() >= 0


def test_no_change_draws_nothing_from_the_generator() -> None:
    pictures, truth = white_box(2)
    generator = torch.Generator().manual_seed(5)
    before = generator.get_state()
    same, targets = change_size(pictures, truth, 0.0, generator)
    assert same is pictures
    assert targets is truth
    assert torch.equal(generator.get_state(), before)
