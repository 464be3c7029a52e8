from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.errors import InputError
from knowledge.concepts import (
    RELATIONS,
    Concept,
    normalize_relation,
    parse_concept,
    to_uri,
    verbalize,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/c/en/hot_dog", Concept("en", "hot dog")),
        ("/c/en/hot_dog/n/wn/food", Concept("en", "hot dog", "n/wn/food")),
        ("/c/fr/chien", Concept("fr", "chien")),
        ("Hot_Dog", Concept("en", "hot dog")),
        ("  hot   dog. ", Concept("en", "hot dog")),
        ("e\u0301te\u0301", Concept("en", "\u00e9t\u00e9")),
        ("/c/", Concept("", "")),
        ("", Concept("en", "")),
    ],
)
def test_uris_and_free_text_are_normalized_as_conceptnet_does(name: str, expected: Concept) -> None:
    assert parse_concept(name) == expected


def test_uris_come_back() -> None:
    assert to_uri("hot dog") == "/c/en/hot_dog"
    assert to_uri("fr/chien") == "/c/fr/chien"
    assert parse_concept(to_uri("ice cream")).text == "ice cream"


@pytest.mark.parametrize("name", [name for name in RELATIONS if name != "ExternalURL"])
def test_every_relation_is_known_by_uri_camel_and_snake_case(name: str) -> None:
    utils = pytest.importorskip("conceptnet_lite.utils", reason="needs the extra 'conceptnet'")

    assert normalize_relation(f"/r/{name}") == name
    assert normalize_relation(name.lower()) == name
    assert normalize_relation(utils._to_snake_case(name)) == name


def test_unknown_relations_keep_their_spelling_and_empty_ones_are_refused() -> None:
    assert normalize_relation("/r/dbpedia/genre") == "dbpedia/genre"
    with pytest.raises(InputError):
        normalize_relation(" ")


def test_triples_read_as_in_the_reference_example() -> None:
    assert verbalize("fries", "HasProperty", "yellow") == "fries is yellow"
    assert verbalize("table", "MadeOf", "wood") == "table is wood"
    assert verbalize("dog", "IsA", "animal") == "dog is an animal"
    assert verbalize("a", "MadeUpName", "b") == "a made up name b"


@given(st.text(max_size=80))
def test_normalizing_twice_changes_nothing(text: str) -> None:
    once = parse_concept(text)
    if not once.text.startswith("/c/"):
        assert parse_concept(once.text).text == once.text
