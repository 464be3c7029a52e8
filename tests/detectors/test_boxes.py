from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from detectors.anchors import AnchorGenerator, cell_anchors
from detectors.boxes import BoxCoder, box_iou, clip_boxes, flip_boxes

SIDE = st.floats(1, 200, width=32)
BOX = st.tuples(SIDE, SIDE, SIDE, SIDE).map(lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]])


@given(reference=BOX, target=BOX)
def test_decoding_undoes_encoding(reference: list[float], target: list[float]) -> None:
    a, b = torch.tensor([reference]), torch.tensor([target])
    small_enough = max((b[0, 2:] - b[0, :2]) / (a[0, 2:] - a[0, :2])) < 60
    for coder in (BoxCoder(), BoxCoder((10.0, 10.0, 5.0, 5.0))):
        if small_enough:
            assert torch.allclose(coder.decode(a, coder.encode(a, b)), b, rtol=1e-3, atol=2e-2)


def test_deltas_have_the_published_values() -> None:
    deltas = BoxCoder((10.0, 10.0, 5.0, 5.0)).encode(
        torch.tensor([0.0, 0, 10, 20]), torch.tensor([5.0, 0, 25, 20])
    )
    expected = [10 * 1.0, 0.0, 5 * math.log(2), 0.0]
    assert torch.allclose(deltas, torch.tensor(expected), atol=1e-5)


def test_decoding_cuts_enormous_scales() -> None:
    box = BoxCoder().decode(torch.tensor([0.0, 0, 16, 16]), torch.tensor([0.0, 0, 50, 50]))
    assert torch.allclose(box[2:] - box[:2], torch.tensor([1000.0, 1000.0]))


def test_overlap_of_touching_empty_and_equal_boxes() -> None:
    a = torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 5]])
    b = torch.tensor([[10.0, 0, 20, 10], [0, 0, 10, 10], [0, 5, 10, 15], [5, 5, 5, 5]])
    expected = torch.tensor([[0.0, 1.0, 1 / 3, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert torch.allclose(box_iou(a, b), expected)


@given(box=BOX)
def test_mirroring_twice_changes_nothing(box: list[float]) -> None:
    boxes = torch.tensor([box])
    assert torch.allclose(flip_boxes(flip_boxes(boxes, 500), 500), boxes, atol=1e-3)


def test_clipping_keeps_boxes_inside() -> None:
    boxes = clip_boxes(torch.tensor([[-5.0, -5, 400, 300]]), 240, 320)
    assert boxes.tolist() == [[0, 0, 320, 240]]


def test_anchors_have_the_published_sizes_and_places() -> None:
    cell = cell_anchors([32.0], [0.5, 1.0, 2.0])
    sides = cell[:, 2:] - cell[:, :2]
    assert torch.allclose(sides[:, 0] * sides[:, 1], torch.full((3,), 1024.0))
    assert torch.allclose(sides[:, 1] / sides[:, 0], torch.tensor([0.5, 1.0, 2.0]))
    levels = AnchorGenerator([[32.0], [64.0]], [1.0], [8, 16], offset=0.5)([(2, 3), (1, 2)])
    assert levels[0][:4].tolist() == [
        [-12, -12, 20, 20],
        [-4, -12, 28, 20],
        [4, -12, 36, 20],
        [-12, -4, 20, 28],
    ]
    assert levels[1][0].tolist() == [-24, -24, 40, 40]
