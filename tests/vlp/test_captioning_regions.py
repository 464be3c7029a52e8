"""Boxes as a bias on grid cells."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from detectors.errors import InputError
from gqa_reasoner.model.masks import FORBIDDEN
from gqa_reasoner.vlp.captioning.regions import cell_bias


def test_a_box_weighs_cells_by_how_much_it_covers_them():
    bias = cell_bias([(0, 0, 15, 10)], (40, 20), (2, 4))[0].view(2, 4)
    assert bias[0].tolist() == pytest.approx([0.0, math.log(0.5), FORBIDDEN, FORBIDDEN])
    assert bool((bias[1] == FORBIDDEN).all())


def test_a_box_inside_one_cell_sees_that_cell():
    bias = cell_bias([(12, 12, 13, 13)], (40, 20), (2, 4))[0]
    assert bias[5] == 0
    assert int((bias > FORBIDDEN / 2).sum()) == 1


@given(some.floats(-50, 150), some.floats(-50, 150), some.floats(1, 100), some.floats(1, 100))
def test_any_box_that_meets_the_picture_sees_a_cell(left, top, width, height):
    box = (left, top, left + width, top + height)
    if left >= 99 or top >= 79 or left + width <= 1 or top + height <= 1:
        return
    bias = cell_bias([box, (0, 0, 100, 80)], (100, 80), (7, 7))
    assert bias.max(dim=1).values.tolist() == [0.0, 0.0]
    assert torch.equal(bias[1], torch.zeros(49))


def test_no_boxes_give_no_rows():
    assert cell_bias([], (10, 10), (7, 7)).shape == (0, 49)


@pytest.mark.parametrize(
    "box",
    [
        (5, 5, 5, 9),
        (9, 5, 5, 9),
        (20, 20, 30, 30),
        (0, 0, float("nan"), 5),
        (0, 0, 5),
        (0, 0, 5, "a"),
    ],
)
def test_boxes_without_area_or_outside_are_refused(box):
    with pytest.raises(InputError, match="street: box 1"):
        cell_bias([(0, 0, 5, 5), box], (10, 10), (2, 2), source="street")
