from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.program.executor import execute
from gqa_reasoner.program.steps import Program
from gqa_reasoner.program.trace import build_trace, format_trace, render_overlay
from knowledge.ontology import Ontology

QUESTION = "What color is the hat that the man to the left of the dog is wearing?"


@pytest.fixture
def scene() -> Scene:
    objects = [
        SceneObject("1", "man", 1.0, (10, 20, 60, 180)),
        SceneObject("2", "hat", 1.0, (20, 10, 50, 30), {"red": 1.0}),
        SceneObject("3", "dog", 1.0, (100, 100, 160, 180), {"brown": 1.0}),
    ]
    relations = [Relation("1", "to the left of", "3"), Relation("1", "wearing", "2")]
    return Scene("1", 200, 200, objects, relations)


def _trace(text: str, scene: Scene) -> list[dict]:
    program = Program.from_display(text)
    return build_trace(program, execute(program, scene, Ontology.default()), scene)


def test_each_step_names_the_boxes_it_rests_on(scene: Scene) -> None:
    trace = _trace(
        "Select: dog → Relate: man, left → Relate: hat, wearing, o → Query: color", scene
    )
    assert [record["step"] for record in trace] == [
        "Select: dog",
        "Relate: man, left",
        "Relate: hat, wearing, o",
        "Query: color",
    ]
    assert trace[1]["objects"] == [{"name": "man", "box": [10, 20, 60, 180], "weight": 1.0}]
    assert [item["name"] for item in trace[3]["objects"]] == ["hat"]
    assert trace[3]["answer"] == "red"
    assert json.loads(json.dumps(trace)) == trace


def test_truths_are_shown_and_absent_objects_leave_a_step_empty(scene: Scene) -> None:
    trace = _trace("Select: cat → Exist → Select: dog → Verify color: brown → Or [1, 3]", scene)
    assert trace[0]["objects"] == []
    assert [record.get("truth") for record in trace] == [None, 0.0, None, 1.0, 1.0]
    assert format_trace(trace).splitlines() == [
        "0. Select: cat",
        "1. Exist  (no 0.00)",
        "2. Select: dog  ⇒ dog 1.00 [100 100 160 180]",
        "3. Verify color: brown  ⇒ dog 1.00 [100 100 160 180]  (yes 1.00)",
        "4. Or [1, 3]  (yes 1.00)",
    ]


def test_the_overlay_draws_boxes_and_panel(scene: Scene) -> None:
    text = "Select: dog → Relate: man, left → Relate: hat, wearing, o → Query: color"
    context = SimpleNamespace(
        triples=[SimpleNamespace(text="hat is clothing")],
        queries=[SimpleNamespace(text="what is the man wearing?")],
    )
    answer = SimpleNamespace(
        text="red",
        score=0.9,
        candidates=[SimpleNamespace(answer="red", score=0.9)],
        trace=_trace(text, scene),
        context=context,
        notes=["a note"],
    )
    blank = Image.new("RGB", (200, 200), (90, 90, 90))
    drawn = render_overlay(blank, QUESTION, answer)
    again = render_overlay(blank, QUESTION, answer)
    assert drawn.mode == "RGB"
    assert drawn.width > 720
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(again))
    picture = np.asarray(drawn)[:, :720]
    assert (picture == (31, 119, 180)).all(axis=2).sum() > 100, "the first step's box is drawn"
    assert blank.getpixel((100, 100)) == (90, 90, 90), "the given picture is left alone"


@pytest.mark.parametrize("size", [(1, 1), (20, 3000), (3000, 20), (4000, 3000)])
def test_the_overlay_takes_any_size_and_any_text(size: tuple[int, int]) -> None:
    box = [-5.0, -5.0, size[0] * 2.0, size[1] * 2.0]
    record = {
        "step": "Select: " + "x" * 300,
        "objects": [{"name": "y" * 99, "box": box, "weight": 1}],
    }
    answer = SimpleNamespace(
        text="z" * 200, score=1.0, candidates=[], trace=[record] * 30, context=None, notes=[]
    )
    drawn = render_overlay(Image.new("L", size), "w" * 10_000, answer)
    assert max(drawn.size) < 6000
