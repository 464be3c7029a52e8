"""The records of large JSON files one at a time, over `json_stream`.

GQA's files are one JSON object of records (`{"id": {...}, ...}`) or one list of them, up to
several GB; train_all is a folder of such files. One chunk of a file is held at a time, or the
largest record where that is larger.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.errors import InputError
from eval.json_stream import batches, files_of

__all__ = ["iterate_json_items", "iterate_json_values"]

_CHUNK = 1 << 18


def iterate_json_items(path: str | Path) -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of the one top-level JSON object in a file, or in each file of a folder.

    Raises:
        InputError: no such file, not UTF-8, not JSON, cut short, or not an object; names file and
            record.
    """
    for batch in _batches(path, dict, "an object of records (JSON starting with '{')"):
        yield from batch.items()


def iterate_json_values(path: str | Path) -> Iterator[Any]:
    """Yield the elements of the one top-level JSON list in a file, or in each file of a folder.

    Raises:
        InputError: no such file, not UTF-8, not JSON, cut short, or not a list; names file and
            position.
    """
    for batch in _batches(path, list, "a list of records (JSON starting with '[')"):
        yield from batch


def _batches(path: str | Path, kind: type, expected: str) -> Iterator[Any]:
    try:
        files = files_of(Path(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    for file in files:
        for batch in batches(file, _CHUNK):
            if not isinstance(batch, kind):
                raise InputError(f"{file}: expected {expected}")
            yield batch
