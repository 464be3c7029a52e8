"""Geometric relations say what a person would say of two boxes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors.geometry import geometric_relations, overlap_over_smaller
from detectors.scene import SceneObject


def relations(*boxes: tuple[float, float, float, float]) -> set[tuple[str, str, str]]:
    objects = [SceneObject(str(i), "thing", 1.0, box) for i, box in enumerate(boxes)]
    return {(r.subject, r.predicate, r.object) for r in geometric_relations(objects, 320, 240)}


def test_side_by_side() -> None:
    found = relations((10, 100, 50, 150), (200, 105, 250, 150))
    assert found == {("0", "to the left of", "1"), ("1", "to the right of", "0")}


def test_one_above_the_other() -> None:
    found = relations((100, 10, 140, 40), (100, 180, 140, 230))
    assert {("0", "above", "1"), ("1", "below", "0")} <= found
    assert not any("left" in predicate for _, predicate, _ in found)


def test_a_cup_on_a_table() -> None:
    assert ("0", "on", "1") in relations((120, 80, 150, 125), (50, 110, 270, 220))


def test_a_cup_far_over_a_table_is_not_on_it() -> None:
    assert ("0", "on", "1") not in relations((120, 10, 150, 40), (50, 110, 270, 220))


sides = st.tuples(st.floats(0, 300), st.floats(0, 220), st.floats(1, 20), st.floats(1, 20))
boxes = sides.map(lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3]))


@given(st.lists(boxes, max_size=5))
def test_opposites_come_together_and_scores_are_probabilities(found: list) -> None:
    objects = [SceneObject(str(i), "thing", 1.0, box) for i, box in enumerate(found)]
    result = geometric_relations(objects, 320, 240)
    opposite = {
        "to the left of": "to the right of",
        "to the right of": "to the left of",
        "above": "below",
        "below": "above",
        "near": "near",
    }
    triples = {(r.subject, r.predicate, r.object) for r in result}
    for relation in result:
        assert 0 <= relation.score <= 1
        if relation.predicate in opposite:
            assert (relation.object, opposite[relation.predicate], relation.subject) in triples


@given(boxes, boxes)
def test_overlap_is_a_share_and_symmetric(a: tuple, b: tuple) -> None:
    assert 0 <= overlap_over_smaller(a, b) <= 1 + 1e-9
    assert overlap_over_smaller(a, b) == overlap_over_smaller(b, a)
