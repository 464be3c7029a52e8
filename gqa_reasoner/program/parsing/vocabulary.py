"""The ontology as the parser sees it: known names, synonyms, attribute types, coarse classes."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from gqa_reasoner.program.operations import OPERATIONS
from gqa_reasoner.program.parsing.morphology import singular
from knowledge.ontology import Ontology

__all__ = ["OntologyVocabulary", "Vocabulary"]

_DESCRIBING = frozenset(
    (
        "age", "size", "height", "length", "width", "weight", "gender", "cleanliness", "state",
        "face expression", "openness", "thickness", "fatness",
    )
)  # fmt: skip
"""Types of attributes that are no part of a name (a material or an activity often is)."""
_CLASSES = ("person", "animal", "vehicle", "clothing", "food", "place", "furniture")


class Vocabulary(Protocol):
    """What the parser asks of an ontology."""

    def knows(self, name: str) -> bool:
        """Whether the name is known."""
        ...

    def canonical(self, name: str) -> str:
        """The main form of a name."""
        ...

    def attribute_types(self, attribute: str) -> tuple[str, ...]:
        """Types of an attribute, likeliest first."""
        ...

    def value(self, attribute: str) -> str:
        """The main form of an attribute."""
        ...

    def is_category(self, name: str) -> bool:
        """Whether other names are kinds of this one."""
        ...

    def noun_class(self, name: str) -> str:
        """The coarse class of a name."""
        ...

    def common_categories(self, first: str, second: str) -> tuple[str, ...]:
        """Categories of both names."""
        ...


class OntologyVocabulary:
    """Look-ups in an ontology, kept in memory.

    Args:
        ontology: names and types; the shipped default if None.
    """

    def __init__(self, ontology: Ontology | None = None) -> None:
        self.ontology = ontology or Ontology.default()
        self._squeezed = {
            name.replace(" ", ""): name for name in self.ontology.names() if " " in name
        }
        self.knows = lru_cache(maxsize=20_000)(self._knows)
        self.canonical = lru_cache(maxsize=20_000)(self._canonical)
        self.attribute_types = lru_cache(maxsize=20_000)(self._attribute_types)
        self.noun_class = lru_cache(maxsize=20_000)(self._noun_class)
        self.is_category = lru_cache(maxsize=20_000)(self.ontology.has_members)

    def _knows(self, name: str) -> bool:
        if self.is_described(name) or self.is_colored(name):
            return False
        return self.ontology.knows(name)

    def _canonical(self, name: str) -> str:
        found = self._squeezed.get(name) or self.ontology.canonical(name)
        return name if name.endswith(f" {found}") else found

    def _attribute_types(self, attribute: str) -> tuple[str, ...]:
        types = self.ontology.attribute_types(attribute)
        known = tuple(kind if f"verify {kind}" in OPERATIONS else "" for kind in types)
        return tuple(dict.fromkeys(known))

    def is_described(self, name: str) -> bool:
        """Whether a name is an adjective and a name (`young man`), not a compound (`red wine`)."""
        first, _, rest = name.partition(" ")
        types = self.ontology.attribute_types(first) if rest else ()
        return bool(types) and types[0] in _DESCRIBING and self.ontology.knows(rest)

    def is_colored(self, name: str) -> bool:
        """Whether a name is a color and a name (`red apple`); that `green tea` is a name of its
        own, the lexicon must know."""
        first, _, rest = name.partition(" ")
        types = self.ontology.attribute_types(first) if rest else ()
        return bool(types) and types[0] == "color" and self.ontology.knows(rest)

    def value(self, attribute: str) -> str:
        """Main form of an attribute (`wooden` → `wood`)."""
        return self.ontology.canonical_attribute(attribute)

    def _noun_class(self, name: str) -> str:
        """Coarse class of a name: person, animal, … or "thing"."""
        if name in ("he", "she", "they", "who"):
            return "person"
        for category in _CLASSES:
            if self.ontology.is_a(name, category):
                return category
        return "thing"

    def synonym_pairs(self) -> list[tuple[str, str]]:
        """(synonym, main form) of every name, both singular."""
        pairs: dict[tuple[str, str], None] = {}
        for name in self.ontology.names():
            for other in self.ontology.synonyms(name):
                own = singular(other)
                if own != name and not own.endswith(f" {name}"):
                    pairs[own, name] = None
        return sorted(pairs)

    def common_categories(self, first: str, second: str) -> tuple[str, ...]:
        """Categories of both names, nearest to the first one first, without "object"."""
        shared = set(self.ontology.categories(second))
        found = (name for name in self.ontology.categories(first) if name in shared)
        return tuple(name for name in found if name != "object")
