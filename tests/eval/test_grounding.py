"""Grounding as the official script computes it, and the corrected figure beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.errors import InputError
from eval.grounding import GroundingScorer, corrected_grounding, official_grounding, spatial_cells

GRAPH = {
    "width": 100,
    "height": 50,
    "objects": {
        "1": {"name": "dog", "x": 0, "y": 0, "w": 50, "h": 50},
        "2": {"name": "cat", "x": 50, "y": 25, "w": 50, "h": 25},
        "3": {"name": "hat", "x": 25, "y": 10, "w": 10, "h": 5},
    },
}


def literal(attention: list[list[float]], regions: list[tuple[float, ...]]) -> float:
    """The definition, one cell and one region at a time; map[i][j] has i along x."""
    size, total = len(attention), 0.0
    for x1, y1, x2, y2 in regions:
        for i in range(size):
            for j in range(size):
                width = min(x2, (i + 1) / size) - max(x1, i / size)
                height = min(y2, (j + 1) / size) - max(y1, j / size)
                if width > 0 and height > 0:
                    total += attention[i][j] * width * height * size * size
    return total


UNIT = st.floats(0, 1, allow_subnormal=False)
BOX = st.tuples(UNIT, UNIT, UNIT, UNIT).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(UNIT, min_size=3, max_size=3), min_size=3, max_size=3),
    st.lists(BOX, max_size=4),
)
def test_official_grounding_equals_the_literal_definition(
    attention: list[list[float]], regions: list[Any]
) -> None:
    weights = np.array(attention).reshape(-1)
    ours = official_grounding(spatial_cells(3, x_first=True), weights, regions)
    assert ours == pytest.approx(literal(attention, regions), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(BOX, min_size=1, max_size=4), st.integers(0, 9))
def test_corrected_grounding_is_the_share_inside_the_union(regions: list[Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.random(9)
    cells = spatial_cells(3, x_first=False)
    ours = corrected_grounding(cells, weights, regions)
    points = (np.arange(300) + 0.5) / 300
    x, y = np.meshgrid(points, points)
    inside = np.zeros_like(x, dtype=bool)
    for x1, y1, x2, y2 in regions:
        inside |= (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
    share = inside.reshape(3, 100, 3, 100).mean(axis=(1, 3)).reshape(-1)
    assert ours == pytest.approx((share * weights).sum() / weights.sum(), abs=0.05)


def question(**annotations: Any) -> dict[str, Any]:
    whole = {"question": {}, "answer": {}, "fullAnswer": {}} | annotations
    return {"imageId": "n1", "annotations": whole, "semantic": [{"argument": "scene"}]}


def scored(attention: Any, **annotations: Any) -> GroundingScorer:
    scorer = GroundingScorer(2)
    record = question(**annotations)
    scorer.observe("q", record | {"semantic": [{"argument": "dog (1)"}]})
    scorer.score({"q": attention}, {"n1": GRAPH})
    return scorer


def test_first_index_of_the_map_runs_along_x() -> None:
    left_column_in_official_reading = [[0.5, 0.5], [0, 0]]
    scorer = scored(left_column_in_official_reading, question={"1": "1"})
    assert scorer.official["q"] == pytest.approx(1)
    assert scorer.corrected["q"] == pytest.approx(0.5)


def test_an_object_named_twice_counts_twice_officially_and_once_corrected() -> None:
    scorer = scored([[1, 0], [0, 0]], question={"1": "1"}, fullAnswer={"2": "1"})
    assert scorer.official["q"] == pytest.approx(2)
    assert scorer.corrected["q"] == pytest.approx(1)


def test_answer_pointers_count_only_in_the_corrected_figure() -> None:
    scorer = scored([[0, 0], [0, 1]], answer={"0": "2"})
    assert scorer.official["q"] == 0
    assert scorer.corrected["q"] == pytest.approx(1)


def test_questions_without_pointers_stay_in_the_official_mean() -> None:
    scorer = GroundingScorer(2)
    scorer.observe("a", question(question={"1": "1"}) | {"semantic": []})
    scorer.observe("b", question() | {"semantic": []})
    scorer.score({"a": [[0.5, 0.5], [0, 0]], "b": [[1, 0], [0, 0]]}, {"n1": GRAPH})
    official, corrected = scorer.figures()
    assert (official.value, official.count) == (pytest.approx(50), 2)
    assert corrected.count == 1


def test_scene_questions_have_no_whole_region_officially() -> None:
    scorer = GroundingScorer(2)
    scorer.observe("q", question())
    scorer.score({"q": [[0.25, 0.25], [0.25, 0.25]]}, {"n1": GRAPH})
    assert scorer.official["q"] == 0
    assert scorer.corrected["q"] == pytest.approx(1)


def test_object_attention_is_read_as_boxes_with_weights() -> None:
    rows = [[0, 0, 0.5, 1, 0.7], [0.5, 0, 1, 1, 0.3]]
    scorer = scored(rows, question={"1": "1"})
    assert scorer.official["q"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("attention", "what"),
    [
        ([[float("nan"), 0], [0, 0]], "NaN"),
        ([[1, 0, 0]], "expected 2 x 2 numbers"),
        ([[0, 0], [0]], "expected 2 x 2 numbers"),
        ("x", "expected 2 x 2 numbers"),
        ([[0.5, 0, 0.5, 1, 1.0]], "box without area"),
        (None, "NaN|expected 2 x 2"),
    ],
)
def test_bad_attention_is_one_clear_line(attention: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        scored(attention, question={"1": "1"})


def test_absent_attention_graphs_and_objects_are_named() -> None:
    scorer = GroundingScorer(2)
    scorer.observe("q", question(question={"0": "77"}))
    with pytest.raises(InputError, match="77: the object is not in the graph"):
        scorer.score({}, {"n1": GRAPH})
    scorer = GroundingScorer(2)
    scorer.observe("q", question())
    with pytest.raises(InputError, match="no graph"):
        scorer.score({}, {})
    scorer = GroundingScorer(2)
    scorer.observe("q", question())
    with pytest.raises(InputError, match="no attention for this question"):
        scorer.score({}, {"n1": GRAPH})
