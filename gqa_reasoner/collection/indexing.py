"""Index a folder of pictures: only new and changed ones are looked at, deleted ones forgotten."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from detectors.errors import InputError
from detectors.extraction import PICTURE_SUFFIXES
from detectors.images import load_image
from detectors.protocol import Detector
from gqa_reasoner.collection.database import Writer, insert_scenes

__all__ = ["IndexReport", "index_folder"]

_PART = 16


@dataclass
class IndexReport:
    """What an index run did."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


def index_folder(
    source: str | Path,
    folder: str | Path,
    create_detector: Callable[[], Detector],
    *,
    detector_name: str,
    thumbnails: bool = True,
    progress: Callable[[Sequence[Path]], Iterator[Path]] | None = None,
) -> IndexReport:
    """Bring the index of `source` up to date.

    Args:
        source: folder of pictures, searched recursively.
        folder: where the index goes.
        create_detector: makes the detector; called only if a picture is new or changed.
        detector_name: kept with the index; another one later is refused.
        thumbnails: write small pictures beside the tables.
        progress: wraps the pictures to do, e.g. with tqdm.

    Raises:
        InputError: no such folder, no pictures, or an index that another run is writing.
    """
    root = Path(source)
    if not root.is_dir():
        raise InputError(f"{source}: no such folder")
    place = Path(folder).resolve()
    pictures = {
        str(item.relative_to(root)): item
        for item in sorted(root.rglob("*"))
        if item.suffix.lower() in PICTURE_SUFFIXES and place not in item.resolve().parents
    }
    if not pictures:
        raise InputError(f"{source}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    writer = Writer(folder, {"detector": detector_name, "source": str(root.resolve())})
    report = IndexReport()
    todo = _plan(writer, pictures, report)
    names = list(todo)
    steps = progress([pictures[name] for name in names]) if progress is not None else None
    detector = create_detector() if names else None
    for start in range(0, len(names), _PART):
        part = names[start : start + _PART]
        if detector is not None:
            _index_part(writer, part, pictures, todo, detector, report, place, thumbnails)
        if steps is not None:
            for _ in part:
                next(steps, None)
    writer.finish()
    return report


def _plan(
    writer: Writer, pictures: dict[str, Path], report: IndexReport
) -> dict[str, tuple[str, int, int]]:
    """Pictures to do: relative path to (digest, bytes, modified); removed ones are forgotten."""
    columns = "SELECT image_id, digest, bytes, modified FROM images"
    known = {row[0]: row[1:] for row in writer.connection.execute(columns).fetchall()}
    failed = dict(writer.connection.execute("SELECT path, digest FROM failures").fetchall())
    gone = [image_id for image_id in known if image_id not in pictures]
    writer.remove(gone)
    report.removed = len(gone)
    todo: dict[str, tuple[str, int, int]] = {}
    for name, path in pictures.items():
        state = path.stat()
        stamp = (state.st_size, state.st_mtime_ns)
        if name in known and tuple(known[name][1:]) == stamp:
            report.unchanged += 1
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if name in known and known[name][0] == digest:
            writer.connection.execute(
                "UPDATE images SET modified = ? WHERE image_id = ?", (stamp[1], name)
            )
            report.unchanged += 1
            continue
        if failed.get(name) == digest:
            report.failures.append({"image": str(path), "reason": "unreadable, as before"})
            continue
        report.changed += name in known
        report.added += name not in known
        todo[name] = (digest, *stamp)
    return todo


def _index_part(
    writer: Writer,
    part: list[str],
    pictures: dict[str, Path],
    todo: dict[str, tuple[str, int, int]],
    detector: Detector,
    report: IndexReport,
    place: Path,
    thumbnails: bool,
) -> None:
    scenes, details = [], {}
    for name in part:
        path = pictures[name]
        digest, size, modified = todo[name]
        try:
            image = load_image(path)
            scene = detector.detect([image], [name])[0]
        except InputError as error:
            reason = str(error)
            report.failures.append({"image": str(path), "reason": reason})
            writer.connection.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", (name, digest, reason)
            )
            writer.remove([name])
            continue
        scenes.append(scene)
        details[name] = {
            "path": str(path.resolve()),
            "digest": digest,
            "bytes": size,
            "modified": modified,
            **_exif(path),
        }
        if thumbnails:
            _thumbnail(image, place / "thumbnails" / f"{digest[:24]}.jpg")
    writer.remove([scene.image_id for scene in scenes])
    insert_scenes(writer.connection, scenes, details)


def _thumbnail(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = image.copy()
    small.thumbnail((256, 256))
    small.save(path, quality=85)


def _exif(path: Path) -> dict[str, Any]:
    """Date and place that the camera wrote, where it did."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
            gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except (OSError, ValueError, SyntaxError):
        return {}
    found: dict[str, Any] = {"taken": str(taken)} if taken else {}
    for name, number, letter, negative in (("latitude", 2, 1, "S"), ("longitude", 4, 3, "W")):
        try:
            degrees, minutes, seconds = (float(value) for value in gps[number])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            continue
        value = degrees + minutes / 60 + seconds / 3600
        found[name] = -value if gps.get(letter) == negative else value
    return found
