"""The bytes of pictures and thumbnails, ready for a browser."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from detectors.errors import InputError
from detectors.images import load_image
from gqa_reasoner.web.errors import RequestError
from gqa_reasoner.web.library import Library, Picture
from gqa_reasoner.web.uploads import shown

__all__ = ["PictureFile", "PictureFiles"]

_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
"""Kinds that every browser shows; others are sent as JPEG."""
_LARGEST_AS_IT_IS = 32 << 20
_THUMBNAIL = 320
_THUMBNAILS_KEPT = 512


@dataclass(frozen=True)
class PictureFile:
    """Bytes with their media type, and a tag that changes with them."""

    data: bytes
    media_type: str
    tag: str


class PictureFiles:
    """Reads pictures of the collection; a few made thumbnails are kept in memory."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._made: OrderedDict[str, PictureFile] = OrderedDict()
        self._lock = threading.Lock()

    def full(self, image_id: str) -> PictureFile:
        """The picture itself.

        Raises:
            RequestError: 404, not in the index; 410, deleted after indexing; 403, outside of the
                collection; 422, it cannot be read any more.
        """
        picture = self.library.picture(image_id)
        path = self.library.file(picture)
        try:
            state = path.stat()
            tag = f"{state.st_mtime_ns:x}-{state.st_size:x}"
            media_type = _TYPES.get(path.suffix.lower())
            if media_type is not None and state.st_size <= _LARGEST_AS_IT_IS:
                return PictureFile(path.read_bytes(), media_type, tag)
            return PictureFile(shown(load_image(path)), "image/jpeg", tag + "-jpeg")
        except FileNotFoundError:
            raise RequestError(410, f"{image_id}: the picture was deleted after indexing") from None
        except PermissionError:
            raise RequestError(403, f"{image_id}: no permission to read the picture") from None
        except (OSError, InputError):
            raise RequestError(422, f"{image_id}: the picture cannot be read any more") from None

    def thumbnail(self, image_id: str) -> PictureFile:
        """The small picture of the index, or one made now.

        Raises:
            RequestError: as `full`, when the index keeps none.
        """
        picture = self.library.picture(image_id)
        tag = f"t{str(picture.digest)[:24]}"
        kept = self.library.thumbnail(picture)
        if kept is not None:
            try:
                return PictureFile(kept.read_bytes(), "image/jpeg", tag)
            except OSError:
                pass  # it went with the index folder; the picture may still be there
        with self._lock:
            found = self._made.get(tag)
        return found or self._make(picture, tag)

    def _make(self, picture: Picture, tag: str) -> PictureFile:
        path = self.library.file(picture)
        with self._lock:  # one decoded picture in memory at a time
            try:
                data = shown(load_image(path), _THUMBNAIL)
            except InputError:
                raise RequestError(
                    422, f"{picture.image_id}: the picture cannot be read any more"
                ) from None
            found = self._made[tag] = PictureFile(data, "image/jpeg", tag)
            while len(self._made) > _THUMBNAILS_KEPT:
                self._made.popitem(last=False)
        return found
