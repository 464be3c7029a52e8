"""The trace of an execution: per step, in words and with boxes, what it rests on.

As records for JSON (`build_trace`), as text (`format_trace`) and as a picture (`render_overlay`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from detectors.scene import Scene
from gqa_reasoner.program.execution import Execution
from gqa_reasoner.program.overlay import render_overlay
from gqa_reasoner.program.steps import Program, display_step

__all__ = ["build_trace", "format_trace", "render_overlay"]

SHARE_SHOWN = 0.3
"""Objects below this share of a step's best weight are left out."""
LEAST_SHOWN = 0.05
"""A step whose best object weighs less rests on nothing."""


def build_trace(
    program: Program, execution: Execution, scene: Scene, *, most: int = 5
) -> list[dict[str, Any]]:
    """One record per step: `{"step", "objects": [{"name", "box", "weight"}], ...}`.

    A step that describes no objects itself (query, verify, …) shows those it asks about.
    `truth` is added for steps that are true or false, `answer` for the last one.

    Args:
        program: the program that was executed.
        execution: its result on the scene.
        scene: the scene; boxes are (x1, y1, x2, y2) in pixels of the original picture.
        most: at most so many objects a step, heaviest first.
    """
    trace = []
    for place, step in enumerate(program.steps):
        weights = _weights_of(program, execution, place)
        record: dict[str, Any] = {
            "step": display_step(step, place),
            "objects": list(_shown(scene, weights, most)),
        }
        if (truth := execution.results[place].truth) is not None:
            record["truth"] = round(float(truth), 4)
        if place == len(program.steps) - 1:
            record["answer"] = execution.answer
        trace.append(record)
    return trace


def _weights_of(program: Program, execution: Execution, place: int) -> np.ndarray:
    """Weights (N,) of the objects a step finds, or else of those it asks about."""
    result = execution.results[place]
    if result.weights is not None:
        if not result.weights.any() and result.referent is not None and result.presence > 0:
            return result.referent
        return result.weights
    total = np.zeros(execution.size)
    for dependency in program.steps[place].dependencies:
        source = execution.results[dependency]
        if source.truth is None:  # and/or combine truths, not objects
            total = np.maximum(total, _weights_of(program, execution, dependency))
    return total


def _shown(scene: Scene, weights: np.ndarray, most: int) -> Iterator[dict[str, Any]]:
    if weights.size == 0 or weights.max() < LEAST_SHOWN:
        return
    floor = SHARE_SHOWN * float(weights.max())
    for place in np.argsort(-weights, kind="stable")[:most]:
        if weights[place] >= floor:
            item = scene.objects[int(place)]
            yield {
                "name": item.name,
                "box": [round(float(value), 1) for value in item.box],
                "weight": round(float(weights[place]), 4),
            }


def format_trace(trace: Sequence[Mapping[str, Any]]) -> str:
    """The trace as numbered lines: step, objects with weight and box, truth."""
    lines = []
    for place, record in enumerate(trace):
        line = f"{place}. {record['step']}"
        found = ", ".join(
            f"{item['name']} {item['weight']:.2f} [{' '.join(f'{v:.0f}' for v in item['box'])}]"
            for item in record["objects"]
        )
        if found:
            line += f"  ⇒ {found}"
        if "truth" in record:
            line += f"  ({'yes' if record['truth'] >= 0.5 else 'no'} {record['truth']:.2f})"
        lines.append(line)
    return "\n".join(lines)
