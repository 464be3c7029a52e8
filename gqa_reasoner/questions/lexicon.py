"""What the question patterns need to know about words, read from an `Ontology` and cached.

The tables here are about wording (how "furniture" is counted, what "metal" becomes after "is"),
not about the world; categories, synonyms and attribute types come from the ontology.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqa_reasoner.program.operations import OPERATIONS
from gqa_reasoner.questions.english import is_mass, is_plural, pluralize, singularize
from gqa_reasoner.questions.word_tables import (
    ADJECTIVE_SYNONYMS,
    ASKABLE_CATEGORIES,
    BACKDROPS,
    CLOSED_TYPES,
    COUNTED,
    MATERIAL_ADJECTIVES,
    NEAR,
    NEVER_BEFORE_NOUN,
    NO_PERSON_TYPES,
    OPEN_TYPES,
    OPPOSITES,
    PARTS,
    PERSON_HEIGHT,
    POSITIONS,
    UNTYPED_IN_GQA,
)

if TYPE_CHECKING:
    from knowledge.ontology import Ontology

__all__ = ["Lexicon"]


class Lexicon:
    """Cached look-ups over one ontology."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self._nouns: dict[str, frozenset[str]] = {}
        self._categories: dict[str, tuple[str, ...]] = {}
        self._types: dict[str, tuple[str, ...]] = {}
        self._synonyms: dict[str, tuple[str, ...]] = {}
        self._values: dict[str, tuple[str, ...]] = {}
        self._rivals: dict[tuple[str, str], tuple[str, ...]] = {}
        self._exclusive: dict[str, tuple[str, ...]] = {}
        for group in OPPOSITES:
            for word in group:
                self._exclusive.setdefault(word, group)

    def nouns(self, name: str) -> frozenset[str]:
        """Every noun for such an object: itself, singular and plural, canonical, categories."""
        known = self._nouns.get(name)
        if known is None:
            canonical = self.ontology.canonical(name)
            words = {name, canonical, *self.categories(name)}
            words |= {singularize(word) for word in (name, canonical)}
            words |= {pluralize(word) for word in (name, canonical)}
            words |= set(self.ontology.synonyms(name))
            known = self._nouns[name] = frozenset(words)
        return known

    def categories(self, name: str) -> tuple[str, ...]:
        """Categories of a name, nearest first, without the name itself."""
        known = self._categories.get(name)
        if known is None:
            found = self.ontology.categories(name)
            known = self._categories[name] = tuple(word for word in found if word != name)
        return known

    def is_person(self, name: str) -> bool:
        """Whether a name is a person's ("girl", "umpire", "people")."""
        return name in ("person", "people") or "person" in self.categories(name)

    def is_animal(self, name: str) -> bool:
        """Whether a name is an animal's."""
        return name == "animal" or "animal" in self.categories(name)

    def askable(self, name: str) -> tuple[str, ...]:
        """Categories of a name that a question may ask for."""
        return tuple(word for word in self.categories(name) if word in ASKABLE_CATEGORIES)

    def surfaces(self, name: str) -> tuple[str, ...]:
        """Other words for a name with the same number ("trousers" for "pants")."""
        known = self._synonyms.get(name)
        if known is None:
            plural = is_plural(name)
            words = [
                word
                for word in self.ontology.synonyms(name)
                if word != name
                and is_plural(word) == plural
                and singularize(word) != singularize(name)
                and word not in ASKABLE_CATEGORIES
            ]
            known = self._synonyms[name] = tuple(sorted(words))
        return known

    def types(self, attribute: str) -> tuple[str, ...]:
        """All attribute types of an attribute."""
        known = self._types.get(attribute)
        if known is None:
            if attribute in POSITIONS:
                found: tuple[str, ...] = (POSITIONS[attribute],)
            else:
                found = tuple(
                    kind
                    for kind in self.ontology.attribute_types(attribute)
                    if self.in_type(attribute, kind)
                )
            known = self._types[attribute] = found
        return known

    @staticmethod
    def in_type(attribute: str, kind: str) -> bool:
        """Whether GQA's programs give the attribute this type."""
        if attribute in UNTYPED_IN_GQA:
            return False
        return kind in OPEN_TYPES or attribute in CLOSED_TYPES.get(kind, ())

    def values_of(self, kind: str) -> tuple[str, ...]:
        """The values of a type, as GQA's programs know it."""
        known = self._values.get(kind)
        if known is None:
            found = self.ontology.attributes_of_type(kind)
            words = dict.fromkeys(word for word in found if self.in_type(word, kind))
            words.update(dict.fromkeys(sorted(CLOSED_TYPES.get(kind, ()))))
            known = self._values[kind] = tuple(words)
        return known

    def type_of(self, attribute: str, name: str) -> str:
        """The type of an attribute on such an object, "" if it has none.

        "short" is a height of people, plants and buildings and a length of anything else.
        """
        types = self.types(attribute)
        if len(types) < 2:
            return types[0] if types else ""
        person = self.is_person(name)
        if attribute in ("short", "long") and "height" in types and "length" in types:
            categories = (name, *self.categories(name))
            return "height" if any(word in PERSON_HEIGHT for word in categories) else "length"
        if attribute == "thin":
            return "fatness" if person or self.is_animal(name) else "thickness"
        if attribute == "little":
            return "age" if person else "size"
        if attribute in ("dark", "light") and "tone" in types:
            return "color" if "color" in types else "tone"
        if attribute == "clear":
            return "weather" if name == "sky" else "opaqness"
        if person:
            types = tuple(word for word in types if word not in NO_PERSON_TYPES) or types
        return types[0]

    @staticmethod
    def near(attribute: str) -> tuple[str, ...]:
        """Values that mean nearly the same."""
        return tuple(word for group in NEAR if attribute in group for word in group)

    def decoy(self, name: str) -> bool:
        """Whether asking for the name where it is absent makes sense: not of parts or backdrops."""
        if name in BACKDROPS:
            return False
        return not PARTS & set(self.categories(name))

    def verifiable(self, attribute_type: str) -> bool:
        """Whether GQA has operations that verify and choose values of the type."""
        return not attribute_type or f"choose {attribute_type}" in OPERATIONS

    def rivals(self, attribute: str, attribute_type: str) -> tuple[str, ...]:
        """Attributes that cannot hold beside this one: same type, or its opposites."""
        if attribute in self._exclusive and not attribute_type:
            return tuple(word for word in self._exclusive[attribute] if word != attribute)
        if attribute_type:
            key = (attribute, attribute_type)
            known = self._rivals.get(key)
            if known is None:
                near = next((group for group in NEAR if attribute in group), ())
                known = tuple(
                    word
                    for word in self.values_of(attribute_type)
                    if word != attribute and word not in near
                )
                self._rivals[key] = known
            return known
        return ()

    def counted(self, category: str) -> tuple[tuple[str, int], ...]:
        """Ways to count a category, with weights: "piece of furniture", "item of furniture"."""
        return COUNTED.get(category, ((category, 1),))

    @staticmethod
    def before_noun(attribute: str) -> bool:
        """Whether an attribute may stand before its noun."""
        return attribute not in NEVER_BEFORE_NOUN

    @staticmethod
    def adjective(attribute: str, attribute_type: str) -> str:
        """The attribute after "is": "metal" to "metallic", "plastic" to "made of plastic"."""
        if attribute_type == "material":
            return MATERIAL_ADJECTIVES.get(attribute, f"made of {attribute}")
        return attribute

    @staticmethod
    def material_adjective(attribute: str) -> str:
        """The material before a noun: "wood" to "wooden"."""
        return MATERIAL_ADJECTIVES.get(attribute, attribute)

    @staticmethod
    def adjective_synonyms(attribute: str) -> tuple[str, ...]:
        """Other words for an attribute that GQA's questions use ("little" for small)."""
        return ADJECTIVE_SYNONYMS.get(attribute, ())

    @staticmethod
    def uncounted(name: str) -> bool:
        """Whether "any", not "a", goes before the noun."""
        return is_mass(name)
