"""Rewordings keep the program: each rule by example, and the parser reads what they give."""

from __future__ import annotations

import random

import pytest

from gqa_reasoner.program.steps import Program
from gqa_reasoner.questions.paraphrase import drawn, paraphrases


def others(question: str, program: str) -> list[str]:
    return paraphrases(question, Program.from_semantic_str(program))


@pytest.mark.parametrize(
    ("question", "program", "expected"),
    [
        (
            "What color is the cup?",
            "select: cup->query: color [0]",
            ["What is the color of the cup?", "Can you tell me what color the cup is?"],
        ),
        (
            "Is the cup red?",
            "select: cup->verify color: red [0]",
            ["The cup is red, isn't it?", "Is red the color of the cup?"],
        ),
        (
            "Is there a dog on the sofa?",
            "select: sofa->relate: dog,on,s [0]->exist: ? [1]",
            ["Do you see a dog on the sofa?", "In this picture, is there a dog on the sofa?"],
        ),
        (
            "Who is holding the cup?",
            "select: cup->relate: person,holding,s [0]->query: name [1]",
            ["Who holds the cup?", "By whom is the cup held?", "Who's the one holding the cup?"],
        ),
        (
            "What is the man holding?",
            "select: man->relate: _,holding,o [0]->query: name [1]",
            ["What does the man hold?", "What is being held by the man?"],
        ),
        (
            "Is the cup red or blue?",
            "select: cup->choose color: blue|red [0]",
            ["Is the cup red or is it blue?", "Tell me whether the cup is red or blue."],
        ),
        (
            "Who is older, the boy or the man?",
            "select: boy->select: man->choose older:  [0, 1]",
            ["Between the boy and the man, who is older?", "Is the boy or the man older?"],
        ),
        (
            "What is the dog near the man that is wearing a hat doing?",
            "select: hat->relate: man,wearing,s [0]->relate: dog,near,s [1]->query: activity [2]",
            ["What is the dog near the man wearing a hat doing?"],
        ),
        (
            "Is there anything that can be eaten?",
            "select: object->filter knowledge: ReceivesAction,eaten [0]->exist: ? [1]",
            ["Is there anything you can eat?", "Is there anything to eat?"],
        ),
    ],
)
def test_rules_by_example(question: str, program: str, expected: list[str]) -> None:
    assert set(expected) <= set(others(question, program))


def test_a_question_about_wearing_does_not_become_a_description() -> None:
    program = "select: man->verify rel: hat,wearing,o [0]"
    assert not any(
        "who is wearing" in other for other in others("Is the man wearing a hat?", program)
    )


def test_rewordings_are_never_the_question_and_never_twice() -> None:
    question = "What color is the cup?"
    found = others(question, "select: cup->query: color [0]")
    assert question not in found
    assert len(found) == len(set(found))


def test_drawing_takes_different_rules_and_is_repeatable() -> None:
    program = Program.from_semantic_str("select: cup->query: color [0]")
    first = drawn("What color is the cup?", program, 3, random.Random(4))
    assert first == drawn("What color is the cup?", program, 3, random.Random(4))
    assert len(first) == 3
    assert drawn("What color is the cup?", program, 0, random.Random(4)) == []


def test_a_program_without_steps_has_no_rewordings() -> None:
    assert paraphrases("What?", Program(())) == []
