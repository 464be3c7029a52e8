"""Region features of many pictures, in parts that survive a kill at any moment.

The pictures are listed once, sorted, and cut into parts of fixed size; the list is kept beside
the parts. A finished part is one file, put in place by a rename, so a killed run resumes after
its last whole part and ends with the same content as a run that was never stopped.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from detectors.extraction_parts import Parts, make_here, make_in_processes
from detectors.features.own_h5 import write_region_file
from detectors.features.protocol import RegionFeatures
from detectors.picture_lists import PICTURE_SUFFIXES, list_pictures
from detectors.protocol import Detector

__all__ = [
    "ENGINES",
    "PICTURE_SUFFIXES",
    "ExtractionReport",
    "extract",
    "failures_file",
    "list_pictures",
]

ENGINES = ("local", "ray")


@dataclass
class ExtractionReport:
    """What became of the pictures."""

    pictures: int
    written: int
    failures: list[dict[str, str]]
    """`{"image", "reason"}` of each picture that could not be read."""


def extract(
    source: str | Path,
    target: str | Path,
    create_detector: Callable[[], Detector],
    *,
    part_size: int = 32,
    half: bool = False,
    detector_name: str = "",
    workers: int = 1,
    engine: str = "local",
    ray_address: str | None = None,
    progress: Callable[[Iterator[int], int, int], Iterator[int]] | None = None,
) -> ExtractionReport:
    """Extract region features of `source` into one region file.

    Args:
        source: folder of pictures, webdataset tar, or text file listing pictures.
        target: the `.h5` to write; `TARGET.parts/` holds the work in progress, and
            `TARGET.failures.jsonl` names pictures that could not be read.
        create_detector: makes the detector, in each worker; picklable if there are several.
        part_size: pictures a part, the most that a kill can lose a worker.
        half: store float16.
        detector_name: noted in the file.
        workers: processes; 1 works in this one.
        engine: `local` or `ray`.
        ray_address: of a running Ray cluster; None starts one here.
        progress: wraps the finished parts, given how many were there and will be (e.g. tqdm).

    Raises:
        InputError: no pictures, or the parts beside `target` belong to another list.
    """
    place = Path(target)
    folder = place.with_name(place.name + ".parts")
    pictures = list_pictures(source)
    plan = {"pictures": [asdict(item) for item in pictures], "part_size": part_size,
            "detector": detector_name}  # fmt: skip
    _check_plan(folder, plan)
    numbers = range((len(pictures) + part_size - 1) // part_size)
    missing = [
        (number, pictures[number * part_size : (number + 1) * part_size])
        for number in numbers
        if not _part_path(folder, number).exists()
    ]
    if missing:
        steps = _make(folder, missing, create_detector, workers, engine, ray_address)
        if progress is not None:
            steps = progress(steps, len(numbers) - len(missing), len(numbers))
        for _ in steps:
            pass
    failures: list[dict[str, str]] = []
    written = write_region_file(
        place,
        _read_parts(folder, numbers, failures),
        half=half,
        attributes={"detector": detector_name},
    )
    failures_file(place).write_text(
        "".join(json.dumps(item) + "\n" for item in failures), encoding="utf-8"
    )
    shutil.rmtree(folder)
    return ExtractionReport(len(pictures), written, failures)


def _make(
    folder: Path,
    missing: Parts,
    create_detector: Callable[[], Detector],
    workers: int,
    engine: str,
    ray_address: str | None,
) -> Iterator[int]:
    """Make the missing parts and put them in place; yields the number of each."""
    if engine == "ray":
        from detectors.extraction_ray import make_on_ray

        made = make_on_ray(missing, create_detector, workers, address=ray_address)
    elif engine != "local":
        raise InputError(f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}")
    elif workers > 1:
        made = make_in_processes(missing, create_detector, min(workers, len(missing)))
    else:
        made = make_here(missing, create_detector)
    for number, data in made:
        side = folder / f"writing-{number:06d}-{os.getpid()}.npz"
        side.write_bytes(data)
        side.replace(_part_path(folder, number))
        yield number


def _check_plan(folder: Path, plan: dict[str, object]) -> None:
    place = folder / "plan.json"
    if place.is_file():
        if json.loads(place.read_text(encoding="utf-8")) != plan:
            raise InputError(
                f"{folder}: holds the parts of another run (other pictures, part size or "
                "detector); remove it to start anew"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    side = place.with_suffix(".writing")
    side.write_text(json.dumps(plan), encoding="utf-8")
    side.replace(place)


def _part_path(folder: Path, part: int) -> Path:
    return folder / f"part-{part:06d}.npz"


def failures_file(target: Path) -> Path:
    """Where `extract` lists the pictures that it could not read: OUT.failures.jsonl of OUT.h5."""
    return target.with_name(target.name.removesuffix(".h5") + ".failures.jsonl")


def _read_parts(
    folder: Path, parts: range, failures: list[dict[str, str]]
) -> Iterator[RegionFeatures]:
    for part in parts:
        with np.load(_part_path(folder, part), allow_pickle=False) as saved:
            for position, record in enumerate(json.loads(str(saved["records"]))):
                if "reason" in record:
                    failures.append(record)
                    continue
                names = ("scores", "class_ids")
                yield RegionFeatures(
                    record["image_id"],
                    record["width"],
                    record["height"],
                    saved[f"{position}/features"],
                    saved[f"{position}/boxes"],
                    {
                        name: saved[f"{position}/{name}"]
                        for name in names
                        if f"{position}/{name}" in saved
                    },
                )
