from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqa_reasoner.questions.english import (
    finite_predicate,
    is_plural,
    mark,
    pluralize,
    possessive,
    sentence,
    singularize,
    unmark,
    with_article,
)


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("dog", "dogs"),
        ("bus", "buses"),
        ("knife", "knives"),
        ("baby", "babies"),
        ("woman", "women"),
        ("police man", "police men"),
        ("piece of furniture", "pieces of furniture"),
        ("sheep", "sheep"),
        ("tomato", "tomatoes"),
    ],
)
def test_plurals_and_back(one: str, many: str) -> None:
    assert pluralize(one) == many
    assert not is_plural(one)
    if " of " not in one:
        assert singularize(many) == one


@pytest.mark.parametrize("word", ["glass", "grass", "bus", "dress", "cactus", "tennis"])
def test_singular_nouns_in_s_are_singular(word: str) -> None:
    assert not is_plural(word)


@pytest.mark.parametrize("word", ["pants", "people", "scissors", "trees", "skis"])
def test_plural_nouns_are_plural(word: str) -> None:
    assert is_plural(word)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("apple", "an apple"),
        ("uniform", "a uniform"),
        ("trees", "trees"),
        ("water", "water"),
        ("umbrella", "an umbrella"),
    ],
)
def test_indefinite_articles(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


@pytest.mark.parametrize(
    ("predicate", "plural", "expected"),
    [
        ("wearing", False, "wears"),
        ("riding on", False, "rides on"),
        ("lying on top of", True, "lie on top of"),
        ("sitting in", False, "sits in"),
        ("carrying", False, "carries"),
        ("to the left of", False, None),
        ("touching", False, "touches"),
    ],
)
def test_relations_in_the_present_tense(predicate: str, plural: bool, expected: str) -> None:
    assert finite_predicate(predicate, plural) == expected


def test_names_are_capitalized_and_marks_are_kept() -> None:
    text = sentence(f"the {mark('wii controller', '7')} is to the left of the {mark('tv', '8')}.")
    plain, spans = unmark(text)
    assert plain == "The Wii controller is to the left of the TV."
    assert spans == {"1:3": "7", "9": "8"}


def test_possessives() -> None:
    assert possessive("man") == "man's"
    assert possessive("girls") == "girls'"
    assert possessive("people") == "people's"


@given(st.lists(st.sampled_from(["red bag", "dog", "tall palm tree"]), min_size=1, max_size=4))
def test_spans_always_cut_out_the_marked_words(phrases: list[str]) -> None:
    text = "see " + " and ".join(mark(phrase, str(number)) for number, phrase in enumerate(phrases))
    plain, spans = unmark(text)
    tokens = plain.split()
    for span, identity in spans.items():
        start, _, end = span.partition(":")
        words = tokens[int(start) : int(end or int(start) + 1)]
        assert " ".join(words) == phrases[int(identity)]
