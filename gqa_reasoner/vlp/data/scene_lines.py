"""A detector's scenes of a caption file's pictures as JSON lines; killed, it goes on later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.pictures import PictureSource
    from gqa_reasoner.vlp.data.records import CaptionRecord

__all__ = ["SceneReport", "write_scene_lines"]


@dataclass
class SceneReport:
    """How many scenes the file holds, how many are new, and which pictures could not be read."""

    scenes: int = 0
    new: int = 0
    objects: int = 0
    failures: list[str] = field(default_factory=list)


def write_scene_lines(
    output: Path,
    source: PictureSource,
    records: Sequence[CaptionRecord],
    detector: Callable[[], Any],
    settings: dict[str, Any],
    *,
    batch_size: int = 8,
    progress: Callable[[range], Iterator[int]] | None = None,
) -> SceneReport:
    """Append the scene of every picture that `output` has none of yet.

    `OUTPUT.made.json` beside it says how the scenes were made.

    Args:
        output: one `detect --json` record a line; the last line may be half-written.
        detector: opens it; called only where there is something to do.
        settings: what the scenes depend on; those of a file that is gone on with must be equal.

    Raises:
        InputError: pictures that are absent, a file made with other settings, or a damaged line.
    """
    absent = source.missing([record.image for record in records])
    if absent:
        raise InputError(
            f"{source.path}: {len(absent)} of {len(records)} pictures of the captions are not "
            f"there: {', '.join(absent[:3])}"
        )
    report = SceneReport()
    done = _known(output, settings, report)
    todo = [record for record in records if record.image_id not in done]
    if not todo:
        return report
    found = detector()
    starts = range(0, len(todo), batch_size)
    with output.open("a", encoding="utf-8") as stream:
        for start in progress(starts) if progress else starts:
            pictures, ids = [], []
            for record in todo[start : start + batch_size]:
                try:
                    pictures.append(source.read(record.image))
                    ids.append(record.image_id)
                except InputError as error:
                    report.failures.append(str(error))
            scenes = found.detect(pictures, ids) if pictures else []
            stream.writelines(json.dumps(scene.to_json()) + "\n" for scene in scenes)
            stream.flush()
            report.new += len(scenes)
            report.objects += sum(len(scene.objects) for scene in scenes)
    report.scenes += report.new
    return report


def _known(output: Path, settings: dict[str, Any], report: SceneReport) -> set[str]:
    """Ids of the scenes that are there; a half-written last line is cut off."""
    made = output.with_name(output.name + ".made.json")
    if not output.exists():
        output.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        return set()
    before = json.loads(made.read_text(encoding="utf-8")) if made.is_file() else None
    if before != settings:
        raise InputError(f"{output}: made with {before}, asked for {settings}; give another output")
    data = output.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with output.open("r+b") as stream:
            stream.truncate(whole)
    done = set()
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            record = json.loads(line)
            done.add(str(record["image_id"]))
            report.objects += len(record["objects"])
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{output}: line {number}: not a scene") from None
    report.scenes = len(done)
    return done
