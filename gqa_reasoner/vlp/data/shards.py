"""Webdataset shards: tar files whose members of one key are one sample, read as a stream.

`000017.jpg`, `000017.txt` (a caption) or `000017.json` (`{"caption"}` or `{"captions"}`) side by
side in the tar make sample `000017`. Only `tarfile` is used. The form is that of
https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import PIL.Image

from detectors.errors import InputError
from detectors.extraction import PICTURE_SUFFIXES
from gqa_reasoner.vlp.data.pictures import decode_picture

__all__ = ["Sample", "ShardReport", "expand_shards", "read_shards"]

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class Sample:
    """A picture with its captions."""

    key: str
    image: PIL.Image.Image
    captions: tuple[str, ...]


@dataclass
class ShardReport:
    """What was read and what was not; filled while reading."""

    shards: int = 0
    samples: int = 0
    broken_shards: list[dict[str, str]] = field(default_factory=list)
    """`{"shard", "reason"}`; samples before the damage were still given."""
    skipped: list[dict[str, str]] = field(default_factory=list)
    """`{"shard", "sample", "reason"}`."""


def expand_shards(pattern: str | Path) -> list[Path]:
    """Paths of a pattern such as `train-{000..127}.tar`, `train-*.tar`, or a folder.

    Raises:
        InputError: nothing there.
    """
    text = str(pattern)
    found = _BRACES.search(text)
    if found:
        low, high = found.group(1), found.group(2)
        width = len(low)
        names = [
            text[: found.start()] + f"{number:0{width}d}" + text[found.end() :]
            for number in range(int(low), int(high) + 1)
        ]
        paths = [path for name in names for path in expand_shards(name)]
    elif Path(text).is_dir():
        paths = sorted(Path(text).glob("*.tar"))
    elif any(mark in text for mark in "*?["):
        paths = sorted(Path(text).parent.glob(Path(text).name))
    else:
        paths = [Path(text)]
    if not paths:
        raise InputError(f"{pattern}: shards: none there")
    return paths


def read_shards(paths: Sequence[Path], report: ShardReport | None = None) -> Iterator[Sample]:
    """All samples, shard by shard, in the tar's order; bounded memory.

    Args:
        paths: tar files.
        report: is filled while reading.

    Raises:
        InputError: a shard does not exist. Damaged shards and samples are skipped and reported.
    """
    report = report if report is not None else ShardReport()
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: shard: no such file ({len(missing)} missing)")
    for path in paths:
        report.shards += 1
        try:
            yield from _read_shard(path, report)
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            line = " ".join(str(error).split())[:120]
            report.broken_shards.append({"shard": str(path), "reason": line})


def _read_shard(path: Path, report: ShardReport) -> Iterator[Sample]:
    with tarfile.open(path, mode="r|*") as tape:
        key: str | None = None
        parts: dict[str, bytes] = {}
        for member in tape:
            if not member.isfile():
                continue
            name = PurePosixPath(member.name)
            stem, _, extension = name.name.partition(".")
            own = str(name.parent / stem)
            if own != key:
                yield from _finish(path, key, parts, report)
                key, parts = own, {}
            stream = tape.extractfile(member)
            data = stream.read() if stream is not None else b""
            if len(data) < member.size:
                raise EOFError(f"{member.name}: {len(data)} of {member.size} bytes")
            parts[extension.lower()] = data
        yield from _finish(path, key, parts, report)


def _finish(
    path: Path, key: str | None, parts: dict[str, bytes], report: ShardReport
) -> Iterator[Sample]:
    """The sample of one key, if it is whole."""
    if key is None:
        return
    try:
        pictures = [data for ext, data in parts.items() if f".{ext}" in PICTURE_SUFFIXES]
        if len(pictures) != 1:
            raise InputError(f"expected one picture, got {len(pictures)}")
        captions = _captions(parts)
        image = decode_picture(pictures[0], key)
    except InputError as error:
        report.skipped.append({"shard": str(path), "sample": key, "reason": str(error)})
        return
    report.samples += 1
    yield Sample(PurePosixPath(key).name, image, captions)


def _captions(parts: dict[str, bytes]) -> tuple[str, ...]:
    try:
        if "txt" in parts:
            lines: object = parts["txt"].decode("utf-8").splitlines()
        elif "json" in parts:
            record = json.loads(parts["json"])
            lines = record.get("captions", record.get("caption"))
        else:
            raise InputError("expected a .txt or .json with the caption")
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError) as error:
        raise InputError(f"caption: not readable ({' '.join(str(error).split())})") from error
    lines = [lines] if isinstance(lines, str) else lines
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise InputError(f"caption: expected text, got {lines!r}")
    captions = tuple(line.strip() for line in lines if line.strip())
    if not captions:
        raise InputError("caption: empty")
    return captions
