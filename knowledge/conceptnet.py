"""Readers of triples: the ConceptNet 5 assertions dump, conceptnet-lite databases, plain TSV.

Dump lines have five tab-separated columns: assertion URI, relation, start, end and a JSON object
with `weight` (Speer, Chin & Havasi 2017). All readers stream; broken lines are counted and the
first five kept, or refused in strict mode.
"""

from __future__ import annotations

import gzip
import json
import math
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from detectors.errors import InputError
from knowledge.concepts import MAX_CONCEPT_LENGTH, normalize_relation, parse_concept

__all__ = ["ReadFilter", "ReadReport", "detect_format", "read_dump", "read_lite", "read_tsv"]

Row = tuple[str, str, str, float]
Format = Literal["dump", "lite", "tsv"]

_BLOCK = 1 << 20
_SHOWN = 5
_WEIGHT_KEY = b'"weight": '
_SQLITE_MAGIC = b"SQLite format 3\0"
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class ReadFilter:
    """Which triples are kept.

    Args:
        languages: codes that both ends must have; None keeps all.
        relations: names without "/r/"; None keeps all.
        min_weight: lower weights are dropped.
        vocabulary: concept texts; a triple is kept if one of its ends (`vocabulary_ends` "any")
            or both are in it.
        senses: "strip" drops ConceptNet's sense tags, "keep" makes them part of the text.
        language: the store's own language, whose concepts carry no prefix.
    """

    languages: frozenset[str] | None = frozenset({"en"})
    relations: frozenset[str] | None = None
    min_weight: float = 0.0
    vocabulary: frozenset[str] | None = None
    vocabulary_ends: Literal["any", "both"] = "any"
    senses: Literal["strip", "keep"] = "strip"
    language: str = "en"

    def accepts(self, head: str, relation: str, tail: str, weight: float) -> bool:
        """Whether a triple of normalized texts passes all but the language filter."""
        if weight < self.min_weight:
            return False
        if self.relations is not None and relation not in self.relations:
            return False
        if self.vocabulary is None:
            return True
        inside = (head in self.vocabulary, tail in self.vocabulary)
        return all(inside) if self.vocabulary_ends == "both" else any(inside)


@dataclass
class ReadReport:
    """What a reader saw; `first_broken` describes the first five broken lines."""

    lines: int = 0
    kept: int = 0
    filtered: int = 0
    broken: int = 0
    first_broken: list[str] = field(default_factory=list)

    def note(self, source: Path, number: int, problem: str, *, strict: bool) -> None:
        """Count a broken line; raise InputError in strict mode."""
        message = f"{source}: line {number}: {problem}"
        if strict:
            raise InputError(message)
        self.broken += 1
        if len(self.first_broken) < _SHOWN:
            self.first_broken.append(message)


def detect_format(path: Path) -> Format:
    """Tell a conceptnet-lite database, an assertions dump and plain TSV apart by their content.

    Raises:
        InputError: the file is empty.
    """
    with path.open("rb") as stream:
        start = stream.read(16)
    if start == _SQLITE_MAGIC:
        return "lite"
    first = next(_lines(path), b"")
    if not start:
        raise InputError(f"{path}: the file is empty; expected triples")
    return "dump" if first.startswith(b"/a/") or first.count(b"\t/c/") == 2 else "tsv"


def read_dump(
    path: Path,
    *,
    keep: ReadFilter | None = None,
    report: ReadReport | None = None,
    strict: bool = False,
) -> Iterator[Row]:
    """Stream an assertions dump (.csv or .csv.gz) as (head, relation, tail, weight).

    Raises:
        InputError: a broken line in strict mode, or a truncated gzip file.
    """
    keep, report = keep or ReadFilter(), report or ReadReport()
    relations: dict[bytes, str] = {}
    for line in _lines(path):
        report.lines += 1
        cells = line.split(b"\t")
        if len(cells) != 5:
            report.note(path, report.lines, f"expected 5 columns, got {len(cells)}", strict=strict)
            continue
        _, relation_cell, start, end, info = cells
        if not (start.startswith(b"/c/") and end.startswith(b"/c/")):
            if relation_cell == b"/r/ExternalURL":
                report.filtered += 1
            else:
                report.note(path, report.lines, "columns 3 and 4 must be /c/ URIs", strict=strict)
            continue
        try:
            head, tail = _dump_concept(start, keep), _dump_concept(end, keep)
            relation = relations.get(relation_cell)
            if relation is None:
                relation = relations[relation_cell] = _dump_relation(relation_cell)
            weight = _dump_weight(info)
        except ValueError as error:
            report.note(path, report.lines, _problem(error), strict=strict)
            continue
        if head is None or tail is None or not keep.accepts(head, relation, tail, weight):
            report.filtered += 1
            continue
        report.kept += 1
        yield head, relation, tail, weight


