"""Building a store file from one or several sources of triples."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectors.errors import InputError
from knowledge.conceptnet import (
    Format,
    ReadFilter,
    ReadReport,
    Row,
    detect_format,
    read_dump,
    read_lite,
    read_tsv,
)
from knowledge.store_builder import StoreBuilder

__all__ = ["BuildReport", "build_store", "read_triples", "read_vocabulary"]


@dataclass
class BuildReport:
    """What was built: counts of the reader, seconds of reading and of sorting and writing."""

    read: ReadReport = field(default_factory=ReadReport)
    reading_seconds: float = 0.0
    writing_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The record of `knowledge build --json`."""
        seconds = self.reading_seconds + self.writing_seconds
        return {
            "lines": self.read.lines,
            "kept": self.read.kept,
            "filtered": self.read.filtered,
            "broken": self.read.broken,
            "first_broken": list(self.read.first_broken),
            "reading_seconds": round(self.reading_seconds, 3),
            "writing_seconds": round(self.writing_seconds, 3),
            "lines_per_second": round(self.read.lines / seconds) if seconds else None,
        }


def build_store(
    sources: Sequence[Path],
    output: Path,
    *,
    source_format: Format | None = None,
    columns: Sequence[str] = (),
    keep: ReadFilter | None = None,
    strict: bool = False,
    run_length: int = 500_000,
    progress: bool = False,
) -> BuildReport:
    """Read triples from files and write one store.

    Args:
        sources: assertions dumps, conceptnet-lite databases or TSV files.
        output: store file to write.
        source_format: of all sources; None looks at each file.
        columns: of TSV files; see `read_tsv`.
        keep: filters.
        strict: refuse broken lines instead of counting them.
        run_length: triples in memory before they are spilled to disk.
        progress: show a bar on stderr where that is a terminal.

    Raises:
        InputError: unusable input, or no triple left to store.
    """
    keep = keep or ReadFilter()
    report = BuildReport()
    builder = StoreBuilder(language=keep.language, run_length=run_length)
    started = time.perf_counter()
    rows = read_triples(
        sources,
        source_format=source_format,
        columns=columns,
        keep=keep,
        report=report.read,
        strict=strict,
    )
    builder.add_all(_with_progress(rows) if progress else rows)
    report.reading_seconds = time.perf_counter() - started
    if not builder.added:
        names = ", ".join(str(source) for source in sources)
        raise InputError(
            f"{names}: no triple to store: {report.read.lines} lines read, "
            f"{report.read.filtered} filtered out, {report.read.broken} broken"
            + (f"; first: {report.read.first_broken[0]}" if report.read.first_broken else "")
        )
    started = time.perf_counter()
    builder.write(output)
    report.writing_seconds = time.perf_counter() - started
    return report


def read_triples(
    sources: Iterable[Path],
    *,
    source_format: Format | None = None,
    columns: Sequence[str] = (),
    keep: ReadFilter | None = None,
    report: ReadReport | None = None,
    strict: bool = False,
) -> Iterator[Row]:
    """Stream the triples of several files, each by its own reader."""
    report = report or ReadReport()
    for source in sources:
        kind = source_format or detect_format(source)
        if kind == "dump":
            yield from read_dump(source, keep=keep, report=report, strict=strict)
        elif kind == "lite":
            yield from read_lite(source, keep=keep, report=report, strict=strict)
        else:
            yield from read_tsv(source, columns=columns, keep=keep, report=report, strict=strict)


def read_vocabulary(path: Path) -> frozenset[str]:
    """Concept texts, one a line, normalized.

    Raises:
        InputError: not UTF-8, or no text in the file.
    """
    from knowledge.concepts import parse_concept

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: vocabulary: not UTF-8") from None
    words = frozenset(text for line in lines if (text := parse_concept(line).text))
    if not words:
        raise InputError(f"{path}: vocabulary: no concept in the file")
    return words


def _with_progress(rows: Iterator[Row]) -> Iterator[Row]:
    from tqdm import tqdm

    return iter(tqdm(rows, unit=" triples", unit_scale=True, disable=None))
