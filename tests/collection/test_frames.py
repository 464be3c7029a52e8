"""Frames and demands: what is wanted of a collection, and of a thing."""

from __future__ import annotations

import pytest

pytest.importorskip("duckdb")

from gqa_reasoner.collection.commonsense import fitting_names, known_names, read_demand
from gqa_reasoner.collection.frames import read_frame
from knowledge.ontology import Ontology
from knowledge.store import TripleStore

NAMES = ["banana", "fork", "bench", "airplane", "bird", "dog", "book", "cup", "horse", "robin"]


@pytest.mark.parametrize(
    ("text", "kind", "phrase"),
    [
        ("Show me all the pictures with a dog", "which", "a dog"),
        ("Find a photo of a dog", "which", "a dog"),
        ("Could you please show me pictures of cats?", "which", "cats"),
        ("pictures in which a dog is on a bed", "which", "a dog on a bed"),
        ("Which pictures don't show any cars?", "which", "no cars"),
        ("pictures without people", "which", "no people"),
        ("Where is there a fire hydrant?", "which", "a fire hydrant"),
        ("In how many pictures does a horse appear?", "how many", "a horse"),
        ("What is the number of photos with a cat?", "how many", "a cat"),
        ("How often does a cat appear?", "share", "a cat"),
        ("What percentage of the images contain trees?", "share", "trees"),
        ("Are there any pictures of trains?", "any", "trains"),
        ("How many dogs are there in the pictures?", "count", "dogs"),
        ("What is the most common colour of cars in the pictures?", "commonest", "cars"),
        ("What is the commonest kind of food?", "commonest name", None),
        ("Which animal is most common?", "commonest name", None),
    ],
)
def test_frames(text: str, kind: str, phrase: str | None) -> None:
    frame = read_frame(text)
    assert (frame.kind, frame.phrase) == (kind, phrase)


def test_shares_may_be_of_some_pictures_only() -> None:
    frame = read_frame("What share of the pictures with a person also show a dog?")
    assert (frame.given, frame.phrase) == ("a person", "a dog")
    frame = read_frame("What is the most common animal in pictures with a car?")
    assert (frame.attribute_type, frame.given) == ("animal", "a car")


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("something edible", ["banana"]),
        ("something to eat", ["banana"]),
        ("anything that can be eaten", ["banana"]),
        ("something you can sit on", ["bench"]),
        ("something used for sitting", ["bench"]),
        ("something that can fly", ["airplane", "bird", "robin"]),
        ("something to read", ["book"]),
        ("something people can ride", ["horse"]),
    ],
)
def test_commonsense_demands(phrase: str, expected: list[str]) -> None:
    demand = read_demand(phrase)
    assert demand is not None
    assert fitting_names(demand, NAMES, TripleStore.default(), Ontology.default()) == expected


@pytest.mark.parametrize("phrase", ["a dog", "something", "the edible mushroom on the table"])
def test_phrases_that_demand_nothing(phrase: str) -> None:
    assert read_demand(phrase) is None


def test_what_a_thing_is_known_for_is_inherited_unless_it_has_its_own() -> None:
    store = TripleStore.from_triples(
        [
            ("bird", "CapableOf", "fly", 1.0),
            ("penguin", "CapableOf", "swim", 1.0),
            ("sparrow", "IsA", "bird", 1.0),
        ]
    )
    names = ["bird", "sparrow", "penguin", "dog"]
    found = known_names("CapableOf", "flying", names, store, Ontology.default())
    assert found == ["bird", "sparrow"]
