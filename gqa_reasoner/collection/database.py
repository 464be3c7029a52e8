"""The collection's tables in DuckDB, written beside the readers and swapped in whole.

A folder holds `collection-N.duckdb` files and `CURRENT`, which names the one that readers open,
read-only. A writer works on `writing.duckdb`, under a lock, and swaps it in when it is done: any
number of processes read while one writes, and a killed writer resumes from what it had committed.
Names are numbers (`terms`), pictures and objects are numbered once and never renumbered, so rows
of the memory-mapped vectors stay valid for readers of older snapshots.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from detectors.errors import InputError

if TYPE_CHECKING:
    import duckdb

__all__ = ["VERSION", "Writer", "current_snapshot", "open_collection", "read_settings"]

VERSION = 2
TABLES = """
CREATE TABLE IF NOT EXISTS images (
    image INTEGER, image_id VARCHAR, digest VARCHAR, bytes BIGINT, modified BIGINT,
    width INTEGER, height INTEGER, taken TIMESTAMP, latitude DOUBLE, longitude DOUBLE,
    caption VARCHAR, embedded BOOLEAN, detector VARCHAR);
CREATE TABLE IF NOT EXISTS objects (
    image INTEGER, object INTEGER, id VARCHAR, name INTEGER, score FLOAT,
    x1 FLOAT, y1 FLOAT, x2 FLOAT, y2 FLOAT);
CREATE TABLE IF NOT EXISTS attributes (
    image INTEGER, object INTEGER, name INTEGER, score FLOAT);
CREATE TABLE IF NOT EXISTS relations (
    image INTEGER, subject INTEGER, predicate INTEGER, object INTEGER, score FLOAT);
CREATE TABLE IF NOT EXISTS facts (image INTEGER, kind VARCHAR, value VARCHAR, score FLOAT);
CREATE TABLE IF NOT EXISTS terms (code INTEGER, text VARCHAR);
CREATE TABLE IF NOT EXISTS counters (name VARCHAR, value BIGINT);
CREATE TABLE IF NOT EXISTS failures (path VARCHAR, digest VARCHAR, reason VARCHAR);
CREATE TABLE IF NOT EXISTS expansions (
    name INTEGER, relation VARCHAR, tail VARCHAR, weight FLOAT);
"""
ROOMS = ("images", "objects", "attributes", "relations", "facts")
MEMORY = "1GB"
"""What one connection may hold; larger joins spill to disk."""
_MUST_EQUAL = ("version", "detector", "detector_fingerprint", "source")
_FILLED_LATER = ("encoder", "encoder_fingerprint", "captioner", "captioner_fingerprint")


def import_duckdb() -> Any:
    """The duckdb package.

    Raises:
        InputError: it is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise InputError(
            "a collection needs duckdb: pip install 'gqa-reasoner[collection]'"
        ) from None
    return duckdb


def read_settings(folder: str | Path) -> dict[str, Any]:
    """How the collection was made: version, detector, source folder, encoder.

    Raises:
        InputError: no collection there, or one of another version.
    """
    place = Path(folder) / "settings.json"
    if not place.is_file():
        raise InputError(f"{folder}: no collection (gqa-reasoner index DIR makes one)")
    try:
        settings = json.loads(place.read_text(encoding="utf-8"))
        version = settings["version"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{place}: not the settings of an index ({error!r})") from None
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror})") from None
    if version != VERSION:
        raise InputError(
            f"{folder}: index of version {version}, this program reads {VERSION}; remove the "
            "folder and index the pictures again"
        )
    return settings


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Replace the settings in one step.

    Raises:
        InputError: the folder cannot be written.
    """
    side = folder / "settings.writing"
    try:
        side.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        side.replace(folder / "settings.json")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None


def current_snapshot(folder: str | Path) -> Path:
    """The database file that readers open now.

    Raises:
        InputError: the index was never finished.
    """
    pointer = Path(folder) / "CURRENT"
    if not pointer.is_file():
        raise InputError(
            f"{folder}: the index was never finished; run the same index command again"
        )
    return Path(folder) / pointer.read_text(encoding="utf-8").strip()


def open_collection(folder: str | Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the current tables.

    Raises:
        InputError: no finished index, another version, a file that is no database, or one that
            another program has locked.
    """
    read_settings(folder)
    package = import_duckdb()
    for attempt in range(5):
        file = current_snapshot(folder)
        try:
            connection = package.connect(str(file), read_only=True)
        except package.Error as error:
            if attempt < 4 and (not file.exists() or file != current_snapshot(folder)):
                continue  # a writer swapped a newer one in meanwhile
            raise InputError(_why(file, error)) from None
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        return connection
    raise InputError(f"{folder}: the index changes too fast to be opened")


def _why(file: Path, error: Exception) -> str:
    text = str(error).splitlines()[0]
    if "lock" in text.lower():
        return f"{file}: locked by another program that has it open for writing; close that one"
    if not file.exists():
        return f"{file}: missing; index the folder again"
    return f"{file}: cannot be opened ({text})"


