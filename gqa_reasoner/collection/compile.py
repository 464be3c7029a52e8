"""Programs as SQL over a whole collection: set operations with probabilities.

Each step that describes objects becomes a table (image, object, p): p is the product of the
probabilities along the way. What is true or false of a picture becomes a table (image, p) and the
p of pictures that are not in it: an object exists with 1 - prod(1 - p), at least k objects by the
polynomial prod(1 - p + p x), `and` multiplies, `or` is 1 - prod(1 - p), `not` is 1 - p.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gqa_reasoner.collection.commonsense import Demand, fitting_names
from gqa_reasoner.collection.object_sql import NotCoveredError, ObjectSql
from gqa_reasoner.collection.vocabulary import Vocabulary
from gqa_reasoner.program.arguments import (
    EmptyArgument,
    KnowledgeArgument,
    ObjectArgument,
    RelateArgument,
    TypeArgument,
    ValueArgument,
    parse_argument,
)
from gqa_reasoner.program.operations import OPERATIONS, Family, Operation
from gqa_reasoner.program.steps import Program

if TYPE_CHECKING:
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

_SCAN = re.compile(r"/\*@([\w.]+)\*/")
__all__ = ["Compiler", "NotCoveredError", "Truth"]


@dataclass(frozen=True)
class Truth:
    """A table (image, p) and `rest`, the p of every picture that it does not list."""

    table: str
    rest: float = 0.0


@dataclass(frozen=True)
class _Step:
    """What a compiled step is: a table of objects, a truth, the whole picture, or a question."""

    kind: str
    table: str = ""
    truth: Truth | None = None


@dataclass
class Compiled:
    """What a program came to."""

    truth: Truth | None = None
    objects: str | None = None
    """The last table of objects (image, object, p)."""
    asked: str | None = None
    """The attribute type, `name` or `count` that a final query asks for."""


@dataclass
class Compiler:
    """Turns programs into tables of one SQL statement.

    Args:
        vocabulary: names of the collection.
        ontology: categories and synonyms.
        store: commonsense triples; without it knowledge steps are not covered.
        calibration: (slope, offset) from a detector's score to a probability, in logits.
        scope: SQL condition over `images i` that restricts everything, and its parameters.
    """

    vocabulary: Vocabulary
    ontology: Ontology
    store: TripleStore | None = None
    calibration: tuple[float, float] | None = None
    scope: tuple[str, Sequence[object]] | None = None
    tables: list[tuple[str, str]] = field(default_factory=list)
    parameters: list[object] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    """Tables of objects that a positive answer rests on."""

    def __post_init__(self) -> None:
        if self.scope is not None:
            self.add("scope", f"SELECT image FROM images i WHERE {self.scope[0]}")
            self.parameters += list(self.scope[1])
        self.objects = ObjectSql(self)

    def sql(self, ending: str, only: Sequence[int] | None = None) -> str:
        """The whole statement: the tables as a WITH, then `ending`.

        `only` narrows every scan to a few pictures, where only they are to be shown.
        """
        parts = ", ".join(f"{name} AS MATERIALIZED ({body})" for name, body in self.tables)
        whole = f"WITH {parts} {ending}" if parts else ending
        if only is None:
            return whole
        listed = ", ".join(str(int(number)) for number in only) or "NULL"
        return _SCAN.sub(rf" AND \1 IN ({listed})", whole)

    def add(self, name: str, body: str) -> str:
        """One more table."""
        self.tables.append((name, body))
        return name

    def new(self, body: str) -> str:
        """One more table, named by its place."""
        return self.add(f"t{len(self.tables)}", body)

    def note(self, text: str | None) -> None:
        """Remember once what was assumed."""
        if text and text not in self.notes:
            self.notes.append(text)

    def program(self, program: Program, demand: Demand | None = None) -> Compiled:
        """Compile a program; `demand` narrows its one step that names any object.

        Raises:
            NotCoveredError: a step has no meaning over a collection.
        """
        out = Compiled()
        steps: list[_Step] = []
        fitting = self.demanded(demand)
        for step in merge_names(program, self.vocabulary).steps:
            row = OPERATIONS.get(step.operation)
            if row is None:
                raise NotCoveredError(f"the operation {step.operation!r}")
            made = self._step(row, step.argument, [steps[place] for place in step.dependencies],
                              fitting, out)  # fmt: skip
            steps.append(made)
            if made.kind == "objects":
                out.objects = made.table
            elif made.truth is not None:
                out.truth = made.truth
        return out

    def demanded(self, demand: Demand | None) -> list[int] | None:
        """Numbers of the names that a demand allows."""
        if demand is None:
            return None
        if self.store is None:
            raise NotCoveredError("commonsense, for no triple store was given")
        names = fitting_names(demand, self.vocabulary.names, self.store, self.ontology)
        if not names:
            known = fitting_names(demand, self.vocabulary.classes, self.store, self.ontology)
            if not known:
                raise NotCoveredError(f"which things are {demand.text!r}")
        self.note(f"{demand.text}: {', '.join(names[:12]) or 'none in these pictures'}")
        return [self.vocabulary.names[name] for name in names]

    def _step(
        self,
        row: Operation,
        text: str,
        inputs: list[_Step],
        fitting: list[int] | None,
        out: Compiled,
    ) -> _Step:
        argument = parse_argument(row.name, text)
        family = row.family
        if family is Family.SELECT and isinstance(argument, ObjectArgument):
            if argument.is_scene:
                return _Step("scene")
            return self._objects(self.objects.select(argument.name, fitting))
        if family in (Family.AND, Family.OR):
            truths = [self._truth(item) for item in inputs]
            return _Step("truth", truth=self.combine(truths, family is Family.AND))
        source = inputs[0] if inputs else _Step("none")
        if source.kind == "scene":
            return self._scene(row, argument)
        if source.kind != "objects":
            raise NotCoveredError(f"the step {row.name!r} over a whole collection")
        if isinstance(argument, KnowledgeArgument):
            made = self.objects.known(source.table, argument.relation, argument.tail)
        elif isinstance(argument, ValueArgument):
            made = self.objects.filter(
                source.table, argument.value, argument.negated, row.attribute_type
            )
        elif isinstance(argument, RelateArgument):
            made = self.objects.relate(source.table, argument, fitting)
        elif family is Family.EXIST and isinstance(argument, EmptyArgument):
            return self._exist(source.table)
        elif family is Family.QUERY and isinstance(argument, TypeArgument):
            out.asked = argument.attribute_type
            return _Step("query", source.table)
        else:
            raise NotCoveredError(f"the step {row.name!r} over a whole collection")
        step = self._objects(made)
        if family is Family.VERIFY:
            out.objects = step.table
            return self._exist(step.table)
        return step

    def _objects(self, body: str) -> _Step:
        return _Step("objects", self.new(body))

    def _truth(self, step: _Step) -> Truth:
        if step.truth is None:
            raise NotCoveredError("'and' or 'or' of things that are not true or false")
        return step.truth

    def _exist(self, table: str) -> _Step:
        self.evidence.append(table)
        return _Step("truth", truth=self.exists(table))

    def _scene(self, row: Operation, argument: object) -> _Step:
        """A fact of the whole picture, such as its weather or place."""
        if not isinstance(argument, ValueArgument) or row.family is not Family.VERIFY:
            raise NotCoveredError("a question about the whole picture")
        forms = [argument.value, *self.ontology.attribute_forms(argument.value)]
        forms = list(dict.fromkeys(forms))
        marks = ", ".join("?" * len(forms))
        self.parameters += forms
        table = self.new(
            f"SELECT image, max(score) AS p FROM facts WHERE value IN ({marks})"
            f"{self.within('image')} GROUP BY image"
        )
        truth = Truth(table)
        return _Step("truth", truth=self.negate(truth) if argument.negated else truth)

    def within(self, column: str) -> str:
        """The condition that a picture is in scope, to follow another one.

        It ends with a mark, a comment to the database, where `sql` may narrow the scan.
        """
        scope = f" AND {column} IN (SELECT image FROM scope)" if self.scope is not None else ""
        return f"{scope} /*@{column}*/"

    def exists(self, table: str) -> Truth:
        """At least one object of a table."""
        return Truth(self.new(f"SELECT image, 1 - product(1 - p) AS p FROM {table} GROUP BY image"))

    def count(self, table: str, least: int, most: int | None) -> Truth:
        """From `least` to `most` objects of a table (`most` None: no limit)."""
        top = (most if most is not None else least - 1) + 1
        if top < 1:
            return Truth(self.new(f"SELECT DISTINCT image, 1.0::DOUBLE AS p FROM {table}"), 1.0)
        places = ", ".join(map(str, range(1, top + 1)))
        polynomial = (
            f"list_reduce(list([1 - p, p]), lambda x, y: list_transform([{places}], lambda j: "
            "coalesce(x[j], 0) * y[1] + coalesce(CASE WHEN j > 1 THEN x[j - 1] END, 0) * y[2]))"
        )
        body = f"SELECT image, {polynomial} AS d FROM {table} GROUP BY image"
        if least > 0:  # pictures with fewer candidates cannot have that many
            body += f" HAVING count(*) >= {least}"
        start = 0 if most is None else least
        terms = [f"coalesce(d[{place + 1}], 0)" for place in range(start, top)]
        inside = " + ".join(terms)
        share = f"1 - ({inside})" if most is None else inside
        rest = 1.0 if least == 0 else 0.0
        return Truth(self.new(f"SELECT image, {share} AS p FROM ({body})"), rest)

    def negate(self, truth: Truth) -> Truth:
        """Not."""
        return Truth(self.new(f"SELECT image, 1 - p AS p FROM {truth.table}"), 1 - truth.rest)

    def combine(self, truths: Sequence[Truth], conjunction: bool) -> Truth:
        """All of them, or any of them, as independent facts."""
        whole = truths[0]
        for other in truths[1:]:
            one, two = f"coalesce(a.p, {whole.rest})", f"coalesce(b.p, {other.rest})"
            share = f"{one} * {two}" if conjunction else f"1 - (1 - {one}) * (1 - {two})"
            table = self.new(
                f"SELECT image, {share} AS p FROM {whole.table} a FULL JOIN {other.table} b "
                "USING (image)"
            )
            rests = whole.rest * other.rest, 1 - (1 - whole.rest) * (1 - other.rest)
            whole = Truth(table, rests[0] if conjunction else rests[1])
        return whole

    def complete(self, truth: Truth) -> str:
        """A table (image, p) of every picture in scope that may fit."""
        if truth.rest == 0:
            return truth.table
        return self.new(
            f"SELECT i.image, coalesce(t.p, {truth.rest}) AS p FROM images i LEFT JOIN "
            f"{truth.table} t ON t.image = i.image WHERE TRUE{self.within('i.image')}"
        )


def merge_names(program: Program, vocabulary: Vocabulary) -> Program:
    """Join a filter and a name that are one name of the collection ("sports" + "ball")."""
    known = {*vocabulary.names, *vocabulary.classes}
    steps = list(program.steps)
    for place, step in enumerate(steps):
        row = OPERATIONS.get(step.operation)
        if row is None or row.family is not Family.FILTER or len(step.dependencies) != 1:
            continue
        before = step.dependencies[0]
        source = steps[before]
        name, comma, rest = source.argument.partition(",")
        joined = f"{step.argument.strip()} {name.strip()}"
        used = sum(before in other.dependencies for other in steps)
        if joined not in known or source.operation not in ("select", "relate") or used != 1:
            continue
        steps[before] = replace(source, argument=joined + comma + rest)
        kept = steps[:place] + steps[place + 1 :]
        moved = tuple(
            replace(
                item,
                dependencies=tuple(
                    before if old == place else old - (old > place) for old in item.dependencies
                ),
            )
            for item in kept
        )
        return merge_names(Program(moved), vocabulary)
    return program


def calibrated(column: str, calibration: tuple[float, float] | None) -> str:
    """A detector's score as a probability: slope and offset in logits."""
    if calibration is None:
        return column
    slope, offset = calibration
    clipped = f"greatest(least({column}, 0.9999), 0.0001)"
    return f"(1 / (1 + exp(-({slope} * ln({clipped} / (1 - {clipped})) + {offset}))))"


def calibration_of(settings: Mapping[str, object]) -> tuple[float, float] | None:
    """The calibration that an index was given."""
    found = settings.get("calibration")
    if isinstance(found, (list, tuple)) and len(found) == 2:
        return float(found[0]), float(found[1])
    return None
