"""Image–caption records, read from the field's usual files.

Four forms:

- Karpathy's JSON: `{"images": [{"filename", "sentences"}]}`;
- COCO's JSON: `{"images": [...], "annotations": [{"image_id", "caption"}]}`;
- JSON lines: `{"image", "captions", "split", "multi30k"}`;
- CSV with one caption a line: `image,caption`, also Flickr's `image|comment_number|comment` and
  the token form `image#0<tab>caption`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from detectors.errors import InputError

__all__ = ["CaptionRecord", "read_captions", "write_captions"]

LANGUAGES = ("en", "de", "fr", "cs")
"""Languages that a record's `multi30k` field may hold."""
_IMAGE_COLUMNS = ("image", "image_name", "filename", "file_name", "filepath", "image_id")
_CAPTION_COLUMNS = ("caption", "comment", "title", "text", "sentence")


@dataclass(frozen=True)
class CaptionRecord:
    """A picture and what people wrote about it."""

    image_id: str
    """The picture's file name without folder and suffix."""
    image: str
    """The picture's path, relative to its source."""
    captions: tuple[str, ...]
    split: str | None = None
    translations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Captions by language code."""


def read_captions(path: str | Path, *, split: str | None = None) -> list[CaptionRecord]:
    """Read a caption file.

    Args:
        path: `.json` (Karpathy or COCO), `.jsonl`, `.csv`, `.tsv` or `.txt`.
        split: keep only records of this split ("val" and "dev" are the same word).

    Raises:
        InputError: no such file, a form not known, a record without picture or with an empty
            caption, the same picture twice, or no record in the split; the line names the place.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: captions: no such file")
    reader = _reader(path)
    records: dict[str, CaptionRecord] = {}
    splits: set[str] = set()
    for place, record in reader(path):
        if record.image in records:
            raise InputError(f"{path}: {place}: image: {record.image!r} is given twice")
        records[record.image] = record
        splits.add(str(record.split))
    if split is not None:
        kept = [item for item in records.values() if _split_name(item.split) == _split_name(split)]
    else:
        kept = list(records.values())
    if not kept:
        known = f" with split {split!r}; splits there: {sorted(splits)}" if records else ""
        raise InputError(f"{path}: captions: no records{known}")
    return kept


def write_captions(path: str | Path, records: list[CaptionRecord]) -> None:
    """Write records as JSON lines that `read_captions` reads back unchanged."""
    with Path(path).open("w", encoding="utf-8") as stream:
        for record in records:
            row: dict[str, Any] = {"image": record.image, "captions": list(record.captions)}
            row["split"] = record.split
            if record.translations:
                row["translations"] = {k: list(v) for k, v in record.translations.items()}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


_Rows = Iterator[tuple[str, CaptionRecord]]


def _reader(path: Path) -> Callable[[Path], _Rows]:
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _read_lines
    if suffix == ".json":
        return _read_json
    if suffix in (".csv", ".tsv", ".txt", ".token"):
        return _read_table
    raise InputError(f"{path}: captions: expected .json, .jsonl, .csv, .tsv or .txt")


def _split_name(split: str | None) -> str | None:
    return {"val": "dev", "validation": "dev", "restval": "train"}.get(split or "", split)


def _record(
    path: Path,
    place: str,
    image: object,
    captions: object,
    split: object = None,
    translations: Mapping[str, object] | None = None,
) -> CaptionRecord:
    if not isinstance(image, str) or not image.strip():
        raise InputError(f"{path}: {place}: image: expected a file name, got {image!r}")
    if split is not None and not isinstance(split, str):
        raise InputError(f"{path}: {place}: split: expected a name, got {split!r}")
    texts = _texts(path, place, "captions", captions)
    others = {
        language: _texts(path, place, language, lines)
        for language, lines in (translations or {}).items()
    }
    stem = PurePosixPath(image.replace("\\", "/")).stem
    return CaptionRecord(stem, image, texts, split, others)


def _texts(path: Path, place: str, name: str, captions: object) -> tuple[str, ...]:
    lines = [captions] if isinstance(captions, str) else captions
    if not isinstance(lines, list | tuple) or not lines:
        raise InputError(f"{path}: {place}: {name}: expected captions, got {captions!r}")
    for number, line in enumerate(lines):
        if not isinstance(line, str):
            raise InputError(f"{path}: {place}: {name}[{number}]: expected text, got {line!r}")
        if not line.strip():
            raise InputError(f"{path}: {place}: {name}[{number}]: the caption is empty")
    return tuple(line.strip() for line in lines)


