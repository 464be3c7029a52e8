"""Making an index of pictures or of captions; interrupted at any moment, it goes on later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL.Image

from detectors.errors import InputError
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.data.records import CaptionRecord
from gqa_reasoner.vlp.retrieval.index import IndexWriter

__all__ = ["BuildReport", "Encoder", "build_picture_index", "build_text_index"]

_PART = 64
Progress = Callable[[Sequence[Any]], Iterator[Any]]


class Encoder(Protocol):
    """What an index is built and asked with; `DualEncoder` is one."""

    fingerprint: str

    @property
    def dimension(self) -> int:
        """Width of the rows."""
        ...

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> np.ndarray:
        """(N, D) rows of length 1."""
        ...

    def encode_texts(self, texts: Sequence[str], language: str | None = None) -> np.ndarray:
        """(N, D) rows of length 1."""
        ...


@dataclass
class BuildReport:
    """What a build did."""

    added: int = 0
    removed: int = 0
    unchanged: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


def build_picture_index(
    source: PictureSource,
    path: str | Path,
    encoder: Encoder,
    *,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Bring an index of pictures up to date: new and changed ones are embedded, others kept.

    Args:
        source: the pictures.
        path: folder of the index.
        encoder: gives the vectors.
        names: only these pictures; None: all.
        progress: wraps the list of parts to do, e.g. with tqdm.

    Raises:
        InputError: no pictures, or an index of another model. Damaged pictures are listed in the
            report and in the index, not raised.
    """
    wanted = list(names) if names is not None else source.names()
    absent = source.missing(wanted)
    if absent or not wanted:
        raise InputError(f"{source.path}: {len(absent)} pictures are not there: {absent[:3]}")
    information = {"kind": "pictures", "source": str(source.path.resolve())}
    with IndexWriter(path, encoder.fingerprint, encoder.dimension, information) as writer:
        stamps = {name: list(source.stamp(name)) for name in wanted}
        report = _forget(writer, lambda row: stamps.get(row["name"]) == row["stamp"])
        known = {row["name"] for row in writer.rows()}
        failed = {
            item["name"]
            for item in writer.header["failures"]
            if stamps.get(item["name"]) == item["stamp"]
        }
        writer.header["failures"] = [f for f in writer.header["failures"] if f["name"] in failed]
        todo = [name for name in wanted if name not in known and name not in failed]
        parts = [todo[start : start + _PART] for start in range(0, len(todo), _PART)]
        for part in progress(parts) if progress is not None else parts:
            images, rows = [], []
            for name in part:
                try:
                    images.append(source.read(name))
                    rows.append({"name": name, "stamp": stamps[name]})
                except InputError as error:
                    writer.add_failure(name, str(error), stamps[name])
            writer.append(encoder.encode_images(images), rows)
            report.added += len(rows)
        report.failures = [
            {"image": item["name"], "reason": item["reason"]} for item in writer.header["failures"]
        ]
    return report


def build_text_index(
    records: Sequence[CaptionRecord],
    path: str | Path,
    encoder: Encoder,
    *,
    language: str | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Bring an index of captions up to date.

    Args:
        records: whose captions (or translations) are embedded.
        path: folder of the index.
        encoder: gives the vectors.
        language: embed the translations of this language; None: the captions.
        progress: as in `build_picture_index`.

    Raises:
        InputError: no captions in the language, or an index of another model.
    """
    wanted = {
        (text, record.image): None
        for record in records
        for text in (record.translations.get(language, ()) if language else record.captions)
    }
    if not wanted:
        raise InputError(f"captions: none in language {language!r}")
    information = {"kind": "texts", "language": language}
    with IndexWriter(path, encoder.fingerprint, encoder.dimension, information) as writer:
        report = _forget(writer, lambda row: (row["name"], row["image"]) in wanted)
        known = {(row["name"], row["image"]) for row in writer.rows()}
        todo = [item for item in wanted if item not in known]
        parts = [todo[start : start + 4 * _PART] for start in range(0, len(todo), 4 * _PART)]
        for part in progress(parts) if progress is not None else parts:
            vectors = encoder.encode_texts([text for text, _ in part], language)
            writer.append(vectors, [{"name": text, "image": image} for text, image in part])
            report.added += len(part)
    return report


def _forget(writer: IndexWriter, still: Callable[[dict[str, Any]], bool]) -> BuildReport:
    rows = writer.rows()
    kept = [number for number, row in enumerate(rows) if still(row)]
    if len(kept) < len(rows):
        writer.keep(kept)
    return BuildReport(removed=len(rows) - len(kept), unchanged=len(kept))
