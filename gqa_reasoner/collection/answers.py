"""From tables of probabilities to answers: which pictures, how many, what share, the commonest.

Legend: K pictures that may fit, best first; p (K,) their probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gqa_reasoner.collection.compile import Compiled, Compiler, NotCoveredError, Truth

if TYPE_CHECKING:
    import duckdb

    from knowledge.ontology import Ontology

__all__ = ["Found", "Weighted", "best_set", "commonest_attribute", "commonest_name", "weigh"]

FAINT = 0.02
"""Pictures below this probability are not considered."""
FLOOR = 0.15
"""No picture below this probability is returned as fitting."""
_BOXES = 8
"""Boxes shown for one picture."""


@dataclass
class Found:
    """The answer over the collection."""

    answer: str
    method: Literal["program", "vector", "reasoner"]
    """`reasoner`: the question was about one picture, which was looked at."""
    images: list[dict[str, Any]]
    """`{"image_id", "score", "path", "boxes", "missing"}`, best first."""
    program: list[dict[str, Any]] | None = None
    notes: list[str] = field(default_factory=list)
    counts: Mapping[str, float] = field(default_factory=dict)
    total: int = 0
    """How many pictures fit, shown or not."""
    possible: list[dict[str, Any]] = field(default_factory=list)
    """The best pictures below the line, which probably do not fit."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Every question asked of the pictures, with its program: `{"question", "program", "text"}`."""
    record: dict[str, Any] | None = None
    """For one picture: the answer as `ask --json` gives it."""

    def to_json(self) -> dict[str, Any]:
        """The record of `find --json`."""
        found = dict(vars(self))
        if self.record is None:
            del found["record"]
        return found


@dataclass(frozen=True)
class Weighted:
    """Pictures by number with probabilities, best first; `size` is how many were asked."""

    numbers: np.ndarray
    p: np.ndarray
    size: int

    @property
    def expected(self) -> float:
        """How many fit, by the sum of the probabilities."""
        return float(self.p.sum())


def weigh(connection: duckdb.DuckDBPyConnection, compiler: Compiler, truth: Truth) -> Weighted:
    """The probabilities of a compiled truth."""
    table = compiler.complete(truth)
    found = connection.execute(
        compiler.sql(f"SELECT image, p::DOUBLE AS p FROM {table} WHERE p > {FAINT}"),
        compiler.parameters,
    ).fetchnumpy()
    numbers, p = np.asarray(found["image"]), np.asarray(found["p"], dtype=np.float64)
    order = np.lexsort((numbers, -p))
    return Weighted(numbers[order], np.clip(p[order], 0.0, 1.0), scope_size(connection, compiler))


def scope_size(connection: duckdb.DuckDBPyConnection, compiler: Compiler) -> int:
    """How many pictures the restrictions leave."""
    where, values = compiler.scope if compiler.scope is not None else ("TRUE", ())
    row = connection.execute(
        f"SELECT count(*) FROM images i WHERE {where}", list(values)
    ).fetchone()
    return int(row[0]) if row else 0


def best_set(p: np.ndarray) -> int:
    """How many of the best pictures to return.

    The size k whose expected F1, 2 sum(p[:k]) / (k + sum(p)), is greatest: with sure scores the
    sure ones, with doubtful scores a lower line than one half (Lipton et al. 2014).
    """
    fair = int((p >= FLOOR).sum())
    if not fair:
        return 0
    sizes = np.arange(1, len(p) + 1)
    expected = 2 * np.cumsum(p) / (sizes + p.sum())
    return min(int(np.argmax(expected)) + 1, fair)


