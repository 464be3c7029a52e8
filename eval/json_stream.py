"""Reads a huge JSON object or array in batches of its entries, in bounded memory.

A chunk is cut after its last complete entry: the positions of quotes and brackets are found with
NumPy, quotes pair up into strings, and brackets outside strings give the depth. The entries before
the cut are then parsed by one `orjson` call.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import orjson

from eval.errors import InputError

__all__ = ["batches", "files_of", "load", "load_pairs", "records"]

CHUNK_BYTES = 1 << 22
_QUOTE, _BACKSLASH = 34, 92
_MARKS = np.zeros(256, dtype=bool)
_MARKS[[_QUOTE, *b"{}[]"]] = True
_STEP = np.zeros(256, dtype=np.int8)
_STEP[list(b"{[")] = 1
_STEP[list(b"}]")] = -1
_BLANKS = b" \t\r\n"


def files_of(path: Path) -> list[Path]:
    """`path` itself, or the sorted JSON files of a folder such as `train_all_questions/`.

    Raises:
        InputError: when a folder holds no JSON file.
        FileNotFoundError: when `path` does not exist.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(2, "no such file or folder", str(path))
        return [path]
    found = sorted(p for p in path.iterdir() if p.name.endswith((".json", ".json.gz")))
    if not found:
        raise InputError(f"{path}: the folder holds no .json file")
    return found


def _open(path: Path) -> BinaryIO:
    if path.name.endswith(".gz"):
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _parse(data: bytes, path: Path, where: str) -> Any:
    """Parse `data`; NaN and Infinity, which `orjson` refuses, are left to `json`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise InputError(f"{path}: {where}: not valid JSON ({error})") from error


def load(path: Path) -> Any:
    """A whole JSON file at once.

    Raises:
        InputError: when the file is not valid JSON.
    """
    with _open(Path(path)) as stream:
        return _parse(stream.read(), Path(path), "whole file")


def load_pairs(path: Path) -> Any:
    """A whole JSON file at once, objects as lists of (key, value) so that repeated keys survive.

    Raises:
        InputError: when the file is not valid JSON.
    """
    with _open(Path(path)) as stream:
        data = stream.read()
    try:
        return json.loads(data, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: whole file: not valid JSON ({error})") from error


def _marks(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Positions (M,) of brackets outside strings, and the depth (M,) after each, from 0."""
    array = np.frombuffer(data, dtype=np.uint8)
    position = np.flatnonzero(_MARKS[array])
    character = array[position]
    quote = character == _QUOTE
    if b"\\" in data:
        quote &= ~_escaped(array)[position]
    outside = (np.cumsum(quote) & 1) == 0
    bracket = outside & ~quote & (character != _QUOTE)
    position = position[bracket]
    return position, np.cumsum(_STEP[character[bracket]], dtype=np.int32)


def _escaped(array: np.ndarray) -> np.ndarray:
    """For each byte, whether an odd run of backslashes stands before it."""
    slash = array == _BACKSLASH
    index = np.arange(len(array), dtype=np.int64)
    last_other = np.maximum.accumulate(np.where(slash, -1, index))
    run = index - last_other
    result = np.zeros(len(array), dtype=bool)
    result[1:] = (run[:-1] & 1) == 1
    return result & ~slash


def batches(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[dict[str, Any] | list[Any]]:
    """Batches of the entries of a JSON object (as dicts) or array (as lists), in file order.

    Memory stays near a few `chunk_bytes`, or the largest single entry where that is larger.

    Raises:
        InputError: invalid or truncated JSON, a top level of another type, or a key given twice
            within one batch (callers check across batches).
    """
    path = Path(path)
    try:
        yield from _batches(path, chunk_bytes)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: whole file: not a complete gzip file ({error})") from error


def _batches(path: Path, chunk_bytes: int) -> Iterator[dict[str, Any] | list[Any]]:
    with _open(path) as stream:
        head = stream.read(chunk_bytes).removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS)
        if head[:1] not in (b"{", b"["):
            got = f"{head[:20]!r}" if head else "an empty file"
            raise InputError(f"{path}: whole file: expected a JSON object or array, got {got}")
        opening, closing = (b"{", b"}") if head[:1] == b"{" else (b"[", b"]")
        yield from _entries(stream, head[1:], path, opening, closing, chunk_bytes)


def _entries(
    stream: BinaryIO, rest: bytes, path: Path, opening: bytes, closing: bytes, chunk_bytes: int
) -> Iterator[dict[str, Any] | list[Any]]:
    """The batches after the opening bracket; `rest` are the bytes already read behind it."""
    size, last, comma_due, comma_taken = chunk_bytes, "first record", False, False
    while True:
        rest = _complete_escape(stream, rest)
        if comma_due and rest and rest[:1] != closing:
            if rest[:1] != b",":
                raise InputError(f"{path}: after {last}: expected ',' or {closing.decode()!r}")
            rest, comma_due, comma_taken = rest[1:], False, True
        position, depth = _marks(rest)
        end = np.flatnonzero(depth < 0)
        stop = int(end[0]) if len(end) else len(depth)
        cuts = np.flatnonzero(depth[:stop] == 0)
        if len(end):
            where = int(position[stop])
            if rest[where : where + 1] != closing or (rest[where + 1 :] + stream.read()).strip():
                raise InputError(f"{path}: after {last}: unexpected text behind the last record")
            if comma_taken and not rest[:where].strip():
                raise InputError(f"{path}: after {last}: not valid JSON (a comma before the end)")
            yield _checked(opening + rest[:where] + closing, len(cuts), path, last)
            return
        if len(cuts):
            cut = int(position[cuts[-1]]) + 1
            batch = _checked(opening + rest[:cut] + closing, len(cuts), path, last)
            last = _name_of_last(batch)
            yield batch
            del batch
            rest = rest[cut:].lstrip(_BLANKS)
            size, comma_due, comma_taken = chunk_bytes, True, False
        more = stream.read(size)
        if not more:
            raise InputError(f"{path}: after {last}: the file ends in the middle (truncated?)")
        rest = rest + more if rest else more.lstrip(_BLANKS)
        size *= 2


def _complete_escape(stream: BinaryIO, rest: bytes) -> bytes:
    """`rest`, read on until it does not end in a backslash."""
    while rest.endswith(b"\\") and (more := stream.read(1)):
        rest += more
    return rest


def _checked(data: bytes, entries: int, path: Path, last: str) -> dict[str, Any] | list[Any]:
    """The parsed batch; refuses keys that a dict silently merges (`entries` bracketed values)."""
    batch = _parse(data, path, f"after {last}")
    if not isinstance(batch, dict):
        return cast("list[Any]", batch)
    if sum(isinstance(value, (dict, list)) for value in batch.values()) < entries:
        seen: set[str] = set()
        for key, _ in json.loads(data, object_pairs_hook=list):
            if key in seen:
                raise InputError(f"{path}: {key}: the id occurs twice")
            seen.add(key)
    return batch


def _name_of_last(batch: dict[str, Any] | list[Any]) -> str:
    if isinstance(batch, dict):
        return f"record {next(reversed(batch))!r}"
    return f"record {str(batch[-1])[:60]}"


def records(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[Path, str, Any]]:
    """Every (file, key, value) of a JSON object file, or of a folder of such files.

    Raises:
        InputError: see `batches`; also when the top level is an array.
    """
    for file in files_of(path):
        for batch in batches(file, chunk_bytes):
            if not isinstance(batch, dict):
                raise InputError(
                    f"{file}: whole file: expected an object of id to record, got an array"
                )
            for key, value in batch.items():
                yield file, key, value
