"""The pictures of an index, followed while another process writes it, in words for visitors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from detectors.errors import InputError
from detectors.extraction import PICTURE_SUFFIXES
from detectors.scene import Scene
from gqa_reasoner.collection.pictures import thumbnail_path
from gqa_reasoner.web.errors import RequestError

if TYPE_CHECKING:
    from gqa_reasoner.collection.questions import Collection

__all__ = ["Library", "Picture", "unreadable"]

_COLUMNS = "image_id, digest, width, height, taken, latitude, longitude, caption"


Result = TypeVar("Result")


@dataclass(frozen=True)
class Picture:
    """A row of the index's pictures."""

    image_id: str
    digest: str | None
    width: int
    height: int
    taken: datetime | None
    latitude: float | None
    longitude: float | None
    caption: str | None

    def to_json(self) -> dict[str, Any]:
        """What the page needs for its grid."""
        return {"image_id": self.image_id, "width": self.width, "height": self.height}


class Library:
    """Reads an index that is open as a `Collection`; used by many threads."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.folder = collection.folder

    @property
    def settings(self) -> dict[str, Any]:
        """How the index was made."""
        return self.collection.settings

    @property
    def source(self) -> Path:
        """The folder of pictures that was indexed."""
        return self.collection.source

    @property
    def name(self) -> str:
        """What the collection is called on the page: its folder of pictures."""
        return self.source.name or str(self.source)

    def version(self) -> str:
        """The snapshot that is current; changes whenever an index run finishes.

        Raises:
            RequestError: 503, the index went away or cannot be opened any more.
        """
        self.follow()
        return self.collection.snapshot.name

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM images")[0][0])

    def image_ids(self) -> list[str]:
        """The ids of all pictures."""
        return [row[0] for row in self._rows("SELECT image_id FROM images ORDER BY image_id")]

    def page(self, offset: int, limit: int) -> list[Picture]:
        """Pictures in the order of their ids."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM images ORDER BY image_id LIMIT ? OFFSET ?", [limit, offset]
        )
        return [Picture(*row) for row in rows]

    def records(self, image_ids: Sequence[str]) -> list[Picture]:
        """The pictures of these ids that exist, in the order asked for."""
        if not image_ids:
            return []
        marks = ", ".join("?" * len(image_ids))
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM images WHERE image_id IN ({marks})", list(image_ids)
        )
        found = {row[0]: Picture(*row) for row in rows}
        return [found[key] for key in dict.fromkeys(image_ids) if key in found]

    def picture(self, image_id: str) -> Picture:
        """One picture.

        Raises:
            RequestError: 404, no such id in the index.
        """
        found = self.records([image_id])
        if not found:
            raise RequestError(404, f"no picture {image_id[:200]!r} in this collection")
        return found[0]

    def file(self, picture: Picture) -> Path:
        """The picture's file, which lies inside the folder that was indexed.

        Raises:
            RequestError: 410, deleted after indexing; 403, it leads out of the folder.
        """
        for root in (self.source, self.folder.resolve().parent):  # the folder may have been moved
            place = root / picture.image_id
            if not place.is_file():
                continue
            real = place.resolve()
            inside = real.is_relative_to(root.resolve())
            if not inside or real.suffix.lower() not in PICTURE_SUFFIXES:
                raise RequestError(403, f"{picture.image_id}: leads out of the collection")
            return real
        if not self.source.is_dir():
            raise RequestError(410, f"the folder of pictures {self.source} is gone")
        raise RequestError(410, f"{picture.image_id}: the picture was deleted after indexing")

    def thumbnail(self, picture: Picture) -> Path | None:
        """The small picture that the index keeps, if it does."""
        if picture.digest is None:
            return None
        place = thumbnail_path(self.folder, picture.digest)
        return place if place.is_file() else None

    def similar(self, image_id: str, limit: int) -> list[dict[str, Any]]:
        """Pictures like another one, best first, as records of `find --json`."""
        self.picture(image_id)
        return self._read(lambda collection: collection.similar(image_id, limit))

    def scene(self, image_id: str) -> Scene:
        """What the tables say of one picture, without the detector's probabilities.

        Raises:
            RequestError: 404, no such picture.
        """
        self.picture(image_id)
        scene = self._read(lambda collection: collection.scene(image_id))
        return replace(scene, detector="index")

    def commonest(self, limit: int = 40) -> list[tuple[str, int]]:
        """(object name, pictures that show it), most pictures first."""
        return self._rows(
            "SELECT text, count(DISTINCT image) AS n FROM objects JOIN terms ON code = name "
            "WHERE score >= 0.5 GROUP BY text ORDER BY n DESC, text LIMIT ?",
            [limit],
        )

    def close(self) -> None:
        """Let go of the tables."""
        self.collection.close()

    def follow(self) -> None:
        """Take the newest snapshot; complain when the index went away.

        Raises:
            RequestError: 503.
        """
        if not (self.folder / "CURRENT").is_file():
            raise RequestError(503, f"the index {self.folder} is gone; index the pictures again")
        try:
            self.collection.refresh()
        except InputError as error:
            raise RequestError(503, str(error), 10) from None

    def _rows(self, sql: str, values: Iterable[Any] = ()) -> list[Any]:
        return self._read(
            lambda collection: collection.cursor().execute(sql, list(values)).fetchall()
        )

    def _read(self, work: Callable[[Collection], Result]) -> Result:
        self.follow()
        try:
            return work(self.collection)
        except InputError as error:
            raise RequestError(503, str(error), 5) from None
        except Exception as error:  # duckdb's errors share no base with ours
            raise unreadable(error) from None


def unreadable(error: Exception) -> RequestError:
    """A refusal for an index whose tables cannot be read."""
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RequestError(503, f"the index cannot be read ({line[:160]})", 5)
