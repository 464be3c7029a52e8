"""`index DIR`: make or update the index of a picture collection."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("source", type=Path, metavar="DIR")
    parser.add_argument("--output", type=Path, help="the index (default: DIR/.gqa-reasoner)")
    parser.add_argument("--detector", default="default", help="as in `ask`")
    parser.add_argument("--no-thumbnails", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Index; exit 1 when some pictures could not be read."""
    from detectors.factory import create_detector
    from gqa_reasoner.collection.indexing import index_folder

    def progress(pictures: Sequence[Path]) -> Iterator[Path]:
        from tqdm import tqdm

        return iter(tqdm(pictures, unit="picture", disable=None))

    began = time.perf_counter()
    target = arguments.output or arguments.source / ".gqa-reasoner"
    report = index_folder(
        arguments.source,
        target,
        lambda: create_detector(arguments.detector),
        detector_name=arguments.detector,
        thumbnails=not arguments.no_thumbnails,
        progress=progress,
    )
    seconds = time.perf_counter() - began
    done = report.added + report.changed
    print(
        f"{target}: {report.added} added, {report.changed} changed, {report.removed} removed, "
        f"{report.unchanged} unchanged, {len(report.failures)} unreadable; "
        f"{done / max(seconds, 1e-9):.1f} pictures/s",
        file=sys.stderr,
    )
    for failure in report.failures[:20]:
        print(f"  {failure['reason']}", file=sys.stderr)
    return 1 if report.failures else 0
