"""`Lexicon`: an ontology with its look-ups remembered, and what a name alone implies.

Execution asks the same few name questions again and again; answering each once keeps a step at
microseconds. Class and attribute columns of a detector are matched here as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from detectors.scene import SceneVocabulary

if TYPE_CHECKING:
    from knowledge.ontology import Ontology

__all__ = ["Columns", "Lexicon", "lexicon_of", "opposite"]

RELATED_TYPES = {
    "color": ("tone", "brightness"),
    "tone": ("brightness", "color"),
    "brightness": ("tone",),
    "activity": ("sportActivity", "pose"),
    "sportActivity": ("activity", "pose"),
    "pose": ("activity", "sportActivity"),
    "size": ("height", "length", "width"),
    "fatness": ("thickness",),
    "place": ("room", "location"),
    "room": ("place", "location"),
    "location": ("place", "room"),
    "state": ("texture",),
}
"""Types whose values stand in where an object has none of the type that is asked."""

_NAME_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "male": ("man", "boy", "guy", "gentleman", "father", "groom", "son", "brother", "grandfather"),
    "female": (
        *("woman", "girl", "lady", "mother", "bride", "daughter", "sister", "grandmother"),
        *("princess", "queen", "waitress"),
    ),
    "young": (
        *("boy", "girl", "child", "kid", "baby", "toddler", "infant"),
        *("puppy", "kitten", "calf", "lamb", "foal", "chick", "cub", "duckling"),
    ),
    "old": ("grandfather", "grandmother", "elder"),
}


_OPPOSITES = {
    "on": "off",
    "turned on": "turned off",
    "turned-on": "turned-off",
    "open": "closed",
    "clean": "dirty",
    "dry": "wet",
    "empty": "full",
}
_OPPOSITES |= {off: on for on, off in _OPPOSITES.items()} | {
    "turned off": "on",
    "turned-off": "on",
    "turned on": "off",
    "turned-on": "off",
}


def opposite(value: str) -> str | None:
    """The attribute that says the contrary: `not-healthy` → `healthy`, `open` → `closed`."""
    if value.startswith(("not-", "not ")):
        return value[4:]
    return _OPPOSITES.get(value)


class Lexicon:
    """Answers about names and attributes from one ontology, each computed once."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self._is_a: dict[tuple[str, str], bool] = {}
        self._same: dict[tuple[str, str], bool] = {}
        self._key: dict[str, str] = {}
        self._types: dict[str, frozenset[str]] = {}
        self._values: dict[str, tuple[str, ...]] = {}
        self._implied: dict[str, frozenset[str]] = {}
        self._columns: dict[SceneVocabulary, Columns] = {}

    def is_a(self, name: str, category: str) -> bool:
        """Whether `name` is `category`, one of its kinds, or another word for it."""
        if name == category:
            return True
        pair = (name, category)
        found = self._is_a.get(pair)
        if found is None:
            found = self._is_a[pair] = bool(self.ontology.is_a(name, category))
        return found

    def key(self, name: str) -> str:
        """The canonical singular spelling of a name, equal for plural and synonyms."""
        found = self._key.get(name)
        if found is None:
            found = self._key[name] = self.ontology.canonical(name)
        return found

    def same_name(self, one: str, other: str) -> bool:
        """Whether two names are one word, in singular or plural, or synonyms."""
        return one == other or self.key(one) == self.key(other)

    def singular(self, name: str) -> str:
        """The singular of a name."""
        return self.ontology.singular(name)

    def is_category(self, name: str) -> bool:
        """Whether the ontology knows kinds of `name`."""
        return self.ontology.has_members(name)

    def same_attribute(self, one: str, other: str) -> bool:
        """Whether two attribute words mean the same ("wood", "wooden")."""
        if one == other:
            return True
        pair = (one, other)
        found = self._same.get(pair)
        if found is None:
            canonical = self.ontology.canonical_attribute
            found = self._same[pair] = canonical(one) == canonical(other)
        return found

    def types(self, attribute: str) -> frozenset[str]:
        """The types an attribute belongs to (`light`: tone, weight)."""
        found = self._types.get(attribute)
        if found is None:
            found = self._types[attribute] = frozenset(self.ontology.attribute_types(attribute))
        return found

    def values(self, attribute_type: str) -> tuple[str, ...]:
        """The attributes of a type."""
        found = self._values.get(attribute_type)
        if found is None:
            found = tuple(self.ontology.attributes_of_type(attribute_type))
            self._values[attribute_type] = found
        return found

    def implied(self, name: str) -> frozenset[str]:
        """Attributes that a name alone gives: a girl is female and young."""
        found = self._implied.get(name)
        if found is None:
            word = self.ontology.singular(name)
            found = frozenset(
                attribute for attribute, names in _NAME_ATTRIBUTES.items() if word in names
            )
            self._implied[name] = found
        return found

    def implies_opposite(self, name: str, attribute: str) -> bool:
        """Whether a name excludes an attribute: a girl is not male."""
        implied = self.implied(name)
        opposite = {"male": "female", "female": "male", "young": "old", "old": "young"}
        return opposite.get(attribute) in implied

    def columns(self, vocabulary: SceneVocabulary) -> Columns:
        """The columns of a detector's probability arrays, matched to names."""
        found = self._columns.get(vocabulary)
        if found is None:
            found = self._columns[vocabulary] = Columns(vocabulary, self)
        return found


