"""Region features of many pictures, in parts that survive a kill at any moment.

The pictures are listed once, sorted, and cut into parts of fixed size; the list is kept beside
the parts. A finished part is one file, put in place by a rename, so a killed run resumes after
its last whole part and ends with the same content as a run that was never stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from detectors.features.own_h5 import write_region_file
from detectors.features.protocol import RegionFeatures
from detectors.protocol import Detector
from detectors.scene import Scene

__all__ = ["PICTURE_SUFFIXES", "ExtractionReport", "extract", "list_pictures"]

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass
class ExtractionReport:
    """What became of the pictures."""

    pictures: int
    written: int
    failures: list[dict[str, str]]
    """`{"image", "reason"}` of each picture that could not be read."""


def list_pictures(source: str | Path) -> list[Path]:
    """Pictures of a folder (recursively) or of a text file with one path a line, sorted.

    Raises:
        InputError: nothing there, or no picture in it.
    """
    place = Path(source)
    if place.is_dir():
        found = sorted(item for item in place.rglob("*") if item.suffix.lower() in PICTURE_SUFFIXES)
    elif place.is_file():
        lines = place.read_text(encoding="utf-8").splitlines()
        found = sorted({Path(line.strip()) for line in lines if line.strip()})
    else:
        raise InputError(f"{place}: no such folder or list of pictures")
    if not found:
        raise InputError(f"{place}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    ids: dict[str, Path] = {}
    for item in found:
        if item.stem in ids:
            raise InputError(f"{place}: {ids[item.stem]} and {item} give the same image id")
        ids[item.stem] = item
    return found


def extract(
    source: str | Path,
    target: str | Path,
    create_detector: Callable[[], Detector],
    *,
    part_size: int = 32,
    half: bool = False,
    detector_name: str = "",
    progress: Callable[[Sequence[int], int], Iterator[int]] | None = None,
) -> ExtractionReport:
    """Extract region features of `source` into one region file.

    Args:
        source: folder of pictures, or a text file listing them.
        target: the `.h5` to write; `TARGET.parts/` holds the work in progress, and
            `TARGET.failures.jsonl` names pictures that could not be read.
        create_detector: makes the detector; called only if work is left.
        part_size: pictures a part, the most that a kill can lose.
        half: store float16.
        detector_name: noted in the file.
        progress: wraps the part numbers still to do, given the total, e.g. with tqdm.

    Raises:
        InputError: no pictures, or the parts beside `target` belong to another list.
    """
    place = Path(target)
    folder = place.with_name(place.name + ".parts")
    pictures = list_pictures(source)
    plan = {"pictures": [str(item) for item in pictures], "part_size": part_size,
            "detector": detector_name}  # fmt: skip
    _check_plan(folder, plan)
    parts = range((len(pictures) + part_size - 1) // part_size)
    missing = [part for part in parts if not _part_path(folder, part).exists()]
    if missing:
        detector = create_detector()
        steps = progress(missing, len(parts)) if progress is not None else iter(missing)
        for part in steps:
            chosen = pictures[part * part_size : (part + 1) * part_size]
            _write_part(folder, part, chosen, detector)
    failures: list[dict[str, str]] = []
    written = write_region_file(
        place,
        _read_parts(folder, parts, failures),
        half=half,
        attributes={"detector": detector_name},
    )
    report = place.with_name(place.name.removesuffix(".h5") + ".failures.jsonl")
    report.write_text("".join(json.dumps(item) + "\n" for item in failures), encoding="utf-8")
    shutil.rmtree(folder)
    return ExtractionReport(len(pictures), written, failures)


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


def _write_part(folder: Path, part: int, pictures: Sequence[Path], detector: Detector) -> None:
    arrays: dict[str, np.ndarray] = {}
    records: list[dict[str, object]] = []
    for picture in pictures:
        try:
            scene = detector.detect([picture])[0]
        except InputError as error:
            records.append({"image": str(picture), "reason": str(error)})
            continue
        position = len(records)
        records.append({"image_id": picture.stem, "width": scene.width, "height": scene.height})
        for name, values in _arrays(scene).items():
            arrays[f"{position}/{name}"] = values
    arrays["records"] = np.array(json.dumps(records))
    side = folder / f"writing-{part:06d}.npz"
    with side.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    side.replace(_part_path(folder, part))


def _arrays(scene: Scene) -> dict[str, np.ndarray]:
    if scene.features is None:
        raise InputError(
            f"image {scene.image_id}: the detector {scene.detector} gives no region features"
        )
    scores = np.array([item.score for item in scene.objects], dtype=np.float32)
    arrays = {
        "features": scene.features.astype(np.float32),
        "boxes": scene.boxes(),
        "scores": scores,
    }
    if scene.class_probabilities is not None:
        arrays["class_ids"] = scene.class_probabilities.argmax(axis=1).astype(np.int64)
    return arrays


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
