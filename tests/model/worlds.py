"""A small hand-made world for the tests: scenes, programs and a parser that knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.scene import Relation, Scene, SceneObject, SceneVocabulary
from gqa_reasoner.data.questions import Question
from gqa_reasoner.program.steps import Program

CLASSES = ("dog", "cat", "table", "apple")
COLORS = ("red", "brown", "white")


@dataclass
class Scored:
    program: Program
    score: float


@dataclass
class Failure:
    reason: str


@dataclass
class Parse:
    programs: list[Scored]
    failure: Failure | None = None


@dataclass
class Triple:
    text: str
    object_ids: tuple[str, ...]
    relevance: float = 0.5
    source: str = "test"


@dataclass
class Query:
    text: str
    relevance: float = 0.5
    source: str = "test"


@dataclass
class Context:
    triples: list[Triple]
    queries: list[Query]


def parse_of(semantic: str, score: float = 0.9) -> Parse:
    return Parse([Scored(Program.from_semantic_str(semantic), score)])


def scene_of(seed: int = 0, count: int = 4, dense: bool = True, detector: str = "test") -> Scene:
    random = np.random.default_rng(seed)
    names = [CLASSES[i] for i in random.permutation(len(CLASSES))[:count]]
    colors = [COLORS[i] for i in random.integers(len(COLORS), size=count)]
    objects = [
        SceneObject(str(i), name, 0.9, (10 * i, 20, 10 * i + 30, 60), {color: 0.9})
        for i, (name, color) in enumerate(zip(names, colors, strict=True))
    ]
    scene = Scene(
        str(seed),
        320,
        240,
        objects,
        [Relation("0", "on", "1", 0.8)] if count > 1 else [],
        {"location": "kitchen"},
        detector=detector,
    )
    if dense:
        scene.vocabulary = SceneVocabulary(CLASSES, COLORS, ("on", "to the left of"))
        scene.class_probabilities = np.full((count, len(CLASSES)), 0.03, dtype=np.float32)
        scene.attribute_probabilities = np.full((count, len(COLORS)), 0.05, dtype=np.float32)
        for i in range(count):
            scene.class_probabilities[i, CLASSES.index(names[i])] = 0.9
            scene.attribute_probabilities[i, COLORS.index(colors[i])] = 0.9
        scene.relation_probabilities = np.zeros((count, count, 2), dtype=np.float32)
        if count > 1:
            scene.relation_probabilities[0, 1, 0] = 0.8
        scene.features = random.normal(size=(count, 6)).astype(np.float32)
    return scene


def color_question(scene: Scene, number: int, question_id: str) -> Question:
    item = scene.objects[number]
    return Question(
        question_id,
        f"What color is the {item.name}?",
        scene.image_id,
        answer=next(iter(item.attributes)),
        semantic=Program.from_semantic_str(
            f"select: {item.name} ({item.id})->query: color [0]"
        ).to_semantic(),
        types={"detailed": "queryAttr", "structural": "query", "semantic": "attr"},
    )


class WorldParser:
    """Parses this world's one kind of question, and fails on every other."""

    def parse_batch(self, questions: list[str], top_k: int = 5) -> list[Any]:
        return [self.parse(question) for question in questions]

    def parse(self, question: str) -> Any:
        words = question.rstrip("?").split()
        if question.startswith("What color is the "):
            return parse_of(f"select: {words[-1]}->query: color [0]")
        return Parse([], Failure("unknown form"))
