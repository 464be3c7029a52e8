"""Answering many questions at once is answering each of them."""

from __future__ import annotations

import pytest

from detectors.errors import InputError
from gqa_reasoner.answer import Answer
from gqa_reasoner.pipeline import Reasoner
from tests.web.conftest import EXAMPLES

ASKED = [
    ("elephant", "What is the girl riding?", "triples"),
    ("kitchen", "Which object is used for making tea?", "none"),
    ("kitchen", "Which object is used for making tea?", "triples"),
    ("desk", "blorb the zing", "triples"),
]


def test_many_at_once_equal_one_by_one(parts: Reasoner) -> None:
    scenes = [parts.detect(EXAMPLES / f"{name}.jpg") for name, _, _ in ASKED]
    questions = [question for _, question, _ in ASKED]
    many = parts.answer_scenes(scenes, questions, [mode for _, _, mode in ASKED])
    for scene, found, (_, question, mode) in zip(scenes, many, ASKED, strict=True):
        alone = parts.answer_scene(scene, question, expansion=mode)
        assert isinstance(found, Answer)
        one, other = found.to_json(), alone.to_json()
        assert one.pop("score") == pytest.approx(other.pop("score"), abs=2e-3)
        for key in ("candidates", "executor_weight"):
            one.pop(key)
            other.pop(key)
        assert one == other


def test_one_unusable_question_does_not_spoil_the_others(parts: Reasoner) -> None:
    scene = parts.detect(EXAMPLES / "elephant.jpg")
    asked = ["What is the girl riding?"] * 3
    found = parts.answer_scenes([scene] * 3, asked, ["none", "coclick", "triples"])
    assert isinstance(found[1], InputError)
    assert [item.text for item in found if isinstance(item, Answer)] == ["elephant", "elephant"]
    assert parts.answer_scenes([], [], []) == []
