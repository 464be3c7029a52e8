"""SQL of the steps that describe objects: select, filter, relate, what is known of things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqa_reasoner.collection.commonsense import known_names
from gqa_reasoner.collection.geometry_sql import pair_sql, place_sql, size_sql
from gqa_reasoner.collection.vocabulary import Fit
from gqa_reasoner.program.arguments import RelateArgument
from gqa_reasoner.program.predicates import broader_readings, inverse, object_kinds, spatial_kind
from knowledge.concepts import verbalize

if TYPE_CHECKING:
    from gqa_reasoner.collection.compile import Compiler

__all__ = ["NotCoveredError", "ObjectSql"]

OTHER_WORDS = 0.6
"""How far "near" counts for "beside" where the collection has "beside" as well."""
UNSUITED = 0.2
"""How far boxes count for an unlikely object of an interaction ("wearing a table")."""
_SIZES = {"large": True, "big": True, "huge": True, "giant": True,
          "small": False, "little": False, "tiny": False}  # fmt: skip


class NotCoveredError(Exception):
    """The program asks for something that the tables cannot tell; the message says what."""


class ObjectSql:
    """Makes the bodies of object tables (image, object, p) for a compiler."""

    def __init__(self, compiler: Compiler) -> None:
        self.c = compiler

    def _p(self, row: str) -> str:
        from gqa_reasoner.collection.compile import calibrated

        return calibrated(f"{row}.score", self.c.calibration)

    def _fit(self, name: str, fitting: list[int] | None) -> Fit:
        found = self.c.vocabulary.fit(name, self.c.ontology)
        if found is None:
            raise NotCoveredError(f"{name!r}: the detector of this index knows no such thing")
        self.c.note(found.note)
        if found.codes is None and fitting is not None:
            return Fit(tuple(fitting))
        return found

    def _named(self, column: str, fit: Fit) -> str:
        if fit.codes is None:
            return "TRUE"
        return f"{column} IN ({', '.join(map(str, fit.codes))})" if fit.codes else "FALSE"

    def select(self, name: str, fitting: list[int] | None) -> str:
        """All objects of a name."""
        fit = self._fit(name, fitting)
        return (
            f"SELECT o.image, o.object, {self._p('o')} * {fit.share} AS p FROM objects o "
            f"WHERE {self._named('o.name', fit)}{self.c.within('o.image')}"
        )

    def filter(self, table: str, value: str, negated: bool, kind: str | None) -> str:
        """Those of a table that have, or have not, an attribute."""
        share = self._placed(value, kind)
        if share is None:
            return self._attribute(table, value, negated, kind)
        share = f"(1 - {share})" if negated else share
        return (
            f"SELECT s.image, s.object, s.p * {share} AS p FROM {table} s "
            "JOIN objects o ON o.object = s.object JOIN images i ON i.image = s.image"
        )

    def _placed(self, value: str, kind: str | None) -> str | None:
        """P(a place in the picture, or a size) from the box alone."""
        if kind in ("hposition", "vposition"):
            found = place_sql(value, kind, "o", "i")
            if found is None:
                raise NotCoveredError(f"the position {value!r}")
            return found
        if value in _SIZES and not self._codes(value):
            self.c.note(f"{value!r} is judged by the share of the picture that a box covers")
            return size_sql(_SIZES[value], "o", "i")
        return None

    def _codes(self, value: str) -> list[int]:
        forms = dict.fromkeys([value, *self.c.ontology.attribute_forms(value)])
        held = self.c.vocabulary.attributes
        return [held[form] for form in forms if form in held]

    def _attribute(self, table: str, value: str, negated: bool, kind: str | None) -> str:
        codes = self._codes(value)
        if not codes and not self._type_is_held(value, kind):
            return self._usual(table, value, negated)
        listed = ", ".join(map(str, codes)) or "NULL"
        side = "LEFT " if negated else ""
        share = "1 - coalesce(max(a.score), 0)" if negated else "max(a.score)"
        return (
            f"SELECT s.image, s.object, any_value(s.p) * ({share}) AS p FROM {table} s "
            f"{side}JOIN attributes a ON a.object = s.object AND a.name IN ({listed}) "
            "GROUP BY s.image, s.object"
        )

    def _type_is_held(self, value: str, kind: str | None) -> bool:
        """Whether the detector tells attributes of this type at all."""
        types = self.c.ontology.attribute_types
        kinds = {kind} if kind else set(types(value))
        return any(kinds & set(types(word)) for word in self.c.vocabulary.attributes)

    def _usual(self, table: str, value: str, negated: bool) -> str:
        """An attribute that no detector told, from what is known of such things."""
        store, ontology = self.c.store, self.c.ontology
        names: list[str] = []
        seen = "color" in ontology.attribute_types(value)  # to be looked at, not to be known
        for relation in ("MadeOf", "HasProperty") if store is not None and not seen else ():
            for form in dict.fromkeys([value, *ontology.attribute_forms(value)]):
                names += known_names(relation, form, self.c.vocabulary.names, store, ontology)  # type: ignore[arg-type]
        if not names:
            raise NotCoveredError(f"what is {value!r}: the detector of this index does not tell")
        self.c.note(f"{value!r} is not seen but usual of: {', '.join(sorted(set(names))[:8])}")
        codes = ", ".join(str(self.c.vocabulary.names[name]) for name in dict.fromkeys(names))
        return (
            f"SELECT s.image, s.object, s.p FROM {table} s JOIN objects o ON o.object = s.object "
            f"WHERE o.name {'NOT ' if negated else ''}IN ({codes})"
        )

    def known(self, table: str, relation: str, tail: str) -> str:
        """Those of a table that a triple is about."""
        from gqa_reasoner.collection.commonsense import Demand

        told = verbalize("something", relation, tail)
        codes = self.c.demanded(Demand(told, ((relation, tail),)))
        listed = ", ".join(map(str, codes or [])) or "NULL"
        return (
            f"SELECT s.image, s.object, s.p FROM {table} s JOIN objects o ON o.object = s.object "
            f"WHERE o.name IN ({listed})"
        )

    def relate(self, table: str, argument: RelateArgument, fitting: list[int] | None) -> str:
        """Objects of a name that stand in a relation to those of a table."""
        if argument.direction == "_":
            return self._alike(table, argument, fitting)
        fit = self._fit(argument.name, fitting)
        links = self._stated(table, argument)
        if links is None:
            return self._from_boxes(table, argument, fit)
        return (
            f"SELECT l.image, l.object, max(l.q * {self._p('o')}) * {fit.share} AS p "
            f"FROM ({links}) l JOIN objects o ON o.object = l.object "
            f"WHERE {self._named('o.name', fit)} GROUP BY l.image, l.object"
        )

    def _stated(self, table: str, argument: RelateArgument) -> str | None:
        """Links that the scenes state, in this or the inverse wording; None where none do."""
        asked, held = argument.predicate, self.c.vocabulary.predicates
        exact = (asked, inverse(asked))
        others = OTHER_WORDS if any(word in held for word in exact) else 1.0
        new, old = ("subject", "object") if argument.direction == "s" else ("object", "subject")
        links = []
        for stated, code in held.items():
            share = 1.0 if stated in exact else others
            for holds, (far, near) in zip(
                broader_readings(stated, asked), ((new, old), (old, new)), strict=True
            ):
                if holds:
                    links.append(
                        f"SELECT r.image, r.{far} AS object, s.p * r.score * {share} AS q "
                        f"FROM {table} s JOIN relations r ON r.{near} = s.object "
                        f"WHERE r.predicate = {code} /*@r.image*/"
                    )
        return " UNION ALL ".join(links) if links else None

    def _from_boxes(self, table: str, argument: RelateArgument, fit: Fit) -> str:
        """Links judged from the boxes, as `SoftEvidence` does."""
        kind = spatial_kind(argument.predicate)
        if kind is None:
            if argument.predicate in ("with", "and"):
                share = "1.0"
            else:
                self.c.note(f"{argument.predicate!r} is judged from overlapping boxes alone")
                share = pair_sql("contact", *_ends(argument.direction))
                share += self._suits(argument)
        else:
            share = pair_sql(kind, *_ends(argument.direction))
        return (
            f"SELECT s.image, o.object, max(s.p * {self._p('o')} * {share}) * {fit.share} AS p "
            f"FROM {table} s JOIN objects a ON a.object = s.object "
            "JOIN objects o ON o.image = s.image AND o.object <> s.object "
            f"WHERE {self._named('o.name', fit)} GROUP BY s.image, o.object"
        )

    def _suits(self, argument: RelateArgument) -> str:
        """A factor for how well the object of an interaction suits it."""
        kinds, wanted = object_kinds(argument.predicate)
        if not kinds:
            return ""
        ontology, names = self.c.ontology, self.c.vocabulary.names
        codes = [
            str(code)
            for name, code in names.items()
            if any(ontology.is_a(name, kind) for kind in kinds) == wanted
        ]
        row = "a" if argument.direction == "s" else "o"
        suited = f"{row}.name IN ({', '.join(codes) or 'NULL'})"
        return f" * (CASE WHEN {suited} THEN 1 ELSE {UNSUITED} END)"

    def _alike(self, table: str, argument: RelateArgument, fitting: list[int] | None) -> str:
        """Objects that share an attribute of a type ("same color")."""
        kind = argument.same_type
        if kind is None:
            raise NotCoveredError(f"the relation {argument.predicate!r}")
        held = self.c.vocabulary.attributes
        codes = [str(code) for name, code in held.items()
                 if kind in self.c.ontology.attribute_types(name)]  # fmt: skip
        if not codes:
            raise NotCoveredError(f"the {kind} of things")
        fit = self._fit(argument.name, fitting)
        listed = ", ".join(codes)
        return (
            f"SELECT s.image, o.object, max(s.p * {self._p('o')} * x.score * y.score) * "
            f"{fit.share} AS p FROM {table} s JOIN attributes x ON x.object = s.object "
            "JOIN attributes y ON y.image = s.image AND y.object <> s.object AND y.name = x.name "
            f"JOIN objects o ON o.object = y.object WHERE x.name IN ({listed}) AND "
            f"{self._named('o.name', fit)} GROUP BY s.image, o.object"
        )


def _ends(direction: str) -> tuple[str, str]:
    """Aliases of subject and object: `o` is the new object, `a` the one it relates to."""
    return ("o", "a") if direction == "s" else ("a", "o")
