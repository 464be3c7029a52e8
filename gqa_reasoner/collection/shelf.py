"""The pictures of an index: records, scenes, files, thumbnails, likenesses; follows new snapshots.

DuckDB connections are not shared between threads: every call takes a cursor of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.collection.database import current_snapshot, open_collection, read_settings
from gqa_reasoner.collection.pictures import thumbnail_path
from gqa_reasoner.collection.scenes import load_scene
from gqa_reasoner.collection.vectors import Ranked, rank_like_picture, rank_like_words
from gqa_reasoner.collection.vocabulary import Vocabulary

if TYPE_CHECKING:
    import duckdb

__all__ = ["Shelf"]

_RECORD = ("image_id", "width", "height", "taken", "latitude", "longitude", "caption")


class Shelf:
    """What an index holds, picture by picture.

    Args:
        folder: the index that `gqa-reasoner index` wrote.

    Raises:
        InputError: no index, another version, or not finished.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._guard = threading.Lock()
        self._open()

    def _open(self) -> None:
        self.settings = read_settings(self.folder)
        self.snapshot = current_snapshot(self.folder)
        self.connection = open_collection(self.folder)
        self.vocabulary = Vocabulary.read(self.connection, self.settings)
        self.names = tuple(self.vocabulary.names)
        self.source = Path(str(self.settings.get("source") or self.folder.parent))

    def refresh(self) -> bool:
        """Open a newer snapshot if a writer finished one meanwhile.

        Returns:
            Whether there was one.

        Raises:
            InputError: the index is gone.
        """
        if current_snapshot(self.folder) == self.snapshot:
            return False
        with self._guard:
            if current_snapshot(self.folder) == self.snapshot:
                return False
            self._open()  # the old connection closes when the last cursor lets it go
        return True

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for one thread's use."""
        with self._guard:
            return self.connection.cursor()

    def close(self) -> None:
        """Let the files go."""
        self.connection.close()

    def __len__(self) -> int:
        row = self.cursor().execute("SELECT count(*) FROM images").fetchone()
        return int(row[0]) if row else 0

    def number(self, image_id: str) -> int:
        """A picture's number.

        Raises:
            InputError: no such picture in the index.
        """
        row = self.cursor().execute(
            "SELECT image FROM images WHERE image_id = ?", [image_id]
        ).fetchone()  # fmt: skip
        if row is None:
            raise InputError(f"no picture {image_id!r} in the index")
        return int(row[0])

    def picture(self, image_id: str) -> dict[str, Any]:
        """A picture's record: size, date, place, caption, path, and whether its file is missing.

        Raises:
            InputError: no such picture in the index.
        """
        found = self._records("WHERE image_id = ?", [image_id])
        if not found:
            raise InputError(f"no picture {image_id!r} in the index")
        return found[0]

    def pictures(self, limit: int = 60, offset: int = 0) -> list[dict[str, Any]]:
        """Records of pictures by name."""
        return self._records("ORDER BY image_id LIMIT ? OFFSET ?", [limit, offset])

    def _records(self, ending: str, values: Sequence[object]) -> list[dict[str, Any]]:
        rows = self.cursor().execute(
            f"SELECT {', '.join(_RECORD)} FROM images {ending}", list(values)
        ).fetchall()  # fmt: skip
        found = []
        for row in rows:
            record = dict(zip(_RECORD, row, strict=True))
            record["taken"] = None if row[3] is None else row[3].isoformat(" ")
            path = self._place(row[0])
            found.append({**record, "path": str(path), "missing": not path.is_file()})
        return found

    def scene(self, image_id: str) -> Scene:
        """The stored scene, without dense arrays.

        Raises:
            InputError: no such picture in the index.
        """
        return load_scene(self.cursor(), image_id)

    def file(self, image_id: str) -> Path:
        """The picture's file.

        Raises:
            InputError: the folder is gone, or the picture was deleted or changed after indexing.
        """
        row = self.cursor().execute(
            "SELECT bytes FROM images WHERE image_id = ?", [image_id]
        ).fetchone()  # fmt: skip
        if row is None:
            raise InputError(f"no picture {image_id!r} in the index")
        path = self._place(image_id)
        if not path.is_file():
            if not self.source.is_dir():
                raise InputError(f"{self.source}: the indexed folder is gone")
            raise InputError(f"{path}: the picture was deleted or moved after indexing")
        if row[0] is not None and path.stat().st_size != row[0]:
            raise InputError(f"{path}: the picture changed after indexing; index the folder again")
        return path

    def file_of(self, number: int) -> Path:
        """The file of the picture of a number; see `file`."""
        row = self.cursor().execute(
            "SELECT image_id FROM images WHERE image = ?", [int(number)]
        ).fetchone()  # fmt: skip
        if row is None:
            raise InputError(f"no picture of number {number} in the index")
        return self.file(row[0])

    def _place(self, image_id: str) -> Path:
        """Where the picture's file should be; the folder may have moved with the index inside."""
        path = self.source / image_id
        beside = self.folder.parent / image_id
        return beside if not path.is_file() and beside.is_file() else path

    def thumbnail(self, image_id: str) -> Path | None:
        """The small picture that was written when indexing, if any."""
        row = self.cursor().execute(
            "SELECT digest FROM images WHERE image_id = ?", [image_id]
        ).fetchone()  # fmt: skip
        if row is None or row[0] is None:
            return None
        path = thumbnail_path(self.folder, row[0])
        return path if path.is_file() else None

    def similar(self, image_id: str, limit: int = 12) -> list[dict[str, Any]]:
        """Pictures like another one: by picture vectors, region features, else by words.

        Raises:
            InputError: no such picture in the index.
        """
        number = self.number(image_id)
        cursor = self.cursor()
        numbers = np.asarray(
            cursor.execute("SELECT image FROM images ORDER BY image").fetchnumpy()["image"]
        )
        found = rank_like_picture(self.folder, number, numbers, limit)
        return self.shown(found or rank_like_words(cursor, number, limit), {})

    def shown(
        self, ranked: Ranked, boxes: Mapping[int, list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Ranked picture numbers as records of `find --json`."""
        if not ranked:
            return []
        listed = ", ".join(str(int(number)) for number, _ in ranked)
        names = dict(
            self.cursor().execute(
                f"SELECT image, image_id FROM images WHERE image IN ({listed})"
            ).fetchall()
        )  # fmt: skip
        there = self.source.is_dir() or self.folder.parent.is_dir()
        found = []
        for number, score in ranked:
            path = self._place(names[number])
            found.append(
                {
                    "image_id": names[number],
                    "score": round(float(score), 4),
                    "path": str(path),
                    "boxes": boxes.get(number, []),
                    "missing": not (there and path.is_file()),
                }
            )
        return found
