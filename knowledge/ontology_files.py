"""The ontology's files: the shipped TSV tables and the JSON form of a saved ontology."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectors.errors import InputError

__all__ = ["OntologyTables", "default_tables", "tables_from_json", "tables_to_json"]

FORMAT = "gqa_reasoner ontology"
VERSION = 1
_DATA = Path(__file__).parent / "data"


@dataclass
class OntologyTables:
    """Plain tables; every key is a canonical (normalized, singular) name.

    `parents`: name to its direct categories. `synonyms`: other form to name.
    `attribute_types`: attribute to types. `attribute_synonyms`: other form to attribute.
    `plurals`: (singular, plural or "="). `pronouns`: word to (category, excluded categories).
    """

    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    synonyms: dict[str, str] = field(default_factory=dict)
    attribute_types: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attribute_synonyms: dict[str, str] = field(default_factory=dict)
    plurals: tuple[tuple[str, str], ...] = ()
    pronouns: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)


@functools.lru_cache(maxsize=1)
def default_tables() -> OntologyTables:
    """The tables shipped in `knowledge/data` (one shared object, not to be changed)."""
    parents, synonyms = _read_objects(_DATA / "objects.tsv")
    types, variants = _read_attributes(_DATA / "attributes.tsv")
    return OntologyTables(
        parents=parents,
        synonyms=synonyms,
        attribute_types=types,
        attribute_synonyms=variants,
        plurals=tuple((row[0], row[1]) for row in _rows(_DATA / "plurals.tsv", 2)),
        pronouns={
            row[0]: (row[1], tuple(row[2].split())) for row in _rows(_DATA / "pronouns.tsv", 3)
        },
    )


def _rows(path: Path, columns: int) -> Iterator[list[str]]:
    """Yield the rows of a TSV table, without comments and empty lines."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            text = line.rstrip("\n")
            if not text.strip() or text.startswith("#"):
                continue
            row = text.split("\t")
            if len(row) != columns:
                raise InputError(
                    f"{path}: line {number}: expected {columns} columns, got {len(row)}"
                )
            yield row


def _groups(cell: str) -> list[list[str]]:
    """Read `a; b=c` as [[a], [b, c]]."""
    groups = [[form.strip() for form in group.split("=")] for group in cell.split(";")]
    return [[form for form in group if form] for group in groups if any(group)]


def _read_objects(path: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Read rows `category, parents, members`; a form that is a member elsewhere stays a name."""
    rows = [(row[0], row[1].split("; "), _groups(row[2])) for row in _rows(path, 3)]
    names = {group[0] for _, _, groups in rows for group in groups if group}
    names |= {category for category, _, _ in rows}
    parents: dict[str, dict[str, None]] = {}
    synonyms: dict[str, str] = {}
    for category, above, groups in rows:
        parents.setdefault(category, {}).update(dict.fromkeys(word for word in above if word))
        for group in groups:
            for form in group:
                if form in names:
                    parents.setdefault(form, {})[category] = None
                else:
                    synonyms.setdefault(form, group[0])
    for name, above_names in parents.items():
        above_names.pop(name, None)
    return {name: tuple(above) for name, above in parents.items()}, synonyms


def _read_attributes(path: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Read rows `type, attributes`."""
    types: dict[str, dict[str, None]] = {}
    synonyms: dict[str, str] = {}
    for attribute_type, cell in _rows(path, 2):
        for group in _groups(cell):
            types.setdefault(group[0], {})[attribute_type] = None
            for form in group[1:]:
                synonyms.setdefault(form, group[0])
    for name in types:
        synonyms.pop(name, None)
    return {name: tuple(found) for name, found in types.items()}, synonyms


def tables_to_json(
    tables: OntologyTables,
    memberships: dict[tuple[str, str], int],
    attribute_types: dict[tuple[str, str], int],
) -> str:
    """The JSON text of an ontology and its evidence counts."""
    record = {
        "format": FORMAT,
        "version": VERSION,
        "parents": {name: list(above) for name, above in tables.parents.items()},
        "synonyms": tables.synonyms,
        "attribute_types": {name: list(found) for name, found in tables.attribute_types.items()},
        "attribute_synonyms": tables.attribute_synonyms,
        "plurals": [list(pair) for pair in tables.plurals],
        "pronouns": {word: [kind, list(out)] for word, (kind, out) in tables.pronouns.items()},
        "evidence": {
            "memberships": [[*pair, count] for pair, count in memberships.items()],
            "attribute_types": [[*pair, count] for pair, count in attribute_types.items()],
        },
    }
    return json.dumps(record, ensure_ascii=False, indent=1) + "\n"


Counts = dict[tuple[str, str], int]


def tables_from_json(path: Path) -> tuple[OntologyTables, Counts, Counts]:
    """Read what `tables_to_json` wrote: tables, membership counts, attribute-type counts.

    Raises:
        InputError: not JSON, not an ontology, another version, or a field of the wrong form.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a JSON ontology: {error}") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: field 'format': expected {FORMAT!r}")
    if record.get("version") != VERSION:
        raise InputError(
            f"{path}: field 'version': expected {VERSION}, got {record.get('version')!r}; "
            "build it again with 'gqa-reasoner ontology build'"
        )
    tables = OntologyTables(
        parents=_lists(record, "parents", path),
        synonyms=_texts(record, "synonyms", path),
        attribute_types=_lists(record, "attribute_types", path),
        attribute_synonyms=_texts(record, "attribute_synonyms", path),
        plurals=tuple((one, many) for one, many in _lists_of(record, "plurals", 2, path)),
        pronouns={
            word: (rule[0], tuple(rule[1])) for word, rule in record.get("pronouns", {}).items()
        },
    )
    evidence = record.get("evidence", {})
    counts = [
        {(row[0], row[1]): int(row[2]) for row in _lists_of(evidence, key, 3, path)}
        for key in ("memberships", "attribute_types")
    ]
    return tables, counts[0], counts[1]


def _lists(record: dict[str, Any], key: str, path: Path) -> dict[str, tuple[str, ...]]:
    value = record.get(key)
    if not isinstance(value, dict) or not all(_is_texts(found) for found in value.values()):
        raise InputError(f"{path}: field {key!r}: expected an object of string lists")
    return {name: tuple(found) for name, found in value.items()}


def _texts(record: dict[str, Any], key: str, path: Path) -> dict[str, str]:
    value = record.get(key)
    if not isinstance(value, dict) or not _is_texts(list(value.values())):
        raise InputError(f"{path}: field {key!r}: expected an object of strings")
    return value


def _lists_of(record: dict[str, Any], key: str, size: int, path: Path) -> list[list[Any]]:
    rows = record.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(r, list) and len(r) == size for r in rows):
        raise InputError(f"{path}: field {key!r}: expected a list of {size}-element lists")
    return rows


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
