"""Questions over a collection: which / show me / how many / what share / the commonest colour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from detectors.errors import InputError
from gqa_reasoner.collection.compile import CompiledProgram, NotCoveredError, compile_program
from gqa_reasoner.collection.database import open_collection, read_settings
from gqa_reasoner.collection.vectors import rank_by_words

if TYPE_CHECKING:
    from gqa_reasoner.program.parser import ProgramParser
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["Collection", "Found", "Frame", "read_frame"]

Kind = Literal["which", "how many", "share", "commonest"]

_PICTURES = r"(?:pictures?|images?|photos?|photographs?|pics?|shots?)"
_VERB = (
    r"(?:show(?:s|ing)?|contain(?:s|ing)?|have|has|having|with|of|depict(?:s|ing)?|includes?|"
    r"features?|in which there (?:is|are)|where there (?:is|are)|there (?:is|are)|"
    r"that (?:show|contain|have|has|shows|contains))"
)
_GET = r"(?:show|find|give|get|list|search)(?: me| us)?(?: for)?"
_OF = r"(?:of )?(?:the |my |all )?"
_FRAMES: tuple[tuple[Kind, str], ...] = (
    ("how many", rf"how many {_OF}{_PICTURES} {_VERB} (?P<rest>.+)"),
    ("how many", rf"count(?: the)?(?: number of)? {_OF}{_PICTURES} {_VERB} (?P<rest>.+)"),
    ("how many", rf"in how many {_OF}{_PICTURES} (?P<clause>(?:is|are) .+)"),
    (
        "share",
        rf"(?:in )?what (?:share|fraction|percentage|proportion|part) {_OF}{_PICTURES} "
        rf"(?:{_VERB} (?P<rest>.+)|(?P<clause>(?:is|are) .+))",
    ),
    (
        "commonest",
        r"what(?:'s| is) the (?:most common|commonest|most frequent|usual) (?P<type>\w+) "
        r"(?:of|for) (?P<rest>.+)",
    ),
    (
        "commonest",
        r"(?:which|what) (?P<type>\w+) (?:is|are) (?:the )?(?P<rest>.+?) "
        r"(?:most often|usually|mostly)",
    ),
    ("which", rf"(?:{_GET} )?(?:all |the |some |any |my )*{_PICTURES} {_VERB} (?P<rest>.+)"),
    ("which", rf"(?:which|what)(?: of)?(?: the| my)? {_PICTURES} {_VERB} (?P<rest>.+)"),
    ("which", rf"in (?:which|what) {_PICTURES} (?P<clause>(?:is|are) .+)"),
    ("which", rf"{_GET} (?P<rest>.+)"),
)
_DETERMINER = re.compile(
    r"(?:an?|the|any|some|at least one|one|no|two|three|both)\b", re.IGNORECASE
)
_LIKELY = 0.5


@dataclass(frozen=True)
class Frame:
    """What is wanted of the collection, and the question that each picture is asked."""

    kind: Kind
    question: str
    attribute_type: str | None = None


@dataclass
class Found:
    """The answer over the collection."""

    answer: str
    method: Literal["program", "vector"]
    images: list[dict[str, Any]]
    """`{"image_id", "score", "path", "boxes"}`, best first."""
    program: list[dict[str, Any]] | None = None
    notes: list[str] = field(default_factory=list)
    counts: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record of `find --json`."""
        return vars(self)


def read_frame(question: str) -> Frame:
    """Split a question over a collection into what is wanted and what each picture is asked."""
    text = " ".join(question.split()).rstrip("?.! ")
    for kind, pattern in _FRAMES:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found is None:
            continue
        parts = found.groupdict()
        if kind == "commonest":
            kind_of = (parts["type"] or "").lower().replace("colour", "color")
            rest = parts["rest"]
            rest = rest if _DETERMINER.match(rest) else f"the {rest}"
            return Frame(kind, f"What {kind_of} is {rest}?", kind_of)
        if parts.get("clause"):
            return Frame(kind, parts["clause"][0].upper() + parts["clause"][1:] + "?")
        return Frame(kind, _existence(parts["rest"]))
    return Frame(
        "which", text + "?" if re.match(r"(?:is|are|do|does)\b", text, re.I) else _existence(text)
    )


def _existence(rest: str) -> str:
    """ "a dog left of a car" as "Is there a dog left of a car?"."""
    if _DETERMINER.match(rest):
        return f"Is there {rest}?"
    return f"Are there any {rest}?" if rest.split()[0].endswith("s") else f"Is there any {rest}?"


