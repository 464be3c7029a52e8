"""Programs as SQL over a whole collection: set operations with probabilities.

Each step that describes objects becomes a table (image_id, object_id, p): p is the product of the
scores along the way. A step that says yes or no becomes (image_id, p): an object exists with
1 - prod(1 - p), `and` multiplies, `or` is 1 - prod(1 - p).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gqa_reasoner.program.arguments import (
    EmptyArgument,
    KnowledgeArgument,
    ObjectArgument,
    RelateArgument,
    TypeArgument,
    ValueArgument,
    parse_argument,
)
from gqa_reasoner.program.operations import OPERATIONS, Family
from gqa_reasoner.program.predicates import inverse
from gqa_reasoner.program.steps import Program

if TYPE_CHECKING:
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["CompiledProgram", "NotCoveredError", "compile_program"]

POSITIONS = {
    "left": "(o.x1 + o.x2) / 2 < i.width * 0.45",
    "right": "(o.x1 + o.x2) / 2 > i.width * 0.55",
    "top": "(o.y1 + o.y2) / 2 < i.height * 0.45",
    "bottom": "(o.y1 + o.y2) / 2 > i.height * 0.55",
    "middle": "(o.x1 + o.x2) / 2 BETWEEN i.width * 0.33 AND i.width * 0.67",
}


class NotCoveredError(Exception):
    """The program asks for something that the tables cannot tell; the message says what."""


@dataclass
class CompiledProgram:
    """SQL of a program: named tables in order, and what the last one holds."""

    tables: list[tuple[str, str]] = field(default_factory=list)
    """(name, SELECT …); later ones use earlier ones."""
    parameters: list[object] = field(default_factory=list)
    objects: str | None = None
    """The last table of objects (image_id, object_id, p)."""
    truth: str | None = None
    """The table (image_id, p) of the answer "yes"."""
    asked: str | None = None
    """The attribute type that a final query asks for; None for yes and no."""

    def sql(self, ending: str) -> str:
        """The whole statement: the tables as a WITH, then `ending`."""
        parts = ", ".join(f"{name} AS MATERIALIZED ({body})" for name, body in self.tables)
        return f"WITH {parts} {ending}" if parts else ending


def compile_program(
    program: Program, ontology: Ontology, store: TripleStore | None, names: tuple[str, ...]
) -> CompiledProgram:
    """Compile a program.

    Args:
        program: parsed steps.
        ontology: expands categories and synonyms.
        store: answers `filter knowledge` steps; without it they are not covered.
        names: the object names that the collection holds.

    Raises:
        NotCoveredError: a step has no meaning over a collection.
    """
    compiler = _Compiler(ontology, store, names)
    for place, step in enumerate(program.steps):
        compiler.step(place, step.operation, step.argument, step.dependencies)
    return compiler.out


class _Compiler:
    def __init__(
        self, ontology: Ontology, store: TripleStore | None, names: tuple[str, ...]
    ) -> None:
        self.ontology, self.store, self.names = ontology, store, names
        self.out = CompiledProgram()
        self.kinds: list[str] = []

    def step(self, place: int, operation: str, text: str, inputs: tuple[int, ...]) -> None:
        row = OPERATIONS.get(operation)
        if row is None:
            raise NotCoveredError(f"the operation {operation!r}")
        argument = parse_argument(operation, text)
        kind = "objects"
        if isinstance(argument, KnowledgeArgument) and row.family in (Family.FILTER, Family.VERIFY):
            body = self._known(argument, inputs[0])
        elif row.family is Family.SELECT and isinstance(argument, ObjectArgument):
            body = self._select(argument)
        elif row.family is Family.FILTER and isinstance(argument, ValueArgument):
            body = self._filter(argument, row.attribute_type, inputs[0])
        elif row.family is Family.RELATE and isinstance(argument, RelateArgument):
            body = self._relate(argument, inputs[0])
        elif row.family is Family.VERIFY and isinstance(argument, RelateArgument):
            self._table(f"r{place}", self._relate(argument, inputs[0]))
            body, kind = self._exists(f"r{place}"), "truth"
            self.out.objects = f"r{place}"
        elif row.family is Family.VERIFY and isinstance(argument, ValueArgument):
            self._table(f"v{place}", self._filter(argument, row.attribute_type, inputs[0]))
            body, kind = self._exists(f"v{place}"), "truth"
            self.out.objects = f"v{place}"
        elif row.family is Family.EXIST and isinstance(argument, EmptyArgument):
            body, kind = self._exists(self._objects(inputs[0])), "truth"
        elif row.family in (Family.AND, Family.OR):
            body, kind = self._both(row.family, inputs), "truth"
        elif row.family is Family.QUERY and isinstance(argument, TypeArgument):
            self.out.asked = argument.attribute_type
            self._objects(inputs[0])
            self.kinds.append("query")
            return
        else:
            raise NotCoveredError(f"the step {operation!r} over a whole collection")
        self._table(f"t{place}", body)
        self.kinds.append(kind)
        if kind == "objects":
            self.out.objects = f"t{place}"
        else:
            self.out.truth = f"t{place}"

    def _table(self, name: str, body: str) -> None:
        self.out.tables.append((name, body))

    def _objects(self, place: int) -> str:
        if self.kinds[place] != "objects":
            raise NotCoveredError("a question about the whole picture")
        return f"t{place}"

    def _mark(self, value: object) -> str:
        self.out.parameters.append(value)
        return "?"

    def _fitting(self, name: str) -> list[str]:
        if name in ("_", "object", "thing", "item"):
            return []
        found = [item for item in self.names if self.ontology.is_a(item, name)]
        return found or [name]

    def _named(self, column: str, name: str) -> str:
        fitting = self._fitting(name)
        if not fitting:
            return "TRUE"
        return f"{column} IN ({', '.join(self._mark(item) for item in fitting)})"

    def _select(self, argument: ObjectArgument) -> str:
        if argument.is_scene:
            raise NotCoveredError("a question about the whole picture")
        return (
            "SELECT image_id, object_id, score AS p FROM objects WHERE "
            f"{self._named('name', argument.name)}"
        )

    def _filter(self, argument: ValueArgument, attribute_type: str | None, source: int) -> str:
        table = self._objects(source)
        wanted, negative = argument.value, argument.negated
        if attribute_type in ("hposition", "vposition"):
            if wanted not in POSITIONS:
                raise NotCoveredError(f"the position {wanted!r}")
            test = f"NOT ({POSITIONS[wanted]})" if negative else POSITIONS[wanted]
            return (
                f"SELECT s.image_id, s.object_id, s.p FROM {table} s "
                "JOIN objects o USING (image_id, object_id) JOIN images i USING (image_id) "
                f"WHERE {test}"
            )
        forms = dict.fromkeys([wanted, *self.ontology.attribute_forms(wanted)])
        marks = ", ".join(self._mark(form) for form in forms)
        held = (
            f"SELECT s.image_id, s.object_id, any_value(s.p) AS p, max(a.score) AS q FROM {table} s"
            f" {'LEFT ' if negative else ''}JOIN attributes a ON a.image_id = s.image_id AND "
            f"a.object_id = s.object_id AND a.name IN ({marks}) GROUP BY s.image_id, s.object_id"
        )
        share = "1 - coalesce(q, 0)" if negative else "q"
        return f"SELECT image_id, object_id, p * ({share}) AS p FROM ({held})"

    def _relate(self, argument: RelateArgument, source: int) -> str:
        table = self._objects(source)
        new, old = ("subject", "object") if argument.direction == "s" else ("object", "subject")
        back = inverse(argument.predicate)
        either = f"r.predicate = {self._mark(argument.predicate)}"
        links = (
            f"SELECT s.image_id, r.{new} AS object_id, s.p * r.score AS q FROM {table} s "
            f"JOIN relations r ON r.image_id = s.image_id AND r.{old} = s.object_id AND {either}"
        )
        if back is not None:
            links += (
                f" UNION ALL SELECT s.image_id, r.{old} AS object_id, s.p * r.score AS q "
                f"FROM {table} s JOIN relations r ON r.image_id = s.image_id AND "
                f"r.{new} = s.object_id AND r.predicate = {self._mark(back)}"
            )
        return (
            "SELECT l.image_id, l.object_id, max(l.q) * any_value(o.score) AS p "
            f"FROM ({links}) l JOIN objects o ON o.image_id = l.image_id AND "
            f"o.object_id = l.object_id WHERE {self._named('o.name', argument.name)} "
            "GROUP BY l.image_id, l.object_id"
        )

    def _known(self, argument: KnowledgeArgument, source: int) -> str:
        if self.store is None:
            raise NotCoveredError("commonsense, for no triple store was given")
        fitting = [
            name
            for name in self.names
            if any(
                edge.relation == argument.relation and edge.tail == argument.tail
                for edge in self.store.edges(self.ontology.canonical(name))
            )
        ]
        if not fitting:
            raise NotCoveredError(f"what is known of {argument.relation} {argument.tail!r}")
        marks = ", ".join(self._mark(name) for name in fitting)
        return (
            f"SELECT s.image_id, s.object_id, s.p FROM {self._objects(source)} s "
            f"JOIN objects o USING (image_id, object_id) WHERE o.name IN ({marks})"
        )

    def _exists(self, table: str) -> str:
        share = "1 - product(1 - least(p, 0.9999))"
        return f"SELECT image_id, {share} AS p FROM {table} GROUP BY image_id"

    def _both(self, family: Family, inputs: tuple[int, ...]) -> str:
        if any(self.kinds[place] != "truth" for place in inputs):
            raise NotCoveredError("'and' or 'or' of things that are not true or false")
        one, other = (f"t{place}" for place in inputs)
        if family is Family.AND:
            return f"SELECT image_id, a.p * b.p AS p FROM {one} a JOIN {other} b USING (image_id)"
        return (
            "SELECT image_id, 1 - (1 - coalesce(a.p, 0)) * (1 - coalesce(b.p, 0)) AS p "
            f"FROM {one} a FULL JOIN {other} b USING (image_id)"
        )
