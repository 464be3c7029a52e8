"""The ontology as the parser sees it: known names, synonyms, attribute types, coarse classes."""

from __future__ import annotations

from functools import lru_cache

from knowledge.ontology import Ontology

__all__ = ["OntologyVocabulary"]

_CLASSES = ("person", "animal", "vehicle", "clothing", "food", "place", "furniture")


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

    def _knows(self, name: str) -> bool:
        return self.ontology.knows(name)

    def _canonical(self, name: str) -> str:
        return self._squeezed.get(name) or self.ontology.canonical(name)

    def _attribute_types(self, attribute: str) -> tuple[str, ...]:
        return self.ontology.attribute_types(attribute)

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

    def common_categories(self, first: str, second: str) -> tuple[str, ...]:
        """Categories of both names, nearest to the first one first, without "object"."""
        shared = set(self.ontology.categories(second))
        found = (name for name in self.ontology.categories(first) if name in shared)
        return tuple(name for name in found if name != "object")
