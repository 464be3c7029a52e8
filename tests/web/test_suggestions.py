"""Example questions fit what a collection shows."""

from __future__ import annotations

import pytest

from gqa_reasoner.web.suggestions import suggest


def test_questions_are_about_the_commonest_things() -> None:
    found = suggest([("girl", 9), ("dog", 7), ("umbrella", 3)])
    assert found == [
        "Which pictures show a dog?",
        "Show me pictures of a girl next to a dog",
        "How many pictures have an umbrella?",
        "What is the most common color of the umbrella?",
        "What share of the pictures show a girl?",
    ]


@pytest.mark.parametrize("names", [[], [("man", 1)], [("grass", 2)], [("glasses", 4)]])
def test_few_things_give_few_questions(names: list[tuple[str, int]]) -> None:
    found = suggest(names)
    assert bool(found) == bool(names)
    assert not any("a glasses" in question for question in found)
