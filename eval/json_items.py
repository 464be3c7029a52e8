"""Large JSON files one record at a time, in memory bounded by the largest record.

GQA's files are one JSON object of records (`{"id": {...}, ...}`) or one list of them, up to
several GB; train_all is a folder of such files. Nothing is held but the record in hand.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from eval.errors import InputError

__all__ = ["iterate_json_items", "iterate_json_values", "json_files"]

_CHUNK = 1 << 20
_LARGEST_RECORD = 256 << 20
_BLANK = " \t\r\n"


def json_files(path: str | Path) -> list[Path]:
    """The files behind `path`: itself, or the `*.json`/`*.json.gz` of a folder, sorted by name.

    Raises:
        InputError: nothing is there, or the folder holds no JSON file.
    """
    place = Path(path)
    if place.is_dir():
        files = sorted(
            item for item in place.iterdir() if item.name.endswith((".json", ".json.gz"))
        )
        if not files:
            raise InputError(f"{place}: the folder holds no .json file")
        return files
    if not place.is_file():
        raise InputError(f"{place}: no such file")
    return [place]


def iterate_json_items(path: str | Path) -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of the one top-level JSON object in a file, or in each file of a folder.

    Raises:
        InputError: not UTF-8, not JSON, cut short, or not an object; names file and record.
    """
    for file in json_files(path):
        yield from _Reader(file).items()


def iterate_json_values(path: str | Path) -> Iterator[Any]:
    """Yield the elements of the one top-level JSON list in a file, or in each file of a folder.

    Raises:
        InputError: not UTF-8, not JSON, cut short, or not a list; names file and position.
    """
    for file in json_files(path):
        yield from _Reader(file).values()


class _Reader:
    """A moving window over one file; `position` is where the next token starts."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.buffer = ""
        self.position = 0
        self.ended = False
        self.decoder = json.JSONDecoder()
        self.stream: IO[str] | None = None

    def items(self) -> Iterator[tuple[str, Any]]:
        last = "the first record"
        with self._open():
            if not self._start("{", "an object of records"):
                return
            while True:
                key = self._value(f"key after {last}")
                if not isinstance(key, str):
                    raise InputError(f"{self.file}: after {last}: a record id must be a string")
                if self._token(f"record {key}") != ":":
                    raise InputError(f"{self.file}: record {key}: expected ':' after the id")
                yield key, self._value(f"record {key}")
                last = f"record {key}"
                if not self._more("}", last):
                    return

    def values(self) -> Iterator[Any]:
        with self._open():
            if not self._start("[", "a list of records"):
                return
            count = 0
            while True:
                yield self._value(f"record number {count}")
                if not self._more("]", f"record number {count}"):
                    return
                count += 1

    def _open(self) -> IO[str]:
        if self.file.suffix == ".gz":
            binary = gzip.GzipFile(self.file)  # closed with the text stream around it
            self.stream = io.TextIOWrapper(cast("IO[bytes]", binary), encoding="utf-8")
        else:
            self.stream = self.file.open(encoding="utf-8")
        return self.stream

    def _start(self, opening: str, expected: str) -> bool:
        if self._token("the beginning") != opening:
            raise InputError(f"{self.file}: expected {expected} (JSON starting with '{opening}')")
        closing = "}" if opening == "{" else "]"
        if self._peek("the beginning") == closing:
            self.position += 1
            self._end(closing)
            return False
        return True

    def _more(self, closing: str, where: str) -> bool:
        token = self._token(where)
        if token == closing:
            self._end(where)
            return False
        if token != ",":
            raise InputError(f"{self.file}: after {where}: expected ',' or '{closing}'")
        return True

    def _end(self, where: str) -> None:
        while True:
            if self.buffer[self.position :].strip(_BLANK):
                raise InputError(f"{self.file}: after {where}: text follows the end of the JSON")
            if not self._fill():
                return

    def _peek(self, where: str) -> str:
        while True:
            while self.position < len(self.buffer) and self.buffer[self.position] in _BLANK:
                self.position += 1
            if self.position < len(self.buffer):
                return self.buffer[self.position]
            if not self._fill():
                raise InputError(f"{self.file}: the file ends early, at {where}")

    def _token(self, where: str) -> str:
        token = self._peek(where)
        self.position += 1
        return token

    def _value(self, where: str) -> Any:
        self._peek(where)
        while True:
            try:
                value, end = self.decoder.raw_decode(self.buffer, self.position)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self.buffer) - 1 or "Unterminated" in error.msg
                if len(self.buffer) - self.position > _LARGEST_RECORD or not self._fill():
                    reason = "the file ends early" if cut else f"not JSON ({error.msg})"
                    raise InputError(f"{self.file}: {where}: {reason}") from None
                continue
            except RecursionError:
                raise InputError(f"{self.file}: {where}: nested too deeply") from None
            may_go_on = not isinstance(value, (str, dict, list))  # a number over a chunk's border
            if may_go_on and end == len(self.buffer) and self._fill():
                continue
            self.position = end
            return value

    def _fill(self) -> bool:
        if self.ended or self.stream is None:
            return False
        try:
            chunk = self.stream.read(max(_CHUNK, len(self.buffer) - self.position))
        except UnicodeDecodeError as error:
            raise InputError(f"{self.file}: not UTF-8 ({error.reason})") from None
        except (EOFError, gzip.BadGzipFile) as error:
            raise InputError(f"{self.file}: broken gzip ({error})") from None
        self.ended = not chunk
        self.buffer = self.buffer[self.position :] + chunk
        self.position = 0
        return bool(chunk)
