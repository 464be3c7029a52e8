"""The collection's tables in DuckDB, written beside the readers and swapped in whole.

A folder holds `collection-N.duckdb` files and `CURRENT`, which names the one that readers open.
A writer works on `writing.duckdb` and swaps it in when it is done, so that any number of
processes read while one writes, and a killed writer resumes from what it had committed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from detectors.scene import Scene

if TYPE_CHECKING:
    import duckdb

__all__ = ["VERSION", "Writer", "insert_scenes", "open_collection", "read_settings"]

VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS images (
    image_id VARCHAR PRIMARY KEY, path VARCHAR, digest VARCHAR, bytes BIGINT, modified BIGINT,
    width INTEGER, height INTEGER, taken VARCHAR, latitude DOUBLE, longitude DOUBLE);
CREATE TABLE IF NOT EXISTS objects (
    image_id VARCHAR, object_id VARCHAR, name VARCHAR, score FLOAT,
    x1 FLOAT, y1 FLOAT, x2 FLOAT, y2 FLOAT);
CREATE TABLE IF NOT EXISTS attributes (
    image_id VARCHAR, object_id VARCHAR, name VARCHAR, score FLOAT);
CREATE TABLE IF NOT EXISTS relations (
    image_id VARCHAR, subject VARCHAR, predicate VARCHAR, object VARCHAR, score FLOAT);
CREATE TABLE IF NOT EXISTS facts (image_id VARCHAR, kind VARCHAR, value VARCHAR, score FLOAT);
CREATE TABLE IF NOT EXISTS failures (path VARCHAR PRIMARY KEY, digest VARCHAR, reason VARCHAR);
"""
_ROOMS = ("images", "objects", "attributes", "relations", "facts")


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise InputError(
            "a collection needs duckdb: pip install 'gqa-reasoner[collection]'"
        ) from None
    return duckdb


def read_settings(folder: str | Path) -> dict[str, Any]:
    """How the collection was made: version, detector, source folder.

    Raises:
        InputError: no collection there, or one of another version.
    """
    place = Path(folder) / "settings.json"
    if not place.is_file():
        raise InputError(f"{folder}: no collection (gqa-reasoner index DIR makes one)")
    try:
        settings = json.loads(place.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error})") from None
    if settings.get("version") != VERSION:
        raise InputError(
            f"{folder}: index of version {settings.get('version')}, this program reads "
            f"{VERSION}; index the folder again"
        )
    return settings


def open_collection(folder: str | Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the current tables.

    Raises:
        InputError: no finished index, another version, or a file that is no database.
    """
    read_settings(folder)
    pointer = Path(folder) / "CURRENT"
    if not pointer.is_file():
        raise InputError(
            f"{folder}: the index was never finished; run the same index command again"
        )
    file = Path(folder) / pointer.read_text(encoding="utf-8").strip()
    try:
        return _duckdb().connect(str(file), read_only=True)
    except _duckdb().Error as error:
        raise InputError(f"{file}: cannot be opened ({str(error).splitlines()[0]})") from None


class Writer:
    """The one writer of a collection; `commit` keeps work, `finish` lets readers see it.

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
        wanted = {"version": VERSION, **settings}
        place = self.folder / "settings.json"
        if place.is_file():
            found = read_settings(self.folder)
            if found != wanted:
                keys = [key for key in wanted if found.get(key) != wanted[key]]
                raise InputError(
                    f"{folder}: indexed with another {keys[0]} ({found.get(keys[0])!r}, now "
                    f"{wanted[keys[0]]!r}); choose another --output or remove the folder"
                )
        else:
            try:
                place.write_text(json.dumps(wanted), encoding="utf-8")
            except OSError as error:
                raise InputError(f"{place}: cannot be written ({error.strerror})") from None
        self.path = self.folder / "writing.duckdb"
        current = self.folder / "CURRENT"
        if not self.path.exists() and current.is_file():
            side = self.folder / "copying.duckdb"
            shutil.copyfile(self.folder / current.read_text(encoding="utf-8").strip(), side)
            side.replace(self.path)
        try:
            self.connection = _duckdb().connect(str(self.path))
        except _duckdb().Error as error:
            raise InputError(
                f"{self.path}: cannot be written; is another index command running? "
                f"({str(error).splitlines()[0]})"
            ) from None
        self.connection.execute(_TABLES)

    def remove(self, image_ids: Iterable[str]) -> None:
        """Forget pictures."""
        rows = [(image_id,) for image_id in image_ids]
        for table in _ROOMS:
            if rows:
                self.connection.executemany(f"DELETE FROM {table} WHERE image_id = ?", rows)

    def finish(self) -> None:
        """Swap the written tables in; readers that hold the old ones keep them."""
        self.connection.close()
        current = self.folder / "CURRENT"
        old = current.read_text(encoding="utf-8").strip() if current.is_file() else None
        number = int(old.removeprefix("collection-").removesuffix(".duckdb")) + 1 if old else 1
        name = f"collection-{number}.duckdb"
        self.path.replace(self.folder / name)
        side = self.folder / "CURRENT.writing"
        side.write_text(name, encoding="utf-8")
        os.replace(side, current)  # noqa: PTH105
        if old is not None:
            (self.folder / old).unlink(missing_ok=True)


def insert_scenes(
    connection: duckdb.DuckDBPyConnection,
    scenes: Iterable[Scene],
    details: dict[str, dict[str, Any]],
) -> None:
    """Add pictures in one transaction.

    Args:
        connection: the writer's.
        scenes: their scenes.
        details: by image id, the other columns of `images`.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _ROOMS}
    for scene in scenes:
        known = details.get(scene.image_id, {})
        columns = ("path", "digest", "bytes", "modified")
        rows["images"].append(
            (
                scene.image_id, *(known.get(name) for name in columns), scene.width, scene.height,
                known.get("taken"), known.get("latitude"), known.get("longitude"),
            )
        )  # fmt: skip
        for item in scene.objects:
            rows["objects"].append(
                (scene.image_id, item.id, item.name, float(item.score), *map(float, item.box))
            )
            rows["attributes"] += [
                (scene.image_id, item.id, name, float(score))
                for name, score in item.attributes.items()
            ]
        rows["relations"] += [
            (scene.image_id, link.subject, link.predicate, link.object, float(link.score))
            for link in scene.relations
        ]
        rows["facts"] += [
            (scene.image_id, kind, str(value), 1.0)
            for kind, value in scene.scene_attributes.items()
            if isinstance(value, str)
        ]
    connection.begin()
    for table, values in rows.items():
        if values:
            marks = ", ".join("?" * len(values[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
    connection.commit()
