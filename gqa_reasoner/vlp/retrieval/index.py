"""Vectors with their metadata in a folder: memory-mapped, appended in steps, safe against kills.

`vectors.f32` holds the vectors, `rows.jsonl` one line of metadata for each, `offsets.i64` where
the lines begin (each name ends in its generation's number), and `index.json` the model's
fingerprint and how many rows are whole. Only that last file, replaced in one move, makes rows
count; what a killed run left behind it is cut off by the next one. Removing rows writes the next
generation, so an index that is open elsewhere stays whole. Opening reads `index.json` alone, so it
takes a millisecond at any size.

N: rows, D: width of a vector, Q: queries, K: results per query.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval.search import SearchResult, search_exact

__all__ = ["Hit", "IndexWriter", "VectorIndex"]

_FORMAT = 1
_FILES = ("vectors.f32", "rows.jsonl", "offsets.i64")
_PART = 4096


@dataclass(frozen=True)
class Hit:
    """One result."""

    row: int
    score: float
    metadata: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The row's name: a picture's path in its source, or a text."""
        return str(self.metadata["name"])


class VectorIndex:
    """A read-only index."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.fingerprint: str = header["fingerprint"]
        self.information: Mapping[str, Any] = header.get("information", {})
        self.failures: list[dict[str, str]] = header.get("failures", [])
        shape = (int(header["rows"]), int(header["dimension"]))
        self.generation = int(header["generation"])
        places = [_place(path, name, self.generation) for name in _FILES]
        self.vectors: np.ndarray = _map(places[0], np.float32, shape)
        self._offsets: np.ndarray = _map(places[2], np.int64, (shape[0],))
        self._lines: IO[bytes] | None = None

    @classmethod
    def open(cls, path: str | Path, fingerprint: str | None = None) -> VectorIndex:
        """Open an index.

        Args:
            path: its folder.
            fingerprint: the model that questions will be encoded with.

        Raises:
            InputError: no index there, a damaged one, or one of another model.
        """
        path = Path(path)
        header = _read_header(path)
        _check_model(path, header, fingerprint)
        return cls(path, header)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    def metadata(self, row: int) -> dict[str, Any]:
        """Metadata of a row; read from disk."""
        if not 0 <= row < len(self):
            raise InputError(f"{self.path}: row {row}: expected 0 to {len(self) - 1}")
        if self._lines is None:
            self._lines = _place(self.path, _FILES[1], self.generation).open("rb")
        self._lines.seek(int(self._offsets[row]))
        return json.loads(self._lines.readline())

    def names(self) -> list[str]:
        """Names of all rows."""
        return [row["name"] for row in _read_rows(self.path, self.generation, len(self))]

    def search(self, queries: np.ndarray, k: int = 10) -> SearchResult:
        """Exact search.

        Args:
            queries: (Q, D) or (D,).
            k: results per query.
        """
        return search_exact(self.vectors, queries, k)

    def hits(self, queries: np.ndarray, k: int = 10) -> list[list[Hit]]:
        """As `search`, with each row's metadata; a list per query."""
        found = self.search(queries, k)
        return [
            [
                Hit(row, score, self.metadata(row))
                for row, score in zip(rows, scores, strict=True)
                if row >= 0
            ]
            for rows, scores in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
        ]


