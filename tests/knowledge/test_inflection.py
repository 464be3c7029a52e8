from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.inflection import Inflector
from knowledge.ontology import Ontology


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("dog", "dogs"),
        ("man", "men"),
        ("old woman", "old women"),
        ("box", "boxes"),
        ("bench", "benches"),
        ("berry", "berries"),
        ("cookie", "cookies"),
        ("knife", "knives"),
        ("glove", "gloves"),
        ("potato", "potatoes"),
        ("bus", "buses"),
        ("bouquet of flowers", "bouquets of flowers"),
        ("wine glass", "wine glasses"),
        ("zucchini", "zucchinis"),
        ("tennis racket", "tennis rackets"),
        ("axe", "axes"),
    ],
)
def test_singular_and_plural_undo_each_other(singular: str, plural: str) -> None:
    ontology = Ontology.default()
    assert ontology.plural(singular) == plural
    assert ontology.singular(plural) == singular
    assert ontology.singular(singular) == singular
    assert ontology.is_plural(plural)
    assert not ontology.is_plural(singular)


@pytest.mark.parametrize(
    "name", ["pants", "sheep", "glasses", "scissors", "grass", "fish", "tennis"]
)
def test_names_with_one_form_stay_as_they_are(name: str) -> None:
    ontology = Ontology.default()
    assert ontology.singular(name) == name
    assert ontology.plural(name) == name


@given(st.text(max_size=30))
def test_any_text_is_inflected_without_error_and_singular_is_idempotent_on_known_names(
    text: str,
) -> None:
    inflector = Inflector([("man", "men"), ("pants", "=")])
    assert isinstance(inflector.singular(text), str)
    assert isinstance(inflector.plural(text), str)


def test_every_shipped_name_comes_back_from_its_plural() -> None:
    ontology = Ontology.default()
    wrong = [
        name
        for name in ontology.names()
        if ontology.canonical(ontology.plural(name)) != ontology.canonical(name)
    ]
    assert set(wrong) <= {"glass", "trunk", "stocking", "bleacher", "wood"}, wrong
