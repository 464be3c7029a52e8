"""`index DIR`: make or update the index of a picture collection."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("source", type=Path, metavar="DIR")
    add("--output", type=Path, help="the index (default: DIR/.gqa-reasoner)")
    add("--detector", help="as in `ask` (default: the one of the index, else the shipped one)")
    add("--encoder", type=Path, metavar="MODEL",
        help="a dual encoder trained with `vlp`, for visual search")  # fmt: skip
    add("--recipe", type=Path, metavar="MODEL", help="a captioner trained with `vlp`")
    add("--captions", type=Path, metavar="FILE", help="captions: COCO form, JSON or JSON lines")
    add("--calibration", type=float, nargs=2, metavar=("SLOPE", "OFFSET"),
        help="from the detector's scores to probabilities, in logits")  # fmt: skip
    add("--calibrate", type=Path, metavar="GRAPHS",
        help="fit the calibration on those pictures whose scene graphs this file has")  # fmt: skip
    add("--no-thumbnails", action="store_true")
    add("--rehash", action="store_true", help="compare contents even where size and time agree")


def run(arguments: argparse.Namespace) -> int:
    """Index; exit 1 when some pictures could not be read."""
    from detectors.factory import create_detector
    from gqa_reasoner.collection.indexing import index_folder
    from gqa_reasoner.collection.setup import plan_index
    from knowledge.store import TripleStore

    def progress(pictures: Sequence[Path]) -> Iterator[Path]:
        from tqdm import tqdm

        return iter(tqdm(pictures, unit="picture", disable=None))

    began, worked = time.perf_counter(), time.process_time()
    target = arguments.output or arguments.source / ".gqa-reasoner"
    plan = plan_index(
        target,
        detector=arguments.detector,
        encoder=arguments.encoder,
        captioner=arguments.recipe,
        captions=arguments.captions,
        calibration=arguments.calibration,
    )
    report = index_folder(
        arguments.source,
        target,
        lambda: create_detector(plan.detector),
        plan=plan,
        thumbnails=not arguments.no_thumbnails,
        progress=progress,
        store=TripleStore.default(),
        rehash=arguments.rehash,
    )
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    done = report.added + report.changed
    print(
        f"{target}: {report.added} added, {report.changed} changed, {report.renamed} renamed, "
        f"{report.removed} removed, {report.unchanged} unchanged, {report.completed} completed, "
        f"{len(report.failures)} unreadable; {done / max(seconds, 1e-9):.1f} pictures/s, "
        f"{done / max(work, 1e-9):.1f} a second of processor time",
        file=sys.stderr,
    )
    if arguments.calibrate is not None:
        from gqa_reasoner.collection.calibration import calibrate_index
        from gqa_reasoner.data.scene_graphs import iterate_scene_graphs

        truth = {
            scene.image_id: {item.name for item in scene.objects}
            for scene in iterate_scene_graphs(arguments.calibrate)
        }
        slope, offset = calibrate_index(target, truth)
        print(f"calibration: slope {slope:g}, offset {offset:g}", file=sys.stderr)
    for failure in report.failures[:20]:
        print(f"  {failure['reason']}", file=sys.stderr)
    return 1 if report.failures else 0