class IndexWriter:
    """Appends rows; one at a time, as a context manager.

    Every `append` is kept whole or not at all, even if the process is killed.
    """

    def __init__(
        self,
        path: str | Path,
        fingerprint: str,
        dimension: int,
        information: Mapping[str, Any] | None = None,
    ) -> None:
        """Open or create.

        Raises:
            InputError: an index of another model or width is there, or another run writes it.
        """
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.path)
        try:
            if (self.path / "index.json").is_file():
                self.header = _read_header(self.path)
                _check_model(self.path, self.header, fingerprint)
                if self.header["dimension"] != dimension:
                    raise InputError(
                        f"{self.path}: vectors of width {self.header['dimension']}, "
                        f"expected {dimension}"
                    )
                if information:
                    self.header["information"] = dict(information)
            else:
                self.header = {
                    "format": _FORMAT,
                    "fingerprint": fingerprint,
                    "dimension": dimension,
                    "generation": 0,
                    "rows": 0,
                    "bytes": 0,
                    "information": dict(information or {}),
                    "failures": [],
                }
        except BaseException:
            self._lock.close()
            raise
        self._open_files()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self.header["rows"])

    def rows(self) -> list[dict[str, Any]]:
        """Metadata of all rows."""
        return _read_rows(self.path, self.header["generation"], len(self))

    def append(self, vectors: np.ndarray, metadata: Sequence[Mapping[str, Any]]) -> None:
        """Add rows.

        Args:
            vectors: (rows, D), finite.
            metadata: one JSON object each, with a `name`.

        Raises:
            InputError: shapes or values that do not fit, metadata without a name.
        """
        self._add(vectors, metadata)
        self._write_header()

    def _add(self, vectors: np.ndarray, metadata: Sequence[Mapping[str, Any]]) -> None:
        values = np.ascontiguousarray(vectors, dtype="<f4")
        if values.shape != (len(metadata), self.header["dimension"]):
            raise InputError(
                f"{self.path}: vectors {values.shape}: expected "
                f"({len(metadata)}, {self.header['dimension']})"
            )
        if not np.isfinite(values).all():
            raise InputError(f"{self.path}: vectors hold NaN or infinity")
        lines, offsets, place = [], [], int(self.header["bytes"])
        for row in metadata:
            if not isinstance(row.get("name"), str):
                raise InputError(f"{self.path}: metadata {dict(row)!r}: name: missing")
            line = json.dumps(dict(row), ensure_ascii=False).encode() + b"\n"
            offsets.append(place)
            place += len(line)
            lines.append(line)
        parts = (values.tobytes(), b"".join(lines), np.array(offsets, dtype="<i8").tobytes())
        for stream, data in zip(self._files.values(), parts, strict=True):
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        self.header["rows"] += len(metadata)
        self.header["bytes"] = place

    def add_failure(self, name: str, reason: str, stamp: Sequence[int] = ()) -> None:
        """Remember something that could not be embedded; written with the next commit."""
        self.header["failures"] = [f for f in self.header["failures"] if f["name"] != name]
        self.header["failures"].append({"name": name, "reason": reason, "stamp": list(stamp)})

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all rows but these; their order stays."""
        wanted = sorted(rows)
        old = VectorIndex(self.path, self.header)
        lines = self.rows()
        before = dict(self.header)
        for stream in self._files.values():
            stream.close()
        self.header |= {"generation": before["generation"] + 1, "rows": 0, "bytes": 0}
        for name in _FILES:
            _place(self.path, name, self.header["generation"]).unlink(missing_ok=True)
        self._open_files()
        for start in range(0, len(wanted), _PART):
            part = wanted[start : start + _PART]
            self._add(old.vectors[part], [lines[row] for row in part])
        self._write_header()
        for name in _FILES:
            _place(self.path, name, before["generation"]).unlink(missing_ok=True)

    def close(self) -> None:
        """Write the header and let others write."""
        self._write_header()
        for stream in self._files.values():
            stream.close()
        self._lock.close()

    def _open_files(self) -> None:
        """Open the generation's files and remove what lies behind the last whole row."""
        generation = self.header["generation"]
        places = {name: _place(self.path, name, generation) for name in _FILES}
        self._files = {name: place.open("ab") for name, place in places.items()}
        rows, width = self.header["rows"], self.header["dimension"]
        sizes = (rows * width * 4, self.header["bytes"], rows * 8)
        for (name, stream), size in zip(self._files.items(), sizes, strict=True):
            if places[name].stat().st_size < size:
                raise InputError(f"{places[name]}: shorter than index.json says; build anew")
            stream.truncate(size)

    def _write_header(self) -> None:
        part = self.path / f"index.json.{os.getpid()}.part"
        part.write_text(json.dumps(self.header, ensure_ascii=False), encoding="utf-8")
        part.replace(self.path / "index.json")


def _lock(path: Path) -> IO[bytes]:
    stream = (path / "lock").open("ab")
    try:
        import fcntl
    except ImportError:  # not on Windows; there two writers are not told apart
        return stream
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise InputError(f"{path}: another run is writing this index") from error
    return stream


def _place(path: Path, name: str, generation: int) -> Path:
    return path / f"{name}.{generation}"


def _map(path: Path, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    if not path.is_file() or path.stat().st_size < size:
        raise InputError(f"{path.parent}: {path.name}: damaged or missing; build the index anew")
    if not size:
        return np.empty(shape, dtype=kind)
    return np.memmap(path, dtype=kind, mode="r", shape=shape).view(np.ndarray)


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = json.loads((path / "index.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: no vector index there (index.json is missing)") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: index.json: not JSON ({error})") from error
    needed = {"format", "fingerprint", "dimension", "generation", "rows", "bytes"}
    if not isinstance(header, dict) or needed - set(header):
        raise InputError(f"{path}: index.json: not a vector index")
    if header["format"] != _FORMAT:
        raise InputError(f"{path}: index format {header['format']}, this program reads {_FORMAT}")
    return header


def _check_model(path: Path, header: Mapping[str, Any], fingerprint: str | None) -> None:
    if fingerprint is not None and header["fingerprint"] != fingerprint:
        raise InputError(
            f"{path}: built with model {header['fingerprint']}, the model given is {fingerprint}; "
            "give that model, or build another index"
        )


def _read_rows(path: Path, generation: int, count: int) -> list[dict[str, Any]]:
    with _place(path, _FILES[1], generation).open("rb") as stream:
        return [json.loads(line) for line, _ in zip(stream, range(count), strict=False)]
