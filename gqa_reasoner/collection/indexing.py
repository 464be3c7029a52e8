"""Index a folder of pictures: only new and changed ones are looked at, deleted ones forgotten.

Work is kept every few pictures, so a run that is killed at any moment resumes; readers see the
index as it was until the run has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from detectors.errors import InputError
from detectors.images import load_image
from detectors.protocol import Detector
from detectors.scene import Scene
from gqa_reasoner.collection.captions import caption_of
from gqa_reasoner.collection.database import Writer
from gqa_reasoner.collection.derived import derive_tables
from gqa_reasoner.collection.pictures import (
    PICTURE_SUFFIXES,
    exif_facts,
    file_digest,
    thumbnail_path,
    write_thumbnail,
)
from gqa_reasoner.collection.scenes import insert_scenes
from gqa_reasoner.collection.setup import IndexPlan
from gqa_reasoner.collection.vector_file import LOOKS, PICTURES, REGIONS, VectorFile

if TYPE_CHECKING:
    from knowledge.store import TripleStore

__all__ = ["IndexReport", "index_folder"]

_PART = 16


@dataclass
class IndexReport:
    """What an index run did."""

    added: int = 0
    changed: int = 0
    renamed: int = 0
    removed: int = 0
    unchanged: int = 0
    completed: int = 0
    """Pictures that only got a vector or a caption that they lacked."""
    failures: list[dict[str, str]] = field(default_factory=list)
    """`{"image", "reason"}` of each picture that could not be read."""


@dataclass
class _Job:
    """One run: where things are and what makes scenes, vectors and captions."""

    root: Path
    place: Path
    writer: Writer
    report: IndexReport
    plan: IndexPlan
    thumbnails: bool = True
    detector: Detector | None = None

    @property
    def fingerprint(self) -> str:
        """Of the detector."""
        return self.plan.detector_fingerprint or self.plan.detector


def index_folder(
    source: str | Path,
    folder: str | Path,
    create_detector: Callable[[], Detector],
    *,
    detector_name: str = "default",
    plan: IndexPlan | None = None,
    thumbnails: bool = True,
    progress: Callable[[Sequence[Path]], Iterator[Path]] | None = None,
    store: TripleStore | None = None,
    rehash: bool = False,
) -> IndexReport:
    """Bring the index of `source` up to date.

    Args:
        source: folder of pictures, searched recursively.
        folder: where the index goes.
        create_detector: makes the detector; called only if a picture is new or changed.
        detector_name: kept with the index; another one later is refused.
        plan: detector with its fingerprint, encoder, captioner, captions; replaces
            `detector_name`. An encoder and a captioner may be added to an old index.
        thumbnails: write small pictures beside the tables.
        progress: wraps the pictures to do, e.g. with tqdm.
        store: triples about the objects' names to keep with the index.
        rehash: compare contents even where size and time of a file are as before.

    Raises:
        InputError: no such folder, no pictures, an index that another run is writing or that was
            made with another detector, or a folder that cannot be written.
    """
    root = Path(source)
    if not root.is_dir():
        raise InputError(f"{source}: no such folder")
    place = Path(folder).resolve()
    pictures = _list(root, place)
    if not pictures:
        raise InputError(f"{source}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    chosen = plan or IndexPlan(detector_name)
    writer = Writer(folder, chosen.settings(root))
    job = _Job(root, place, writer, IndexReport(), chosen, thumbnails)
    try:
        todo = _plan(job, pictures, rehash)
        names = list(todo)
        steps = progress([pictures[name] for name in names]) if progress is not None else None
        if names:
            job.detector = create_detector()
            writer.remember("classes", _class_names(job.detector))
        for start in range(0, len(names), _PART):
            part = names[start : start + _PART]
            _index_part(job, {name: todo[name] for name in part})
            if steps is not None:
                for _ in part:
                    next(steps, None)
        _complete(job)
        derive_tables(writer.connection, store)
    except BaseException:
        writer.close()
        raise
    writer.finish()
    return job.report


def _list(root: Path, place: Path) -> dict[str, Path]:
    """Pictures below `root` by relative path, without those of the index itself."""
    return {
        item.relative_to(root).as_posix(): item
        for item in sorted(root.rglob("*"))
        if item.suffix.lower() in PICTURE_SUFFIXES
        and place not in item.resolve().parents
        and item.is_file()
    }


def _plan(
    job: _Job, pictures: dict[str, Path], rehash: bool
) -> dict[str, tuple[str, int, int, int | None]]:
    """Pictures to do: name to (digest, bytes, modified, old number); others are brought up to date.

    A new name with the content of a vanished picture is that picture, renamed.
    """
    writer, report = job.writer, job.report
    columns = "SELECT image_id, image, digest, bytes, modified FROM images"
    known = {row[0]: row[1:] for row in writer.connection.execute(columns).fetchall()}
    failed = dict(writer.connection.execute("SELECT path, digest FROM failures").fetchall())
    gone = {name: row[0] for name, row in known.items() if name not in pictures}
    vanished = {known[name][1]: name for name in gone}
    todo: dict[str, tuple[str, int, int, int | None]] = {}
    for name, path in pictures.items():
        old = known.get(name)
        try:
            state = path.stat()
            stamp = (state.st_size, state.st_mtime_ns)
            if old is not None and tuple(old[2:]) == stamp and not rehash:
                report.unchanged += 1
                continue
            digest = file_digest(path)
        except OSError as error:
            report.failures.append(
                {"image": str(path), "reason": f"{path}: cannot be read ({error.strerror})"}
            )
            continue
        if old is not None and old[1] == digest:
            _update(writer, name, name, stamp)
            report.unchanged += 1
        elif old is None and digest in vanished:
            before = vanished.pop(digest)
            del gone[before]
            _update(writer, before, name, stamp)
            report.renamed += 1
        elif failed.get(name) == digest:
            report.failures.append({"image": str(path), "reason": f"{path}: unreadable, as before"})
        else:
            report.changed += old is not None
            report.added += old is None
            todo[name] = (digest, *stamp, None if old is None else old[0])
    writer.remove(gone.values())
    report.removed = len(gone)
    return todo


def _update(writer: Writer, before: str, name: str, stamp: tuple[int, int]) -> None:
    writer.connection.execute(
        "UPDATE images SET image_id = ?, bytes = ?, modified = ? WHERE image_id = ?",
        [name, *stamp, before],
    )


def _index_part(job: _Job, part: dict[str, tuple[str, int, int, int | None]]) -> None:
    scenes: list[Scene] = []
    images: list[Image.Image] = []
    details: dict[str, dict[str, Any]] = {}
    stale: list[int] = []
    for name, (digest, size, modified, old) in part.items():
        path = job.root / name
        stale += [] if old is None else [old]
        try:
            image = load_image(path)
            scene = _detect(job, image, name)
        except InputError as error:
            _fail(job, name, digest, path, str(error))
            continue
        scenes.append(scene)
        images.append(image)
        details[name] = {"digest": digest, "bytes": size, "modified": modified, **exif_facts(path)}
        if job.thumbnails:
            write_thumbnail(image, thumbnail_path(job.place, digest))
    job.writer.remove(stale)
    _describe(job, images, details)
    vectors = (
        None if job.plan.encoder is None or not images else job.plan.encoder.encode_images(images)
    )
    numbers = insert_scenes(
        job.writer, scenes, {name: {**row, "embedded": False} for name, row in details.items()}
    )
    for place, scene in enumerate(scenes):
        image_number, first = numbers[scene.image_id]
        _write_features(job, scene, image_number, first)
        if vectors is not None:
            _write_vector(job, image_number, vectors[place])


def _detect(job: _Job, image: Image.Image, name: str) -> Scene:
    """The scene of one picture under its name in the index."""
    if job.detector is None:
        raise InputError("no detector")
    records = getattr(job.detector, "records", None)  # annotated scenes may go by the stem
    known = Path(name).stem if isinstance(records, Mapping) and name not in records else name
    scene = job.detector.detect([image], [known])[0]
    return scene if scene.image_id == name else replace(scene, image_id=name)


def _fail(job: _Job, name: str, digest: str, path: Path, reason: str) -> None:
    if not job.root.is_dir():
        raise InputError(f"{job.root}: the folder disappeared while it was indexed")
    job.report.failures.append({"image": str(path), "reason": reason})
    connection = job.writer.connection
    connection.execute("DELETE FROM failures WHERE path = ?", [name])
    connection.execute("INSERT INTO failures VALUES (?, ?, ?)", [name, digest, reason])


def _describe(job: _Job, images: list[Image.Image], details: dict[str, dict[str, Any]]) -> None:
    """Captions from the file, else from the captioner."""
    for name, row in details.items():
        row["caption"] = caption_of(job.plan.captions, name) if job.plan.captions else None
    missing = [place for place, row in enumerate(details.values()) if row["caption"] is None]
    if job.plan.captioner is not None and missing:
        texts = job.plan.captioner.caption([images[place] for place in missing])
        rows = list(details.values())
        for place, text in zip(missing, texts, strict=True):
            rows[place]["caption"] = text


def _write_features(job: _Job, scene: Scene, image: int, first: int) -> None:
    if scene.features is None or not len(scene.features):
        return
    features = np.asarray(scene.features, dtype=np.float32)
    width = features.shape[1]
    VectorFile(job.place, REGIONS, width=width, fingerprint=job.fingerprint).write(first, features)
    mean = features.mean(axis=0)
    mean = mean / max(float(np.linalg.norm(mean)), 1e-6)
    VectorFile(job.place, LOOKS, width=width, fingerprint=job.fingerprint).write(image, mean[None])


def _write_vector(job: _Job, image: int, vector: np.ndarray) -> None:
    """The vector first, then the mark that it is there."""
    row = np.asarray(vector, dtype=np.float32)
    row = row / max(float(np.linalg.norm(row)), 1e-6)
    fingerprint = getattr(job.plan.encoder, "fingerprint", "")
    VectorFile(job.place, PICTURES, width=len(row), fingerprint=fingerprint).write(image, row[None])
    job.writer.connection.execute("UPDATE images SET embedded = true WHERE image = ?", [image])


def _complete(job: _Job) -> None:
    """Give older pictures the captions and vectors that a newly added model or file has."""
    connection = job.writer.connection
    rows = connection.execute("SELECT image, image_id, caption, embedded FROM images").fetchall()
    for number, name, caption, embedded in rows:
        given = caption_of(job.plan.captions, name) if job.plan.captions else None
        vector = job.plan.encoder is not None and not embedded
        words = given is None and caption is None and job.plan.captioner is not None
        if not vector and not words and given in (None, caption):
            continue
        try:
            image = load_image(job.root / name) if vector or words else None
        except InputError as error:
            job.report.failures.append({"image": name, "reason": str(error)})
            continue
        if words and image is not None and job.plan.captioner is not None:
            given = job.plan.captioner.caption([image])[0]
        if given not in (None, caption):
            connection.execute("UPDATE images SET caption = ? WHERE image = ?", [given, number])
        if vector and image is not None and job.plan.encoder is not None:
            _write_vector(job, number, job.plan.encoder.encode_images([image])[0])
        job.report.completed += 1


def _class_names(detector: Detector) -> list[str]:
    """Every name that the detector can give; empty where it does not say."""
    records = getattr(detector, "records", None)
    if isinstance(records, Mapping):  # annotated scenes know what they list
        objects = [item for graph in records.values() for item in graph["objects"].values()]
        return sorted({str(item["name"]) for item in objects})
    names = getattr(detector, "class_names", None) or getattr(
        getattr(detector, "vocabulary", None), "classes", ()
    )
    return [str(name) for name in names or ()]
