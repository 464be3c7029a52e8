"""`vlp scenes`: what a detector finds in the pictures of a caption file, for recipes with tags."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--images", type=Path, required=True, help="folder, .zip or .tar")
    parser.add_argument("--captions", type=Path, required=True, help="caption file")
    parser.add_argument("--split", help="only records of this split")
    parser.add_argument(
        "--detector", required=True, metavar="SPEC", help="as in detect, such as onnx:PATH"
    )
    parser.add_argument("--threshold", type=float, default=0.3, help="lowest score (default: 0.3)")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE",
        help="JSON lines for --scenes of vlp pretrain; an unfinished file is gone on with",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Detect and write; 1 where pictures could not be read."""
    from tqdm import tqdm

    from detectors.errors import InputError
    from detectors.factory import create_detector
    from gqa_reasoner.vlp.data.pictures import PictureSource
    from gqa_reasoner.vlp.data.records import read_captions
    from gqa_reasoner.vlp.data.scene_lines import write_scene_lines

    if arguments.batch_size < 1 or not 0 <= arguments.threshold <= 1:
        raise InputError(
            "vlp scenes: expected --batch-size of at least 1 and --threshold from 0 to 1, got "
            f"{arguments.batch_size} and {arguments.threshold}"
        )
    report = write_scene_lines(
        arguments.output,
        PictureSource.open(arguments.images),
        read_captions(arguments.captions, split=arguments.split),
        lambda: create_detector(arguments.detector, threshold=arguments.threshold),
        {"detector": arguments.detector, "threshold": arguments.threshold},
        batch_size=arguments.batch_size,
        progress=lambda starts: tqdm(starts, unit="batch", disable=None),
    )
    print(
        f"{arguments.output}: {report.scenes} scenes ({report.new} new), {report.objects} objects, "
        f"{len(report.failures)} unreadable",
        file=sys.stderr,
    )
    for line in report.failures[:20]:
        print(f"  {line}", file=sys.stderr)
    return 1 if report.failures else 0