def _read_lines(path: Path) -> _Rows:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            place = f"line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}: {place}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise InputError(f"{path}: {place}: expected an object, got {type(row).__name__}")
            translations = row.get("translations")
            if translations is None:
                lines = row.get("multi30k") or {}
                translations = {key: lines[key] for key in LANGUAGES if lines.get(key)}
            image = row.get("image", row.get("file_name"))
            captions = row.get("captions", row.get("caption"))
            yield place, _record(path, place, image, captions, row.get("split"), translations)


def _read_json(path: Path) -> _Rows:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: captions: not JSON ({error})") from error
    images = data.get("images") if isinstance(data, dict) else None
    if not isinstance(images, list):
        raise InputError(f"{path}: images: expected a list (Karpathy or COCO form)")
    if "annotations" in data:
        yield from _read_coco(path, images, data["annotations"])
        return
    for number, image in enumerate(images):
        place = f"images[{number}]"
        sentences = image.get("sentences") if isinstance(image, dict) else None
        if not isinstance(sentences, list):
            raise InputError(f"{path}: {place}: sentences: expected a list")
        name = image.get("filename")
        if image.get("filepath") and isinstance(name, str):
            name = f"{image['filepath']}/{name}"
        captions = [
            line.get("raw", " ".join(line.get("tokens", []))) if isinstance(line, dict) else line
            for line in sentences
        ]
        yield place, _record(path, place, name, captions, image.get("split"))


def _read_coco(path: Path, images: list[Any], annotations: object) -> _Rows:
    if not isinstance(annotations, list):
        raise InputError(f"{path}: annotations: expected a list")
    captions: dict[object, list[object]] = {}
    names = {}
    for number, image in enumerate(images):
        if not isinstance(image, dict) or "id" not in image:
            raise InputError(f"{path}: images[{number}]: id: missing")
        names[image["id"]] = (image.get("file_name"), image.get("split"))
    for number, line in enumerate(annotations):
        place = f"annotations[{number}]"
        if not isinstance(line, dict) or line.get("image_id") not in names:
            raise InputError(f"{path}: {place}: image_id: not among the images")
        captions.setdefault(line["image_id"], []).append(line.get("caption"))
    for key, lines in captions.items():
        name, split = names[key]
        yield f"image {key}", _record(path, f"image {key}", name, lines, split)


def _read_table(path: Path) -> _Rows:
    """CSV and its relatives: one caption a line, lines of a picture need not be neighbours."""
    with path.open(encoding="utf-8", newline="") as stream:
        first = stream.readline()
        stream.seek(0)
        delimiter = next((mark for mark in ("\t", "|", ",") if mark in first), ",")
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
        rows = csv.reader(stream, delimiter=delimiter, quoting=quoting, skipinitialspace=True)
        header = [cell.strip().lower() for cell in next(rows, [])]
        image_column = next((header.index(n) for n in _IMAGE_COLUMNS if n in header), None)
        text_column = next((header.index(n) for n in _CAPTION_COLUMNS if n in header), None)
        split_column = header.index("split") if "split" in header else None
        if image_column is None or text_column is None:
            if delimiter == "," or len(header) != 2:
                raise InputError(
                    f"{path}: line 1: expected columns {_IMAGE_COLUMNS[0]!r} and "
                    f"{_CAPTION_COLUMNS[0]!r}, got {header}"
                )
            image_column, text_column, split_column = 0, 1, None
            stream.seek(0)
            rows = csv.reader(stream, delimiter=delimiter, quoting=quoting)
        found: dict[str, tuple[str, list[str], str | None]] = {}
        for row in rows:
            if not row:
                continue
            place = f"line {rows.line_num}"
            if len(row) <= max(image_column, text_column):
                raise InputError(f"{path}: {place}: expected {len(header)} columns, got {len(row)}")
            name = row[image_column].split("#")[0].strip()
            split = row[split_column].strip() if split_column is not None else None
            found.setdefault(name, (place, [], split))[1].append(row[text_column])
    for name, (place, lines, split) in found.items():
        yield place, _record(path, place, name, lines, split)
