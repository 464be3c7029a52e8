"""A negated description means the object annotated with the opposite; `doing` has three types."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.scene import Scene, SceneObject, SceneVocabulary
from gqa_reasoner.program.executor import execute
from gqa_reasoner.program.lexicon import opposite
from gqa_reasoner.program.steps import Program
from knowledge.ontology import Ontology


@pytest.fixture(scope="module")
def ontology() -> Ontology:
    return Ontology.default()


def scene(*things: tuple[str, tuple[str, ...]]) -> Scene:
    objects = [
        SceneObject(str(i), name, 1.0, (20.0 * i, 0.0, 20.0 * i + 15, 15.0), dict.fromkeys(a, 1.0))
        for i, (name, a) in enumerate(things)
    ]
    return Scene("s", 200, 100, objects)


def answer(text: str, where: Scene, ontology: Ontology, mode: str = "hard") -> str:
    return execute(Program.from_semantic_str(text), where, ontology, mode=mode).answer


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("not-healthy", "healthy"),
        ("turned-off", "on"),
        ("open", "closed"),
        ("wet", "dry"),
        ("red", None),
    ],
)
def test_opposites(value: str, other: str | None) -> None:
    assert opposite(value) == other


def test_the_object_with_the_opposite_is_meant(ontology: Ontology) -> None:
    cows = scene(("cow", ("small",)), ("cow", ("large", "healthy")))
    text = "select: cow->filter: not(not-healthy) [0]->query: size [1]"
    assert answer(text, cows, ontology) == "large"


def test_without_an_opposite_all_that_lack_the_value_stay(ontology: Ontology) -> None:
    doors = scene(("door", ("red", "open")), ("door", ("blue",)))
    text = "select: door->filter: not(open) [0]->query: color [1]"
    assert answer(text, doors, ontology) == "blue"


def test_existence_is_not_narrowed(ontology: Ontology) -> None:
    doors = scene(("door", ("open",)), ("door", ()))
    assert answer("select: door->filter: not(open) [0]->exist: ? [1]", doors, ontology) == "yes"


@pytest.mark.parametrize("kind", ["activity", "pose", "sportActivity"])
def test_what_a_detector_sees_somebody_do_may_be_of_any_type(ontology: Ontology, kind: str) -> None:
    words = ("standing", "walking", "running")
    man = SceneObject("0", "man", 1.0, (0.0, 0.0, 20.0, 40.0))
    seen = Scene(
        "s",
        100,
        100,
        [man],
        class_probabilities=np.array([[0.95]], dtype=np.float32),
        attribute_probabilities=np.array([[0.9, 0.05, 0.04]], dtype=np.float32),
        vocabulary=SceneVocabulary(("man",), words, ()),
    )
    assert answer(f"select: man->query: {kind} [0]", seen, ontology, "soft") == "standing"
