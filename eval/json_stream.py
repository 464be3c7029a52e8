"""Reads a huge JSON object or array in pieces of whole entries, in bounded memory.

A chunk is cut after its last complete entry: the positions of quotes and brackets are found with
NumPy, quotes pair up into strings, and brackets outside strings give the depth. The entries before
the cut are then parsed by one `orjson` call (`parse`), here or in another process.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import orjson

from eval.errors import InputError

__all__ = ["Piece", "batches", "files_of", "load", "load_pairs", "parse", "pieces", "records"]

CHUNK_BYTES = 1 << 22
_QUOTE = 34
_MARKS = bytes(int(byte in b'"{}[]') for byte in range(256))
_PLAIN = bytes(byte for byte in range(256) if byte not in b'"{}[]')
_STEP = np.zeros(256, dtype=np.int8)
_STEP[list(b"{[")] = 1
_STEP[list(b"}]")] = -1
_BLANKS = b" \t\r\n"


class Piece(NamedTuple):
    """Some entries of a file, closed to a JSON text of their own."""

    path: Path
    data: bytes
    entries: int
    """How many of the entries are objects or arrays."""
    first: int
    """Number of the first entry, counted from 1."""


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


def _loads(data: bytes, path: Path, where: str) -> Any:
    """Parse `data`; NaN and Infinity, which `orjson` refuses, are left to `json`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return json.loads(data)
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: {where}: not UTF-8 ({error.reason})") from error
        except RecursionError as error:
            raise InputError(f"{path}: {where}: nested too deeply") from error
        except json.JSONDecodeError as error:
            where = _broken_record(error.doc) or where
            raise InputError(f"{path}: {where}: not valid JSON ({error})") from error


def _broken_record(text: str) -> str | None:
    """Which record of an object cannot be read: `record KEY`; None where none can be named."""
    decode = json.JSONDecoder().raw_decode
    place = 1
    key: object = None
    try:
        while True:
            key = None
            key, place = decode(text, _after_blanks(text, place))
            colon = _after_blanks(text, place)
            if text[colon : colon + 1] != ":":
                break
            _, place = decode(text, _after_blanks(text, colon + 1))
            comma = _after_blanks(text, place)
            if text[comma : comma + 1] != ",":
                break
            place = comma + 1
    except (ValueError, RecursionError):
        pass
    return f"record {key}" if isinstance(key, str) else None


def _after_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def load(path: Path) -> Any:
    """A whole JSON file at once.

    Raises:
        InputError: when the file is not valid JSON.
    """
    with _open(Path(path)) as stream:
        return _loads(stream.read().removeprefix(b"\xef\xbb\xbf"), Path(path), "whole file")


def load_pairs(path: Path) -> Any:
    """A whole JSON file at once, objects as lists of (key, value) so that repeated keys survive.

    Raises:
        InputError: when the file is not valid JSON.
    """
    with _open(Path(path)) as stream:
        data = stream.read().removeprefix(b"\xef\xbb\xbf")
    try:
        return json.loads(data, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: whole file: not valid JSON ({error})") from error


class _Marks(NamedTuple):
    """The brackets of a chunk that stand outside strings, without their places."""

    place: np.ndarray
    """(K,) number of each among all quotes and brackets of the chunk."""
    depth: np.ndarray
    """(K,) depth after each, from 0."""
    total: int
    """Quotes and brackets of the chunk, those inside strings too."""


def _without_escapes(data: bytes) -> bytes:
    """`data` with escaped backslashes and quotes overwritten, every other byte in its place."""
    if b"\\" not in data:
        return data
    return data.replace(b"\\\\", b"..").replace(b'\\"', b"..")


def _marks(clean: bytes) -> _Marks:
    character = np.frombuffer(clean.translate(None, _PLAIN), dtype=np.uint8)
    bracket = character != _QUOTE
    bracket &= (np.cumsum(~bracket, dtype=np.uint8) & 1) == 0
    place = np.flatnonzero(bracket)
    depth = np.cumsum(_STEP[character[place]], dtype=np.int32)
    return _Marks(place, depth, len(character))


def _position(clean: bytes, marks: _Marks, index: int) -> int:
    """Where the bracket `index` stands in the chunk; looked for from the end."""
    behind = marks.total - int(marks.place[index])
    window = 1 << 14
    while True:
        start = max(0, len(clean) - window)
        found = np.flatnonzero(np.frombuffer(clean[start:].translate(_MARKS), dtype=bool))
        if len(found) >= behind:
            return start + int(found[-behind])
        window *= 4


def pieces(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Piece]:
    """The file cut into pieces of about `chunk_bytes`, in order; at least one piece.

    Memory stays near a few `chunk_bytes`, or the largest single entry where that is larger.

    Raises:
        InputError: truncated files, and a top level that is neither an object nor an array.
    """
    path = Path(path)
    try:
        with _open(path) as stream:
            head = stream.read(chunk_bytes).removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS)
            if head[:1] not in (b"{", b"["):
                got = f"{head[:20]!r}" if head else "an empty file"
                raise InputError(f"{path}: whole file: expected a JSON object or array, got {got}")
            yield from _cut(stream, head, path, chunk_bytes)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: whole file: not a complete gzip file ({error})") from error


