"""Triples as tab-separated text, and the triples shipped with the project.

Three or four columns: head, relation, tail and (optionally) weight; CN-100K's files have the
relation first. The shipped files give one head several tails of a relation per row, separated
by semicolons; they were written for this project.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path

from detectors.errors import InputError

__all__ = ["default_triples", "read_grouped_triples"]

_DATA = Path(__file__).parent / "data"


@functools.lru_cache(maxsize=1)
def default_triples() -> tuple[tuple[str, str, str, float], ...]:
    """The shipped triples as (head, relation, tail, weight), without duplicates, in file order."""
    found: dict[tuple[str, str, str], float] = {}
    for path in sorted(_DATA.glob("triples*.tsv")):
        for head, relation, tail, weight in read_grouped_triples(path):
            found.setdefault((head, relation, tail), weight)
    return tuple((*triple, weight) for triple, weight in found.items())


def read_grouped_triples(path: Path) -> Iterator[tuple[str, str, str, float]]:
    """Read rows `heads, relation, tails[, weight]`; heads and tails separated by semicolons.

    Raises:
        InputError: a row has another number of columns or a weight that is no number.
    """
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            text = line.rstrip("\n")
            if not text.strip() or text.startswith("#"):
                continue
            cells = text.split("\t")
            if len(cells) not in (3, 4):
                raise InputError(
                    f"{path}: line {number}: expected 3 or 4 columns, got {len(cells)}"
                )
            weight = _weight(cells[3], path, number) if len(cells) == 4 else 1.0
            for head in _parts(cells[0]):
                for tail in _parts(cells[2]):
                    yield head, cells[1], tail, weight


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


def _weight(text: str, path: Path, number: int) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight) or weight < 0:
        raise InputError(
            f"{path}: line {number}: column 4 (weight): expected a number, got {text!r}"
        )
    return weight