class Columns:
    """Which columns of a detector's arrays a name, an attribute or a predicate means."""

    def __init__(self, vocabulary: SceneVocabulary, lexicon: Lexicon) -> None:
        self.vocabulary = vocabulary
        self._lexicon = lexicon
        self._members: dict[str, np.ndarray] = {}
        self._implied: dict[str, np.ndarray] = {}
        self._attribute: dict[str, list[int]] = {}
        self._type: dict[str, list[int]] = {}

    def members(self, name: str) -> np.ndarray:
        """1 for every class that is `name` or one of its kinds, (C,)."""
        found = self._members.get(name)
        if found is None:
            is_a = self._lexicon.is_a
            found = np.array([float(is_a(item, name)) for item in self.vocabulary.classes])
            self._members[name] = found
        return found

    def attribute(self, value: str) -> list[int]:
        """Columns of an attribute and of words that mean the same."""
        found = self._attribute.get(value)
        if found is None:
            same = self._lexicon.same_attribute
            found = [
                place for place, item in enumerate(self.vocabulary.attributes) if same(item, value)
            ]
            self._attribute[value] = found
        return found

    def implied(self, attribute: str) -> np.ndarray:
        """1 for every class whose name alone gives the attribute, (C,)."""
        found = self._implied.get(attribute)
        if found is None:
            implied = self._lexicon.implied
            found = np.array(
                [float(attribute in implied(item)) for item in self.vocabulary.classes]
            )
            self._implied[attribute] = found
        return found

    def of_type(self, attribute_type: str) -> list[int]:
        """Columns of all attributes of a type."""
        found = self._type.get(attribute_type)
        if found is None:
            types = self._lexicon.types
            found = [
                place
                for place, item in enumerate(self.vocabulary.attributes)
                if attribute_type in types(item)
            ]
            self._type[attribute_type] = found
        return found


@lru_cache(maxsize=4)
def _shared_lexicon(ontology: Ontology) -> Lexicon:
    return Lexicon(ontology)


def lexicon_of(ontology: Ontology | Lexicon) -> Lexicon:
    """The lexicon of an ontology, remembered for the few most recent ontologies."""
    if isinstance(ontology, Lexicon):
        return ontology
    try:
        return _shared_lexicon(ontology)
    except TypeError:  # an ontology that cannot be hashed is indexed afresh
        return Lexicon(ontology)