def _problem(error: ValueError) -> str:
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _dump_relation(cell: bytes) -> str:
    text = cell.decode()
    if not text.startswith("/r/"):
        raise ValueError(f"column 2: expected a /r/ URI, got {text[:60]!r}")
    return normalize_relation(text)


def _dump_concept(cell: bytes, keep: ReadFilter) -> str | None:
    """The text of a concept URI; None where its language is filtered out."""
    parts = cell.decode().split("/", 4)
    if len(parts) < 4 or not parts[3]:
        raise ValueError(f"concept URI without a text: {parts[:4]!r}")
    language, text = parts[2], parts[3]
    if len(text) > MAX_CONCEPT_LENGTH:
        raise ValueError(f"concept of {len(text)} characters (limit {MAX_CONCEPT_LENGTH})")
    if keep.languages is not None and language not in keep.languages:
        return None
    text = text.replace("_", " ")
    if keep.senses == "keep" and len(parts) > 4:
        text = f"{text}/{parts[4]}"
    return text if language == keep.language else f"{language}/{text}"


def _dump_weight(info: bytes) -> float:
    place = info.rfind(_WEIGHT_KEY)
    if place >= 0 and info.endswith(b"}"):
        text = info[place + len(_WEIGHT_KEY) :].split(b",", 1)[0].rstrip(b"}").strip()
        value: object = text.decode()
    else:
        record = json.loads(info)
        value = record.get("weight") if isinstance(record, dict) else None
    return _checked_weight(value)


def _checked_weight(value: object) -> float:
    try:
        weight = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"weight: expected a number, got {str(value)[:40]!r}") from None
    if not math.isfinite(weight) or weight < 0:
        raise ValueError(f"weight: expected a number of at least 0, got {weight}")
    return weight


def read_tsv(
    path: Path,
    *,
    columns: Sequence[str] = (),
    keep: ReadFilter | None = None,
    report: ReadReport | None = None,
    strict: bool = False,
) -> Iterator[Row]:
    """Stream tab-separated triples; concepts may be plain text or /c/ URIs.

    Args:
        path: text or gzip file; lines that start with "#" are comments.
        columns: names among head, relation, tail, weight and "-" (ignored); empty for
            head, relation, tail[, weight], or relation first where the first row's first cell
            names a ConceptNet relation.
        keep: filter; its languages apply to URIs only.
        report: receives the counts.
        strict: refuse broken lines.

    Raises:
        InputError: unusable columns, or a broken line in strict mode.
    """
    keep, report = keep or ReadFilter(), report or ReadReport()
    places = _column_places(columns) if columns else None
    for line in _lines(path):
        report.lines += 1
        if line.startswith(b"#") or not line.strip():
            report.filtered += 1
            continue
        try:
            cells = line.decode().split("\t")
            if places is None:
                places = _column_places(_guess_columns(cells))
            head, relation, tail, weight = _tsv_row(cells, places, keep)
        except ValueError as error:
            report.note(path, report.lines, _problem(error), strict=strict)
            continue
        if head is None or tail is None or not keep.accepts(head, relation, tail, weight):
            report.filtered += 1
            continue
        report.kept += 1
        yield head, relation, tail, weight


def _guess_columns(cells: list[str]) -> tuple[str, ...]:
    from knowledge.concepts import RELATIONS

    def is_relation(cell: str) -> bool:
        return normalize_relation(cell or "-") in RELATIONS

    names = ("head", "relation", "tail")
    if len(cells) > 2 and is_relation(cells[0]) and not is_relation(cells[1]):
        names = ("relation", "head", "tail")
    return (*names, "weight") if len(cells) == 4 else names


def _column_places(columns: Sequence[str]) -> dict[str, int]:
    places = {name: place for place, name in enumerate(columns) if name != "-"}
    places["count"] = len(columns)
    allowed = {"head", "relation", "tail", "weight", "count"}
    if not {"head", "relation", "tail"} <= set(places) <= allowed:
        raise InputError(
            "columns: expected head, relation, tail and perhaps weight or '-', got "
            + ",".join(columns)
        )
    return places


