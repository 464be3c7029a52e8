"""`query: count`, this project's extension for "how many"."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.scene import Scene, SceneObject
from gqa_reasoner.program.answer_steps import count_distribution
from gqa_reasoner.program.executor import execute
from gqa_reasoner.program.steps import Program
from knowledge.ontology import Ontology


@given(st.lists(st.floats(0, 1), max_size=7))
def test_the_distribution_is_that_of_independent_objects(weights: list[float]) -> None:
    found = count_distribution(np.array(weights))
    for number in range(len(weights) + 1):
        expected = sum(
            float(np.prod([w if i in there else 1 - w for i, w in enumerate(weights)]))
            for there in itertools.combinations(range(len(weights)), number)
        )
        assert found.get(str(number), 0.0) == pytest.approx(expected, abs=2e-6)


def test_a_detector_that_found_none_may_have_missed_the_one_that_is_asked_for() -> None:
    scene = Scene("1", 100, 20, [SceneObject("0", "cat", 0.9, (0, 0, 9, 9))], detector="some")
    program = Program.from_display("Select: dog → Query: count")
    execution = execute(program, scene, Ontology.default(), mode="soft")
    assert execution.answer == "1"
    assert execution.answer_distribution["0"] > 0.3
    assert any("dog" in note for note in execution.notes)


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("Select: dog → Query: count", "2"),
        ("Select: animal → Query: count", "3"),
        ("Select: cat → Relate: dog, left → Query: count", "1"),
    ],
)
def test_objects_of_a_description_are_counted(program: str, answer: str) -> None:
    names = ("dog", "cat", "dog")
    objects = [SceneObject(str(i), n, 1.0, (i * 30, 0, i * 30 + 9, 9)) for i, n in enumerate(names)]
    scene = Scene("1", 100, 20, objects)
    for mode in ("hard", "soft"):
        execution = execute(Program.from_display(program), scene, Ontology.default(), mode=mode)
        assert execution.answer == answer


@pytest.mark.parametrize(
    ("question", "program"),
    [
        ("How many dogs are there?", "Select: dog → Query: count"),
        ("How many sheep are in the picture?", "Select: sheep → Query: count"),
        ("How many red cars do you see?", "Select: car → Filter color: red → Query: count"),
        (
            "How many chairs are to the left of the table?",
            "Select: table → Relate: chair, left → Query: count",
        ),
    ],
)
def test_how_many_is_read_as_a_count(question: str, program: str) -> None:
    from gqa_reasoner.program.parser import ProgramParser

    ontology = Ontology.default()
    parsed = ProgramParser.from_pretrained().parse(question).programs[0].program
    wanted = Program.from_display(program)
    assert [step.operation for step in parsed.steps] == [step.operation for step in wanted.steps]
    for step, other in zip(parsed.steps, wanted.steps, strict=True):
        name, *rest = step.argument.split(",")
        assert [ontology.singular(name), *rest] == other.argument.split(",")
