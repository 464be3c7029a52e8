"""The names that a collection holds, by number, and what its detector can name at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from knowledge.ontology import Ontology

__all__ = ["Fit", "Vocabulary"]

_ANY = frozenset({"_", "object", "thing", "item", "something", "anything", "scene"})
BROADER = 0.5
"""How far a thing of the nearest category that the detector knows counts as the thing named."""


@dataclass(frozen=True)
class Fit:
    """Which names of a collection a word stands for.

    `codes` None means every name; `share` is how far they count; `note` says what was assumed.
    """

    codes: tuple[int, ...] | None
    share: float = 1.0
    note: str | None = None


@dataclass(frozen=True)
class Vocabulary:
    """Names that occur, each with its number, and the detector's class names."""

    names: Mapping[str, int]
    attributes: Mapping[str, int]
    predicates: Mapping[str, int]
    classes: tuple[str, ...] = ()

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary of an open collection."""
        found = []
        for table, column in (
            ("objects", "name"),
            ("attributes", "name"),
            ("relations", "predicate"),
        ):
            rows = connection.execute(
                f"SELECT text, code FROM terms WHERE code IN (SELECT DISTINCT {column} FROM "
                f"{table}) ORDER BY text"
            ).fetchall()
            found.append(dict(rows))
        return cls(found[0], found[1], found[2], tuple(settings.get("classes") or ()))

    def fit(self, word: str, ontology: Ontology) -> Fit | None:
        """Which names `word` stands for; None where the detector could not have told.

        A kind that the detector does not tell apart ("poodle") falls back to the nearest category
        that it knows ("dog"), and says so.
        """
        if word in _ANY:
            return Fit(None)
        known: Sequence[str] = self.classes or tuple(self.names)
        if word not in known:  # plurals that the ontology has not ("broccolis")
            word = next((item for item in known if word in (f"{item}s", f"{item}es")), word)
        codes = tuple(code for name, code in self.names.items() if ontology.is_a(name, word))
        if codes or any(ontology.is_a(name, word) for name in self.classes):
            return Fit(codes)
        canonical = {ontology.canonical(name) for name in known}
        for category in ontology.categories(word)[:-1]:
            if category in canonical:
                wide = tuple(
                    code
                    for name, code in self.names.items()
                    if ontology.canonical(name) == category
                )
                note = f"{word!r} is not told apart here; {category!r} was taken for it"
                return Fit(wide, BROADER, note)
        return None