def _tsv_row(
    cells: list[str], places: dict[str, int], keep: ReadFilter
) -> tuple[str | None, str, str | None, float]:
    if len(cells) != places["count"]:
        raise ValueError(f"expected {places['count']} columns, got {len(cells)}")
    head, tail = (_tsv_concept(cells[places[end]], keep) for end in ("head", "tail"))
    weight = _checked_weight(cells[places["weight"]]) if "weight" in places else 1.0
    return head, normalize_relation(cells[places["relation"]]), tail, weight


def _tsv_concept(cell: str, keep: ReadFilter) -> str | None:
    concept = parse_concept(cell, language=keep.language)
    if not concept.text:
        raise ValueError("empty concept")
    if len(concept.text) > MAX_CONCEPT_LENGTH:
        raise ValueError(f"concept of {len(concept.text)} characters (limit {MAX_CONCEPT_LENGTH})")
    if keep.languages is not None and concept.language not in keep.languages:
        return None
    text = concept.text
    if keep.senses == "keep" and concept.sense:
        text = f"{text}/{concept.sense}"
    return text if concept.language == keep.language else f"{concept.language}/{text}"


_LITE_QUERY = """
SELECT relation.name, head_language.name, head_label.text, head.sense_label,
       tail_language.name, tail_label.text, tail.sense_label, edge.etc
FROM edge
JOIN relation ON relation.id = edge.relation_id
JOIN concept AS head ON head.id = edge.start_id
JOIN label AS head_label ON head_label.id = head.label_id
LEFT JOIN language AS head_language ON head_language.id = head_label.language_id
JOIN concept AS tail ON tail.id = edge.end_id
JOIN label AS tail_label ON tail_label.id = tail.label_id
LEFT JOIN language AS tail_language ON tail_language.id = tail_label.language_id
"""


def read_lite(
    path: Path,
    *,
    keep: ReadFilter | None = None,
    report: ReadReport | None = None,
    strict: bool = False,
) -> Iterator[Row]:
    """Stream a conceptnet-lite SQLite database, opened read-only and without the package.

    Raises:
        InputError: not such a database, or a broken row in strict mode.
    """
    keep, report = keep or ReadFilter(), report or ReadReport()
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        rows = connection.execute(_LITE_QUERY)
    except sqlite3.Error as error:
        raise InputError(f"{path}: not a conceptnet-lite database: {error}") from None
    try:
        for relation, *ends, info in rows:
            report.lines += 1
            try:
                heads = _lite_concept(ends[0], ends[1], ends[2], keep)
                tails = _lite_concept(ends[3], ends[4], ends[5], keep)
                weight = _dump_weight((info or "{}").encode())
            except ValueError as error:
                report.note(path, report.lines, _problem(error), strict=strict)
                continue
            name = normalize_relation(relation)
            if heads is None or tails is None or not keep.accepts(heads, name, tails, weight):
                report.filtered += 1
                continue
            report.kept += 1
            yield heads, name, tails, weight
    except sqlite3.Error as error:
        raise InputError(f"{path}: conceptnet-lite database: row {report.lines}: {error}") from None
    finally:
        connection.close()


def _lite_concept(language: str | None, text: str, sense: str, keep: ReadFilter) -> str | None:
    if language is None or (keep.languages is not None and language not in keep.languages):
        return None
    if not text or len(text) > MAX_CONCEPT_LENGTH:
        raise ValueError(f"concept of {len(text or '')} characters (limit {MAX_CONCEPT_LENGTH})")
    text = text.replace("_", " ")
    if keep.senses == "keep" and sense:
        text = f"{text}/{sense}"
    return text if language == keep.language else f"{language}/{text}"


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a text or gzip file without line ends, in memory bounded by the longest line.

    A line of more than a megabyte is cut into one such piece, so that it counts as broken.
    """
    with _opened(path) as stream:
        rest = b""
        count = 0
        try:
            while block := stream.read(_BLOCK):
                lines = (rest + block).split(b"\n")
                rest = lines.pop()
                count += len(lines)
                for line in lines:
                    yield line[:-1] if line.endswith(b"\r") else line
                if len(rest) > 4 * _BLOCK:
                    rest = rest[:_BLOCK]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{path}: gzip data ends early or is damaged after line {count}: {error}"
            ) from None
        if rest:
            yield rest


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        compressed = stream.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if compressed else path.open("rb")  # type: ignore[return-value]
