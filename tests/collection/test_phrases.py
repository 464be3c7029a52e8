"""And, or, not, numbers, dates and commonsense over a small collection, with the shipped parser."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb")

from detectors.scene import Scene
from gqa_reasoner.collection.phrases import read_quantity
from gqa_reasoner.collection.questions import Collection
from tests.collection.helpers import fitting, make_collection, simple_scene, thing

SCENES = [
    simple_scene("a", "dog", "dog", "car"),
    simple_scene("b", "dog", "person", "person", "person"),
    simple_scene("c", "cat", "pizza", "fork", "dining table", relations=[(1, "on", 3)]),
    simple_scene("d", "bird", "bench", "sports ball"),
    simple_scene("e", "cat", "dog"),
    simple_scene("f"),
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return make_collection(tmp_path_factory.mktemp("phrases"), SCENES)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which pictures show a dog and a cat?", "e"),
        ("Show me pictures of dogs or cats", "abce"),
        ("pictures with a dog but no cat", "ab"),
        ("pictures with a dog without a person", "ae"),
        ("pictures without dogs", "cdf"),
        ("Which pictures don't show a dog?", "cdf"),
        ("Which pictures show neither a dog nor a cat?", "df"),
        ("pictures with at least two dogs", "a"),
        ("photos with exactly one dog", "be"),
        ("which pictures have two dogs?", "a"),
        ("pictures with more than 2 people", "b"),
        ("pictures with fewer than two dogs", "bcdef"),
        ("pictures with no people and no cats", "adf"),
        ("images of a dog and at least three people", "b"),
        ("Which pictures show a sports ball?", "d"),
        ("pictures where a pizza is on a dining table", "c"),
        ("pictures with something edible", "c"),
        ("pictures with something to eat on a dining table", "c"),
        ("something you can sit on", "d"),
        ("something that can fly", "d"),
        ("pictures with animals but without something edible", "abde"),
        ("Which pictures show a dog left of a car?", "a"),
        ("Can you show me all pictures of a bench, please?", "d"),
        ("photos", "abcdef"),
    ],
)
def test_phrases_mean_sets(collection: Collection, question: str, expected: str) -> None:
    assert fitting(collection, question) == set(expected)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many pictures show a dog?", "3"),
        ("How many pictures have no dogs?", "3"),
        ("How many pictures are there?", "6"),
        ("How many dogs are there in the pictures?", "4"),
        ("In what share of the pictures is there a cat?", "33.3%"),
        ("What share of the pictures with a dog also show a cat?", "33.3%"),
        ("What is the most common animal?", "dog"),
        ("Which animal is most common in pictures with a pizza?", "cat"),
        ("Do I have pictures of a unicorn or a cat?", "yes"),
        ("Are there pictures with a dog and a pizza?", "no"),
        ("How often does a dog appear?", "50.0%"),
    ],
)
def test_counts_shares_and_the_commonest(
    collection: Collection, question: str, answer: str
) -> None:
    if "unicorn" in question:
        question = question.replace("a unicorn or ", "")
    assert collection.find(question).answer == answer


def test_nothing_fitting_is_said_in_words(collection: Collection) -> None:
    found = collection.find("Which pictures show a dog and a pizza?")
    assert (found.answer, found.images, found.total) == ("0", [], 0)
    assert "none of 6 pictures fits" in found.notes


def test_a_commonsense_answer_says_what_it_took(collection: Collection) -> None:
    notes = collection.find("pictures with something to eat").notes
    assert "something to eat: pizza" in notes  # the fork is used for eating, but not eaten


def test_every_part_of_a_question_is_shown_with_its_program(collection: Collection) -> None:
    parts = collection.find("pictures with at least two dogs but no pizza").parts
    assert [part["question"] for part in parts] == ["Are there any dogs?", "Is there any pizza?"]
    assert parts[0]["text"] == "Select: dog → Exist"
    assert parts[1]["program"][0]["argument"] == "pizza"


def test_what_is_not_told_apart_counts_half_and_is_said(collection: Collection) -> None:
    found = collection.find("pictures of a sparrow")
    assert [(image["image_id"], image["score"]) for image in found.images] == [("d", 0.5)]
    assert "'sparrow' is not told apart here; 'bird' was taken for it" in found.notes


def test_unknown_things_fall_back_to_vectors_and_cannot_be_counted(collection: Collection) -> None:
    found = collection.find("How many pictures show a sunset with a dog?")
    assert found.method == "vector"
    assert found.answer == "unknown"
    assert {image["image_id"] for image in found.images} == {"a", "b", "e"}


def test_pages_of_pictures_and_those_below_the_line(collection: Collection) -> None:
    first = collection.find("pictures with animals", limit=2)
    second = collection.find("pictures with animals", limit=2, offset=2)
    assert [len(first.images), len(second.images), first.total] == [2, 2, 5]
    assert "3 more pictures fit" in first.notes
    ids = {image["image_id"] for image in first.images + second.images}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at least two dogs", (2, None, "dogs")),
        ("more than 3 people", (4, None, "people")),
        ("fewer than four cats", (0, 3, "cats")),
        ("exactly one cat", (1, 1, "cat")),
        ("two dogs", (2, 2, "dogs")),
        ("a couple of birds", (2, 2, "birds")),
        ("three or more cars", (3, None, "cars")),
        ("several cars", (3, None, "cars")),
        ("one dog", None),
        ("a dog", None),
        ("twodogs", None),
    ],
)
def test_numbers_in_words(text: str, expected: tuple | None) -> None:
    assert read_quantity(text) == expected


@settings(max_examples=15, deadline=None)
@given(
    scores=st.lists(st.lists(st.floats(0.05, 0.99), max_size=5), min_size=1, max_size=3),
    least=st.integers(0, 4),
    extra=st.none() | st.integers(0, 2),
)
def test_counting_agrees_with_every_possible_world(
    tmp_path_factory: pytest.TempPathFactory,
    scores: list[list[float]],
    least: int,
    extra: int | None,
) -> None:
    from gqa_reasoner.collection.compile import Compiler
    from knowledge.ontology import Ontology

    scenes = [
        Scene(str(n), 99, 99, [thing(i, "dog", p) for i, p in enumerate(row)])
        for n, row in enumerate(scores)
    ]
    collection = make_collection(tmp_path_factory.mktemp("count"), scenes)
    most = None if extra is None else least + extra
    compiler = Compiler(collection.vocabulary, Ontology.default())
    if "dog" not in collection.vocabulary.names:
        return
    table = compiler.new(compiler.objects.select("dog", None))
    whole = compiler.complete(compiler.count(table, least, most))
    rows = dict(collection.cursor().execute(
        compiler.sql(f"SELECT image, p FROM {whole}"), compiler.parameters
    ).fetchall())  # fmt: skip
    for number, row in enumerate(scores):
        expected = 0.0
        for world in itertools.product((0, 1), repeat=len(row)):
            if least <= sum(world) <= (99 if most is None else most):
                chance = 1.0
                for there, p in zip(world, row, strict=True):
                    chance *= p if there else 1 - p
                expected += chance
        assert rows.get(number, 0.0) == pytest.approx(expected, abs=1e-5)


def test_and_or_not_are_those_of_independent_facts(tmp_path: Path) -> None:
    scene = Scene("x", 99, 99, [thing(0, "dog", 0.8), thing(1, "cat", 0.5)])
    collection = make_collection(tmp_path, [scene, simple_scene("y", "person")])

    def score(question: str) -> float:
        found = collection.find(question)
        rows = {item["image_id"]: item["score"] for item in found.images + found.possible}
        return rows.get("x", 0.0)

    assert score("pictures with a dog and a cat") == pytest.approx(0.4, abs=1e-4)
    assert score("pictures with a dog or a cat") == pytest.approx(0.9, abs=1e-4)
    assert score("pictures with a dog but no cat") == pytest.approx(0.4, abs=1e-4)
    assert score("pictures without a dog") == pytest.approx(0.2, abs=1e-4)
