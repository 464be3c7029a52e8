"""What a picture file tells besides its pixels: date, place, content hash; and its thumbnail."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

__all__ = [
    "PICTURE_SUFFIXES",
    "THUMBNAILS",
    "exif_facts",
    "file_digest",
    "thumbnail_path",
    "write_thumbnail",
]

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""Files that are taken for pictures."""
THUMBNAILS = "thumbnails"
_SIDE = 256
_DATE_TAGS = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
_DATE = re.compile(r"\s*(\d{4})[:-](\d\d?)[:-](\d\d?)(?:[ T](\d\d?):(\d\d?)(?::(\d\d?))?)?")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        OSError: the file cannot be read.
    """
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def thumbnail_path(folder: Path, digest: str) -> Path:
    """Where the thumbnail of a picture of this content is."""
    return folder / THUMBNAILS / digest[:2] / f"{digest[:24]}.jpg"


def write_thumbnail(image: Image.Image, path: Path) -> None:
    """Write a small JPEG in one step, so that readers never see half of it."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    side = path.with_suffix(".writing")
    small.convert("RGB").save(side, format="JPEG", quality=85)
    side.replace(path)


def exif_facts(path: Path) -> dict[str, Any]:
    """`taken` (ISO), `latitude`, `longitude` in degrees, as far as the camera wrote them."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            inner = exif.get_ifd(ExifTags.IFD.Exif)
            dates = [inner.get(tag) for tag in _DATE_TAGS] + [exif.get(ExifTags.Base.DateTime)]
            gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # Pillow's parsers raise many kinds on damaged EXIF; the pixels still count
        return {}
    found: dict[str, Any] = {}
    taken = next((date for value in dates if (date := _date(value)) is not None), None)
    if taken is not None:
        found["taken"] = taken
    latitude, longitude = _degrees(gps, 2, 1, "S", 90), _degrees(gps, 4, 3, "W", 180)
    if latitude is not None and longitude is not None:
        found |= {"latitude": latitude, "longitude": longitude}
    return found


def _date(value: object) -> str | None:
    """ "2019:05:04 10:11:12" as ISO; None where it is no date."""
    match = _DATE.match(str(value)) if value else None
    if match is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in match.groups())).isoformat(" ")  # type: ignore[arg-type]
    except ValueError:
        return None


def _degrees(gps: Any, number: int, letter: int, negative: str, limit: float) -> float | None:
    try:
        degrees, minutes, seconds = (float(value) for value in gps[number])
        side = gps.get(letter)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if isinstance(side, bytes):
        side = side.decode("ascii", "replace")
    if str(side).strip("\x00 ").upper().startswith(negative):
        value = -value
    return value if abs(value) <= limit else None
