"""`extract DIR OUT.h5`: region features of a whole folder, resumable after a kill."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "source", type=Path,
        help="folder of pictures, webdataset .tar, or a text file with one path a line",
    )  # fmt: skip
    parser.add_argument("target", type=Path, metavar="OUT.h5")
    parser.add_argument("--detector", default="default", help="as in `ask`; must give features")
    parser.add_argument(
        "--part-size", type=int, default=32, help="pictures a kill can lose a worker at most"
    )
    parser.add_argument("--half", action="store_true", help="store float16")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="worker processes")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="ray: the same work on a Ray cluster (extra `ray`)",
    )  # fmt: skip
    parser.add_argument(
        "--ray-address", metavar="HOST:PORT",
        help="a running Ray cluster (default: one is started here)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Extract; exit 1 when some pictures could not be read."""
    from functools import partial

    from detectors.errors import InputError
    from detectors.extraction import extract, failures_file
    from detectors.factory import create_detector

    for name in ("part_size", "workers"):
        value = getattr(arguments, name)
        if value < 1:
            raise InputError(f"--{name.replace('_', '-')}: must be at least 1, got {value}")
    if arguments.ray_address and arguments.engine != "ray":
        raise InputError("--ray-address: only with --engine ray")

    def progress(parts: Iterator[int], done: int, total: int) -> Iterator[int]:
        from tqdm import tqdm

        return iter(
            tqdm(parts, desc="extract", initial=done, total=total, unit="part", disable=None)
        )

    report = extract(
        arguments.source,
        arguments.target,
        partial(create_detector, arguments.detector),
        part_size=arguments.part_size,
        half=arguments.half,
        detector_name=arguments.detector,
        workers=arguments.workers,
        engine=arguments.engine,
        ray_address=arguments.ray_address,
        progress=progress,
    )
    print(
        f"{report.written} of {report.pictures} pictures written to {arguments.target}"
        + (
            f", {len(report.failures)} unreadable (listed in {failures_file(arguments.target)})"
            if report.failures
            else ""
        ),
        file=sys.stderr,
    )
    return 1 if report.failures else 0
