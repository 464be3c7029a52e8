"""`extract DIR OUT.h5`: region features of a whole folder, resumable after a kill."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("source", type=Path, help="folder of pictures, or a text file listing them")
    parser.add_argument("target", type=Path, metavar="OUT.h5")
    parser.add_argument("--detector", default="default", help="as in `ask`; must give features")
    parser.add_argument(
        "--part-size", type=int, default=32, help="pictures a kill can lose at most"
    )
    parser.add_argument("--half", action="store_true", help="store float16")


def run(arguments: argparse.Namespace) -> int:
    """Extract; exit 1 when some pictures could not be read."""
    from detectors.errors import InputError
    from detectors.extraction import extract
    from detectors.factory import create_detector

    if arguments.part_size < 1:
        raise InputError(f"--part-size: must be at least 1, got {arguments.part_size}")

    def progress(missing: Sequence[int], total: int) -> Iterator[int]:
        from tqdm import tqdm

        return iter(
            tqdm(missing, initial=total - len(missing), total=total, unit="part", disable=None)
        )

    report = extract(
        arguments.source,
        arguments.target,
        lambda: create_detector(arguments.detector),
        part_size=arguments.part_size,
        half=arguments.half,
        detector_name=arguments.detector,
        progress=progress,
    )
    print(
        f"{report.written} of {report.pictures} pictures written to {arguments.target}"
        + (f", {len(report.failures)} unreadable" if report.failures else ""),
        file=sys.stderr,
    )
    return 1 if report.failures else 0
