"""GQA scene-graph files and choices files, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.data.questions import _items, write_json_items

__all__ = [
    "find_scene_graph",
    "iterate_choices",
    "iterate_scene_graphs",
    "read_choices",
    "read_scene_graphs",
    "write_scene_graphs",
]

OnProblem = Literal["refuse", "repair"]


def iterate_scene_graphs(
    path: str | Path,
    *,
    on_problem: OnProblem = "refuse",
    problems: list[str] | None = None,
) -> Iterator[Scene]:
    """Yield the scenes of a scene-graph file, one at a time.

    Args:
        path: file, or folder of files, mapping image ids to scene graphs.
        on_problem: refuse dangling relations and negative boxes, or repair and note them.
        problems: receives one line for each repair.

    Raises:
        InputError: unreadable file or record; one line naming file, image, object and field.
    """
    for image_id, record in _items(path):
        yield Scene.from_gqa(
            record, image_id, source=str(path), on_problem=on_problem, problems=problems
        )


def read_scene_graphs(path: str | Path, **options: Any) -> dict[str, Scene]:
    """All scenes by image id; see `iterate_scene_graphs`."""
    return {scene.image_id: scene for scene in iterate_scene_graphs(path, **options)}


def find_scene_graph(path: str | Path, image_id: str) -> Scene:
    """The scene of one image, reading no further than needed.

    Raises:
        InputError: the file has no such image.
    """
    count = 0
    for key, record in _items(path):
        count += 1
        if key == image_id:
            return Scene.from_gqa(record, key, source=str(path))
    raise InputError(f"{path}: no image {image_id!r} among its {count} scene graphs")


def write_scene_graphs(path: str | Path, scenes: Iterable[Scene]) -> int:
    """Write scenes as one GQA scene-graph file, streaming; returns how many."""
    return write_json_items(path, ((scene.image_id, scene.to_gqa()) for scene in scenes))


def iterate_choices(path: str | Path) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Yield (question id, `{"valid": answers, "plausible": answers}`) of a choices file.

    Raises:
        InputError: a record is not of that form.
    """
    for question_id, record in _items(path):
        for key in ("valid", "plausible"):
            values = record.get(key) if isinstance(record, dict) else None
            if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
                raise InputError(
                    f"{path}: question {question_id}: field {key!r} must be a list of strings"
                )
        yield question_id, record


def read_choices(path: str | Path) -> dict[str, dict[str, list[str]]]:
    """All choices by question id; see `iterate_choices`."""
    return dict(iterate_choices(path))
