from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gqa_reasoner.tinygqa.relations import above, left_of, near

SIDE = st.integers(1, 120)
CORNER = st.integers(0, 200)
BOX = st.tuples(CORNER, CORNER, SIDE, SIDE).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@given(BOX, BOX)
def test_left_of_never_holds_both_ways(first: tuple, second: tuple) -> None:
    assert not (left_of(first, second) and left_of(second, first))


@given(BOX, BOX)
def test_left_of_agrees_with_the_centres(first: tuple, second: tuple) -> None:
    if left_of(first, second):
        assert first[0] + first[2] < second[0] + second[2]


@given(BOX, BOX)
def test_near_is_symmetric(first: tuple, second: tuple) -> None:
    assert near(first, second) == near(second, first)


def test_boxes_on_top_of_each_other_are_on_no_side() -> None:
    assert not left_of((10, 10, 50, 50), (20, 60, 60, 90))
    assert left_of((10, 10, 50, 50), (45, 60, 90, 90))


def test_above_needs_shared_columns_and_a_small_gap() -> None:
    assert above((10, 0, 50, 20), (12, 40, 60, 90))
    assert not above((10, 0, 50, 20), (60, 40, 90, 90))
    assert not above((10, 0, 50, 20), (12, 120, 60, 160))
