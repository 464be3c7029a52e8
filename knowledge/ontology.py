"""`Ontology`: names to categories, attributes to types, synonyms and number.

The shipped default (`knowledge/data/*.tsv`) was written for this project; `Ontology.induce` learns
one from gold programs and their scene graphs (Hudson & Manning 2019), and a triple store with IsA
edges can serve as a fallback for names that neither knows.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from detectors.errors import InputError
from knowledge.inflection import Inflector
from knowledge.ontology_files import (
    OntologyTables,
    default_tables,
    tables_from_json,
    tables_to_json,
)

__all__ = ["Evidence", "IsASource", "Ontology"]

TOP = "object"
"""Every name is a kind of this; "thing" is another word for it."""

_TOP_WORDS = frozenset({"object", "thing", "item", "entity"})
_MEMO_LIMIT = 100_000
_FALLBACK_DEPTH = 3


class IsASource(Protocol):
    """What the fallback needs of a triple store."""

    def parents(self, concept: str) -> list[str]:
        """The concepts that `concept` IsA, best first."""


@dataclass
class Evidence:
    """How often data taught each fact: (name, category) and (attribute, type) to counts."""

    memberships: dict[tuple[str, str], int] = field(default_factory=dict)
    attribute_types: dict[tuple[str, str], int] = field(default_factory=dict)


class Ontology:
    """Categories, attribute types and synonyms; immutable once built."""

    def __init__(
        self,
        tables: OntologyTables,
        *,
        evidence: Evidence | None = None,
        fallback: IsASource | None = None,
    ) -> None:
        self._tables = tables
        self.evidence = evidence or Evidence()
        self._fallback = fallback
        self._known = set(tables.parents) | {
            parent for parents in tables.parents.values() for parent in parents
        }
        self._inflector = Inflector(tables.plurals, tables.parents)
        self._forms: dict[str, list[str]] = {}
        for form, primary in tables.synonyms.items():
            self._forms.setdefault(primary, []).append(form)
        self._children: dict[str, list[str]] = {}
        for name, parents in tables.parents.items():
            for parent in parents:
                self._children.setdefault(parent, []).append(name)
        self._attributes: dict[str, list[str]] = {}
        for attribute, types in tables.attribute_types.items():
            for attribute_type in types:
                self._attributes.setdefault(attribute_type, []).append(attribute)
        self._canonical_memo: dict[str, str] = {}
        self._ancestor_memo: dict[str, dict[str, None]] = {}

    @classmethod
    @functools.lru_cache(maxsize=1)
    def default(cls) -> Ontology:
        """The ontology shipped with the project (one shared object)."""
        return cls(default_tables())

    @classmethod
    def load(cls, path: str | Path, *, fallback: IsASource | None = None) -> Ontology:
        """Read an ontology written by `save`.

        Raises:
            InputError: the file is not an ontology file of this version.
        """
        tables, memberships, types = tables_from_json(Path(path))
        return cls(tables, evidence=Evidence(memberships, types), fallback=fallback)

    def save(self, path: str | Path) -> None:
        """Write this ontology, with its evidence, as JSON."""
        text = tables_to_json(
            self._tables, self.evidence.memberships, self.evidence.attribute_types
        )
        Path(path).write_text(text, encoding="utf-8")

    @classmethod
    def induce(
        cls,
        questions: Iterable[Any],
        scene_graphs: Mapping[str, Any] | Iterable[Any],
        *,
        base: Ontology | None = None,
        min_count: int = 1,
    ) -> Ontology:
        """Learn categories and attribute types from gold programs and the objects they point at.

        A program that selects `furniture (17)` where 17 is a couch teaches couch -> furniture;
        `filter color: white` teaches white -> color.

        Args:
            questions: GQA question records (`Question` objects or mappings), streamed once.
            scene_graphs: `Scene`s, or image id to `Scene`.
            base: an ontology whose facts are kept and extended; None starts from nothing but
                English number.
            min_count: facts taught less often are dropped.
        """
        from knowledge.ontology_induction import collect_evidence, extend_tables

        start = base or cls(OntologyTables(plurals=default_tables().plurals))
        evidence = collect_evidence(questions, scene_graphs)
        tables = extend_tables(start, evidence, min_count=min_count)
        return cls(tables, evidence=evidence, fallback=start._fallback)

    def with_fallback(self, source: IsASource | None) -> Ontology:
        """The same ontology with IsA edges of a store for the names that it does not know."""
        return Ontology(self._tables, evidence=self.evidence, fallback=source)

    @property
    def tables(self) -> OntologyTables:
        """The plain tables behind this ontology (not to be changed)."""
        return self._tables

    def names(self) -> tuple[str, ...]:
        """Every known canonical object name and category, in the order of the source."""
        return tuple(dict.fromkeys([*self._tables.parents, *self._children]))

    def knows(self, name: str) -> bool:
        """Whether the name, in any of its forms, is in the ontology."""
        return self.canonical(name) in self._known

    def canonical(self, name: str) -> str:
        """The main form of a name: lower case, spaces, singular, first of its synonyms.

        Unknown names come back normalized and singular; attribute variants ("grey") resolve too.
        """
        found = self._canonical_memo.get(name)
        if found is None:
            if len(self._canonical_memo) >= _MEMO_LIMIT:
                self._canonical_memo.clear()
            found = self._canonical_memo[name] = self._find_canonical(name)
        return found

    def _find_canonical(self, name: str) -> str:
        clean = normalize_name(name)
        synonyms, attributes = self._tables.synonyms, self._tables.attribute_synonyms
        if clean in _TOP_WORDS:
            return TOP
        single = self._inflector.singular(clean)
        for form in (clean, single):
            if form in self._known:
                return form
            if form in synonyms:
                return synonyms[form]
        joined = single.replace(" ", "").replace("-", "")
        for form in (single.replace("-", " "), joined):
            if form in self._known or form in synonyms:
                return synonyms.get(form, form)
        if clean in attributes:
            return attributes[clean]
        if clean in self._tables.attribute_types:
            return clean
        return single

    def is_a(self, name: str, category: str) -> bool:
        """Whether `name` is `category` or a kind of it; number and synonyms do not matter."""
        target = self.canonical(category)
        if target == TOP:
            return True
        rule = self._tables.pronouns.get(target)
        if rule is not None:
            include, exclude = rule
            return self.is_a(name, include) and not any(self.is_a(name, word) for word in exclude)
        return target in self._ancestors(self.canonical(name))

    def categories(self, name: str) -> tuple[str, ...]:
        """All categories of a name, nearest first, ending with "object"; not the name itself."""
        start = self.canonical(name)
        found = [word for word in self._ancestors(start) if word not in (start, TOP)]
        return (*found, TOP) if start != TOP else ()

    def _ancestors(self, canonical: str) -> Mapping[str, None]:
        """`canonical` and everything above it, breadth first; cycles are walked once."""
        found = self._ancestor_memo.get(canonical)
        if found is not None:
            return found
        parents = self._tables.parents
        seen: dict[str, None] = {canonical: None}
        queue = deque([(canonical, 0)])
        while queue:
            word, depth = queue.popleft()
            above: Iterable[str] = parents.get(word, ())
            if not above and word not in self._known:
                above = self._unknown_parents(word, depth)
            for parent in above:
                if parent not in seen:
                    seen[parent] = None
                    queue.append((parent, depth + 1))
        if len(self._ancestor_memo) >= _MEMO_LIMIT:
            self._ancestor_memo.clear()
        self._ancestor_memo[canonical] = seen
        return seen

    def _unknown_parents(self, name: str, depth: int) -> list[str]:
        """What an unknown name is: the head of a compound ("apple juice box" -> "juice box" or
        "box"), else what the fallback says.
        """
        words = name.partition(" of ")[0].split(" ")
        for start in range(0 if " of " in name else 1, len(words)):
            head = self.canonical(" ".join(words[start:]))
            if head in self._known:
                return [head]
        if self._fallback is None or depth >= _FALLBACK_DEPTH:
            return []
        return [self.canonical(parent) for parent in self._fallback.parents(name)]

    def members(self, category: str) -> tuple[str, ...]:
        """Every known name below a category, nearest first, without the category itself."""
        start = self.canonical(category)
        seen: dict[str, None] = {start: None}
        queue = deque([start])
        while queue:
            for child in self._children.get(queue.popleft(), ()):
                if child not in seen:
                    seen[child] = None
                    queue.append(child)
        return tuple(seen)[1:]

    def has_members(self, name: str) -> bool:
        """Whether the name is a category of other names."""
        return self.canonical(name) in self._children

    def synonyms(self, name: str) -> tuple[str, ...]:
        """The other forms of a name, the main form first; not the name itself."""
        primary = self.canonical(name)
        forms = [primary, *self._forms.get(primary, ())]
        given = normalize_name(name)
        return tuple(form for form in dict.fromkeys(forms) if form != given)

    def attribute_types(self, attribute: str) -> tuple[str, ...]:
        """The types of an attribute, likeliest first ("light" -> weight, tone); () if unknown.

        The name of a place or a room is a value of the type of that name.
        """
        types = self._tables.attribute_types
        clean = normalize_name(attribute)
        primary = self._tables.attribute_synonyms.get(clean, clean)
        found = types.get(clean) or types.get(primary)
        if found:
            return found
        if self.is_a(clean, "room"):
            return ("room", "place")
        return ("place",) if self.is_a(clean, "place") else ()

    def canonical_attribute(self, attribute: str) -> str:
        """The main form of an attribute ("wooden" -> "wood"); unknown ones come back normalized."""
        clean = normalize_name(attribute)
        return self._tables.attribute_synonyms.get(clean, clean)

    def attribute_forms(self, attribute: str) -> tuple[str, ...]:
        """Every spelling of an attribute, the main form first."""
        primary = self.canonical_attribute(attribute)
        others = (f for f, main in self._tables.attribute_synonyms.items() if main == primary)
        return (primary, *others)

    def attributes_of_type(self, attribute_type: str) -> tuple[str, ...]:
        """The attributes of a type, in the order of the source; () for an unknown type."""
        return tuple(self._attributes.get(attribute_type, ()))

    def all_attribute_types(self) -> tuple[str, ...]:
        """Every attribute type that has attributes."""
        return tuple(self._attributes)

    def singular(self, name: str) -> str:
        """The singular of a name."""
        return self._inflector.singular(normalize_name(name))

    def plural(self, name: str) -> str:
        """The plural of a name."""
        return self._inflector.plural(normalize_name(name))

    def is_plural(self, name: str) -> bool:
        """Whether the name is a plural with another singular ("dogs", not "sheep" or "pants")."""
        return self._inflector.is_plural(normalize_name(name))


def normalize_name(name: str) -> str:
    """Lower case, underscores as spaces, single spaces.

    Raises:
        InputError: `name` is not a string.
    """
    if not isinstance(name, str):
        raise InputError(f"ontology: name: expected a string, got {type(name).__name__}")
    return " ".join(name.lower().replace("_", " ").split())