def _cut(stream: BinaryIO, head: bytes, path: Path, chunk_bytes: int) -> Iterator[Piece]:
    """The pieces behind the opening bracket, which is the first byte of `head`."""
    opening, rest = head[:1], head[1:]
    closing = b"}" if opening == b"{" else b"]"
    size, number, comma_due, comma_taken = chunk_bytes, 0, False, False
    while True:
        rest = _complete_escape(stream, rest)
        if comma_due and rest and rest[:1] != closing:
            if rest[:1] != b",":
                expected = f"expected ',' or {closing.decode()!r}"
                raise InputError(f"{path}: after record {number}: not valid JSON ({expected})")
            rest, comma_due, comma_taken = rest[1:], False, True
        clean = _without_escapes(rest)
        marks = _marks(clean)
        end = np.flatnonzero(marks.depth < 0)
        stop = int(end[0]) if len(end) else len(marks.depth)
        cuts = np.flatnonzero(marks.depth[:stop] == 0)
        if len(end):
            where = _position(clean, marks, stop)
            behind = rest[where + 1 :] + stream.read()
            if rest[where : where + 1] != closing or behind.strip():
                raise InputError(f"{path}: after record {number}: text behind the last record")
            if comma_taken and not rest[:where].strip():
                raise InputError(f"{path}: after record {number}: not valid JSON (stray comma)")
            yield Piece(path, opening + rest[:where] + closing, len(cuts), number + 1)
            return
        if len(cuts):
            cut = _position(clean, marks, int(cuts[-1])) + 1
            yield Piece(path, opening + rest[:cut] + closing, len(cuts), number + 1)
            number += len(cuts)
            rest = rest[cut:].lstrip(_BLANKS)
            size, comma_due, comma_taken = chunk_bytes, True, False
        more = stream.read(size)
        if not more:
            broken = _broken_record((opening + rest).decode("utf-8", "replace"))
            raise InputError(f"{path}: {broken or f'after record {number}'}: the file ends early")
        rest = rest + more if rest else more.lstrip(_BLANKS)
        size *= 2


def _complete_escape(stream: BinaryIO, rest: bytes) -> bytes:
    """`rest`, read on until it does not end in a backslash."""
    while rest.endswith(b"\\") and (more := stream.read(1)):
        rest += more
    return rest


def parse(piece: Piece) -> dict[str, Any] | list[Any]:
    """The entries of a piece.

    Raises:
        InputError: invalid JSON, or a key given twice within the piece (callers check across).
    """
    where = f"from record {piece.first}" if piece.first > 1 else "first records"
    batch = _loads(piece.data, piece.path, where)
    if not isinstance(batch, dict):
        return cast("list[Any]", batch)
    if sum(isinstance(value, (dict, list)) for value in batch.values()) < piece.entries:
        seen: set[str] = set()
        for key, _ in json.loads(piece.data, object_pairs_hook=list):
            if key in seen:
                raise InputError(f"{piece.path}: {key}: the id occurs twice")
            seen.add(key)
    return batch


def batches(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[dict[str, Any] | list[Any]]:
    """Batches of the entries of a JSON object (as dicts) or array (as lists), in file order.

    Raises:
        InputError: see `pieces` and `parse`.
    """
    for piece in pieces(path, chunk_bytes):
        yield parse(piece)


def records(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[Path, str, Any]]:
    """Every (file, key, value) of a JSON object file, or of a folder of such files.

    Raises:
        InputError: see `batches`; also when the top level is an array.
    """
    for file in files_of(path):
        for batch in batches(file, chunk_bytes):
            if not isinstance(batch, dict):
                raise InputError(f"{file}: whole file: expected {{id: record}}, got an array")
            for key, value in batch.items():
                yield file, key, value