def evidence_boxes(
    connection: duckdb.DuckDBPyConnection, compiler: Compiler, images: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    """By picture the objects that the answer rests on: name, box, weight."""
    tables = list(dict.fromkeys(compiler.evidence))
    if not tables or not images:
        return {}
    listed = ", ".join(str(int(image)) for image in images)
    union = " UNION ALL ".join(
        f"SELECT image, object, p FROM {table} WHERE image IN ({listed})" for table in tables
    )
    rows = connection.execute(
        compiler.sql(
            "SELECT o.image, o.object, w.text, o.x1, o.y1, o.x2, o.y2, max(t.p) AS q "
            f"FROM ({union}) t JOIN objects o ON o.object = t.object "
            f"JOIN terms w ON w.code = o.name WHERE o.image IN ({listed}) "
            "GROUP BY ALL ORDER BY q DESC, o.object",
            only=images,
        ),
        compiler.parameters,
    ).fetchall()
    found: dict[int, list[dict[str, Any]]] = {}
    for image, _, name, x1, y1, x2, y2, p in rows:
        shown = found.setdefault(image, [])
        if len(shown) < _BOXES and p > FAINT:
            box = [round(value, 1) for value in (x1, y1, x2, y2)]
            shown.append({"name": name, "box": box, "weight": round(float(p), 4)})
    return found


def commonest_attribute(
    connection: duckdb.DuckDBPyConnection, compiler: Compiler, compiled: Compiled, kind: str
) -> tuple[list[tuple[str, float]], Truth | None]:
    """Values of an attribute type with how many of the things have them, and who has the first.

    Raises:
        NotCoveredError: the detector tells no attribute of the type.
    """
    held, types = compiler.vocabulary.attributes, compiler.ontology.attribute_types
    codes = {code: name for name, code in held.items() if kind in types(name)}
    if not codes:
        raise NotCoveredError(f"the {kind} of things: the detector of this index does not tell")
    joined = (
        f"FROM {compiled.objects} t JOIN attributes a ON a.object = t.object "
        f"WHERE a.name IN ({', '.join(map(str, codes))})"
    )
    rows = connection.execute(
        compiler.sql(f"SELECT a.name, sum(t.p * a.score) AS n {joined} GROUP BY a.name"),
        compiler.parameters,
    ).fetchall()
    counts = sorted(
        ((codes[code], float(n)) for code, n in rows), key=lambda row: (-row[1], row[0])
    )
    if not counts:
        return [], None
    best = compiler.new(
        f"SELECT t.image, t.object, t.p * a.score AS p {joined} AND a.name = {held[counts[0][0]]}"
    )
    compiler.evidence[:] = [best]
    return counts, compiler.exists(best)


def commonest_name(
    connection: duckdb.DuckDBPyConnection,
    compiler: Compiler,
    category: str,
    objects: str | None = None,
    given: Truth | None = None,
) -> tuple[list[tuple[str, float]], Truth | None]:
    """Kinds of a category with the expected number of pictures that show one.

    Args:
        connection: of the collection.
        compiler: takes the tables.
        category: "animal"; "object" for all.
        objects: a table of objects to count among; None for every object.
        given: pictures count as far as this holds.
    """
    source = objects or compiler.new(compiler.objects.select(category, None))
    share = f" * coalesce(g.p, {given.rest})" if given is not None else ""
    join = f" LEFT JOIN {given.table} g ON g.image = x.image" if given is not None else ""
    rows = connection.execute(
        compiler.sql(
            f"SELECT w.text, sum(x.p{share}) AS n FROM (SELECT t.image, o.name, "
            f"1 - product(1 - t.p) AS p FROM {source} t JOIN objects o ON o.object = t.object "
            f"GROUP BY t.image, o.name) x JOIN terms w ON w.code = x.name{join} GROUP BY w.text"
        ),
        compiler.parameters,
    ).fetchall()
    counts = _without(_most_first(rows), category, compiler.ontology)
    if not counts:
        return [], None
    code = compiler.vocabulary.names[counts[0][0]]
    best = compiler.new(
        f"SELECT t.image, t.object, t.p FROM {source} t JOIN objects o ON o.object = t.object "
        f"WHERE o.name = {code}"
    )
    compiler.evidence[:] = [best]
    truth = compiler.exists(best)
    return counts, truth if given is None else compiler.combine([truth, given], True)


def _most_first(rows: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(((name, float(n)) for name, n in rows), key=lambda row: (-row[1], row[0]))


def _without(
    counts: list[tuple[str, float]], category: str, ontology: Ontology
) -> list[tuple[str, float]]:
    """Leave out the category's own name where there are kinds of it."""
    kinds = [row for row in counts if ontology.canonical(row[0]) != ontology.canonical(category)]
    return kinds or counts