class Writer:
    """The one writer of a collection; `finish` lets readers see what was committed.

    Args:
        folder: the index.
        settings: what must be equal for an index to be continued (detector and its fingerprint,
            source), and what may be added later (encoder, captioner).

    Raises:
        InputError: another process is writing, or the folder holds an index made with other
            settings or cannot be written.
    """

    def __init__(self, folder: str | Path, settings: dict[str, Any]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
        self._lock = _take_lock(self.folder)
        try:
            self.settings = _agree(self.folder, {"version": VERSION, **settings})
            write_settings(self.folder, self.settings)
            self.path = self.folder / "writing.duckdb"
            self._prepare()
            self.connection = import_duckdb().connect(str(self.path))
        except BaseException as error:
            self._lock.close()
            if isinstance(error, import_duckdb().Error):
                raise InputError(_why(self.path, error)) from None
            raise
        self.connection.execute(f"SET memory_limit = '{MEMORY}'")
        self.connection.execute(TABLES)
        rows = self.connection.execute("SELECT text, code FROM terms").fetchall()
        self._terms: dict[str, int] = dict(rows)
        self._counters: dict[str, int] = dict(
            self.connection.execute("SELECT name, value FROM counters").fetchall()
        )

    def _prepare(self) -> None:
        """Have `writing.duckdb`: left by a killed run, or a copy of what readers see."""
        if self.path.exists():
            return
        current = current_snapshot(self.folder) if (self.folder / "CURRENT").is_file() else None
        newest = max(self.folder.glob("collection-*.duckdb"), key=_number, default=None)
        if newest is not None and (current is None or _number(newest) > _number(current)):
            newest.replace(self.path)  # killed after closing it, before pointing to it
        elif current is not None:
            side = self.folder / "copying.duckdb"
            try:
                shutil.copyfile(current, side)
            except OSError as error:
                raise InputError(f"{current}: cannot be copied ({error.strerror})") from None
            side.replace(self.path)

    def remember(self, key: str, value: Any) -> None:
        """Keep a fact with the index, such as the names that its detector knows."""
        if self.settings.get(key) != value:
            self.settings[key] = value
            write_settings(self.folder, self.settings)

    def take(self, counter: str, count: int) -> int:
        """The first of `count` numbers that were never used before."""
        first = self._counters.get(counter, 0)
        self._counters[counter] = first + count
        return first

    def codes(self, words: Iterable[str]) -> list[int]:
        """The numbers of names; new names get new ones."""
        found = []
        for word in words:
            code = self._terms.get(word)
            if code is None:
                code = self._terms[word] = len(self._terms)
            found.append(code)
        return found

    def save_names(self) -> None:
        """Write new names and the counters; call it inside the transaction that uses them."""
        row = self.connection.execute("SELECT count(*) FROM terms").fetchone()
        new = list(self._terms.items())[int(row[0]) if row else 0 :]
        if new:
            marks = ", ".join("(?, ?)" for _ in new)
            values = [value for word, code in new for value in (code, word)]
            self.connection.execute(f"INSERT INTO terms VALUES {marks}", values)
        self.connection.execute("DELETE FROM counters")
        for item in self._counters.items():
            self.connection.execute("INSERT INTO counters VALUES (?, ?)", item)

    def remove(self, images: Iterable[int]) -> None:
        """Forget pictures by number, in one transaction."""
        numbers = list(images)
        if not numbers:
            return
        self.connection.begin()
        for table in ROOMS:
            self.connection.execute(
                f"DELETE FROM {table} WHERE image IN (SELECT unnest(?))", [numbers]
            )
        self.connection.commit()

    def finish(self) -> None:
        """Swap the written tables in; readers that hold the old ones keep them."""
        self.connection.close()
        files = list(self.folder.glob("collection-*.duckdb"))
        name = f"collection-{max(map(_number, files), default=0) + 1}.duckdb"
        self.path.replace(self.folder / name)
        side = self.folder / "CURRENT.writing"
        side.write_text(name, encoding="utf-8")
        os.replace(side, self.folder / "CURRENT")  # noqa: PTH105
        for file in files:
            with contextlib.suppress(OSError):  # some systems refuse while a reader has it
                file.unlink()
        self._lock.close()

    def close(self) -> None:
        """Leave without swapping; committed work stays for the next run."""
        self.connection.close()
        self._lock.close()


def _number(path: Path) -> int:
    digits = path.stem.removeprefix("collection-")
    return int(digits) if digits.isdigit() else 0


def _take_lock(folder: Path) -> IO[bytes]:
    """Hold the writer's lock; the system frees it when the process ends, however it ends.

    Raises:
        InputError: another process holds it, or the folder cannot be written.
    """
    try:
        stream = (folder / "writer.lock").open("ab")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        import fcntl
    except ImportError:  # DuckDB's own lock on writing.duckdb is what is left there
        return stream
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise InputError(
            f"{folder}: another index command is writing it; wait until that one has ended"
        ) from None
    return stream


def _agree(folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings of the index from now on.

    Raises:
        InputError: it was made with others.
    """
    if not (folder / "settings.json").is_file():
        return wanted
    found = read_settings(folder)
    for key in _MUST_EQUAL:
        moved = key == "source" and folder.resolve().parent == Path(str(wanted.get(key)))
        if key in wanted and found.get(key) not in (None, wanted[key]) and not moved:
            raise InputError(_other(folder, key, found[key], wanted[key]))
    for key in _FILLED_LATER:
        if wanted.get(key) is not None and found.get(key) not in (None, wanted[key]):
            if key in ("encoder", "captioner") and _same_print(found, wanted, key):
                continue
            raise InputError(_other(folder, key, found[key], wanted[key]))
    return {**found, **{key: value for key, value in wanted.items() if value is not None}}


def _same_print(found: dict[str, Any], wanted: dict[str, Any], key: str) -> bool:
    """Whether only the place of the model changed."""
    name = f"{key}_fingerprint"
    return found.get(name) is not None and found.get(name) == wanted.get(name)


def _other(folder: Path, key: str, before: object, now: object) -> str:
    if key.endswith("_fingerprint"):
        what = f"other weights of the {key.removesuffix('_fingerprint')}"
    else:
        what = f"another {key}"
    return (
        f"{folder}: indexed with {what} ({before!r}, now {now!r}); choose another --output or "
        "remove the folder"
    )