class Collection:
    """An indexed folder, open for questions.

    Args:
        folder: the index that `gqa-reasoner index` wrote.
        parser: question to program; ontology and store: meaning of names, and commonsense.

    Raises:
        InputError: no index, another version, or not finished.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        parser: ProgramParser,
        ontology: Ontology,
        store: TripleStore | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.settings = read_settings(folder)
        self.connection = open_collection(folder)
        self.parser, self.ontology, self.store = parser, ontology, store
        rows = self.connection.execute("SELECT DISTINCT name FROM objects ORDER BY name").fetchall()
        self.names = tuple(row[0] for row in rows)

    def __len__(self) -> int:
        row = self.connection.execute("SELECT count(*) FROM images").fetchone()
        return int(row[0]) if row else 0

    def find(self, question: str, *, limit: int = 20) -> Found:
        """Answer a question over the whole collection.

        Args:
            question: any English; questions that the program language covers are computed, others
                fall back to word vectors of the scenes, and the answer says so.
            limit: pictures to return.

        Raises:
            InputError: the question is empty.
        """
        if not question.strip():
            raise InputError("question: empty")
        frame = read_frame(question)
        parse = self.parser.parse(frame.question)
        if not parse.programs:
            reason = getattr(parse.failure, "reason", "no program")
            return self._by_words(question, limit, f"the question could not be parsed ({reason})")
        program = parse.programs[0].program
        try:
            compiled = compile_program(program, self.ontology, self.store, self.names)
            found = self._by_program(frame, compiled, limit)
        except NotCoveredError as error:
            return self._by_words(question, limit, f"the tables cannot tell {error}")
        found.program = program.to_semantic()
        return found

    def _by_program(self, frame: Frame, compiled: CompiledProgram, limit: int) -> Found:
        if frame.kind == "commonest" and compiled.asked is not None:
            return self._commonest(compiled, limit)
        if compiled.truth is None:
            raise NotCoveredError("a question that is not about which pictures")
        rows = self.connection.execute(
            compiled.sql(
                f"SELECT t.image_id, t.p, i.path FROM {compiled.truth} t JOIN images i USING "
                "(image_id) WHERE t.p > 0.05 ORDER BY t.p DESC, t.image_id"
            ),
            compiled.parameters,
        ).fetchall()
        likely = [row for row in rows if row[1] >= _LIKELY]
        total = len(self)
        boxes = self._boxes(compiled, [row[0] for row in rows[:limit]])
        images = [
            {"image_id": key, "score": round(p, 4), "path": path, "boxes": boxes.get(key, [])}
            for key, p, path in rows[:limit]
        ]
        expected = sum(row[1] for row in rows)
        notes = [f"{len(rows) - len(images)} more pictures fit"] if len(rows) > limit else []
        if frame.kind == "share":
            answer = f"{len(likely) / total:.1%}" if total else "n/a"
        elif frame.kind == "how many" or not likely:
            answer = str(len(likely))
        else:
            answer = f"{len(likely)} pictures"
        counts = {"likely": float(len(likely)), "expected": round(expected, 2), "of": float(total)}
        return Found(answer, "program", images, notes=notes, counts=counts)

    def _commonest(self, compiled: CompiledProgram, limit: int) -> Found:
        kind = compiled.asked or ""
        values = [value for value in self.ontology.attributes_of_type(kind) if value]
        if not values:
            raise NotCoveredError(f"the {kind} of things")
        marks = ", ".join("?" * len(values))
        rows = self.connection.execute(
            compiled.sql(
                f"SELECT a.name, sum(t.p * a.score) AS weight FROM {compiled.objects} t "
                "JOIN attributes a USING (image_id, object_id) "
                f"WHERE a.name IN ({marks}) GROUP BY a.name ORDER BY weight DESC, a.name"
            ),
            [*compiled.parameters, *values],
        ).fetchall()
        if not rows:
            return Found("none found", "program", [], notes=[f"no {kind} is recorded of these"])
        best = rows[0][0]
        shown = self.connection.execute(
            compiled.sql(
                f"SELECT t.image_id, max(t.p * a.score) AS p, any_value(i.path) "
                f"FROM {compiled.objects} t JOIN attributes a USING (image_id, object_id) "
                "JOIN images i USING (image_id) WHERE a.name = ? GROUP BY t.image_id "
                "ORDER BY p DESC, t.image_id LIMIT ?"
            ),
            [*compiled.parameters, best, limit],
        ).fetchall()
        images = [
            {"image_id": k, "score": round(p, 4), "path": f, "boxes": []} for k, p, f in shown
        ]
        counts = {name: round(weight, 2) for name, weight in rows[:10]}
        return Found(best, "program", images, counts=counts)

    def _boxes(self, compiled: CompiledProgram, image_ids: list[str]) -> dict[str, list[Any]]:
        """The objects that the answer rests on, for the pictures shown."""
        if compiled.objects is None or not image_ids:
            return {}
        marks = ", ".join("?" * len(image_ids))
        rows = self.connection.execute(
            compiled.sql(
                "SELECT o.image_id, o.name, o.x1, o.y1, o.x2, o.y2, t.p "
                f"FROM {compiled.objects} t JOIN objects o USING (image_id, object_id) "
                f"WHERE o.image_id IN ({marks}) ORDER BY t.p DESC"
            ),
            [*compiled.parameters, *image_ids],
        ).fetchall()
        found: dict[str, list[Any]] = {}
        for image_id, name, x1, y1, x2, y2, p in rows:
            record = {
                "name": name,
                "box": [round(v, 1) for v in (x1, y1, x2, y2)],
                "weight": round(p, 4),
            }
            found.setdefault(image_id, []).append(record)
        return {key: values[:5] for key, values in found.items()}

    def _by_words(self, question: str, limit: int, reason: str) -> Found:
        images = rank_by_words(self.connection, question, self.ontology, limit)
        note = f"{reason}; ranked by the words of the scenes instead"
        answer = f"{len(images)} pictures" if images else "0"
        return Found(answer, "vector", images, notes=[note])
