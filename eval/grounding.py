"""Grounding: how much attention falls on the regions that question and answer name.

Legend: G cells per side of a spatial map. Boxes are (x1, y1, x2, y2) as shares of width and height.

`official` matches the official script: `map[i][j]` has i as the x cell and j as the y cell, every
named object counts once per mention (so a score can exceed 1), a question without pointers scores
0 and stays in the mean, and the whole-image region of scene questions is never added.
`corrected` reads the map as rows and columns, takes the union of the regions (those of
`annotations.answer` too) once, the whole picture for scene questions, attention scaled to sum 1,
and leaves questions without regions out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eval.errors import InputError
from eval.figures import Figure
from eval.json_stream import batches
from eval.problems import Problems, shown

__all__ = ["GroundingScorer", "corrected_grounding", "official_grounding"]

Box = tuple[float, float, float, float]


def official_grounding(cells: np.ndarray, weights: np.ndarray, regions: list[Box]) -> float:
    """Attention-weighted share of each cell that lies in a region, summed over the regions.

    Args:
        cells: (M, 4) boxes.
        weights: (M,) attention.
        regions: the named boxes, repeated where named twice.
    """
    if not regions:
        return 0.0
    region = np.asarray(regions, dtype=np.float64)
    low = np.maximum(cells[:, None, :2], region[None, :, :2])
    high = np.minimum(cells[:, None, 2:], region[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    size = np.prod(cells[:, 2:] - cells[:, :2], axis=1)
    return float((weights[:, None] * shared / size[:, None]).sum())


def corrected_grounding(cells: np.ndarray, weights: np.ndarray, regions: list[Box]) -> float | None:
    """Share of the attention inside the union of the regions; None without regions or attention."""
    total = float(weights.sum())
    if not regions or total <= 0:
        return None
    inside = 0.0
    for cell, weight in zip(cells.tolist(), weights.tolist(), strict=True):
        inside += weight * _covered(cell, regions)
    return inside / total


def _covered(cell: list[float], regions: list[Box]) -> float:
    """Share of a cell that the union of the regions covers (inclusion by coordinate grid)."""
    x1, y1, x2, y2 = cell
    parts = [(max(x1, a), max(y1, b), min(x2, c), min(y2, d)) for a, b, c, d in regions]
    parts = [p for p in parts if p[2] > p[0] and p[3] > p[1]]
    xs = sorted({x for p in parts for x in (p[0], p[2])})
    area = 0.0
    for left, right in itertools.pairwise(xs):
        spans = sorted((p[1], p[3]) for p in parts if p[0] <= left and p[2] >= right)
        height, end = 0.0, -math.inf
        for low, high in spans:
            height += max(0.0, high - max(low, end))
            end = max(end, high)
        area += (right - left) * height
    return area / ((x2 - x1) * (y2 - y1))


def spatial_cells(size: int, *, x_first: bool) -> np.ndarray:
    """(G·G, 4) cell boxes in the order of a flattened map; `x_first`: map[i][j] has i along x."""
    edge = 1.0 / size
    grid = [(i, j) if x_first else (j, i) for i in range(size) for j in range(size)]
    return np.array([(edge * x, edge * y, edge * (x + 1), edge * (y + 1)) for x, y in grid])


@dataclass(frozen=True)
class _Pointers:
    image: str
    official: tuple[str, ...]
    answer: tuple[str, ...]
    whole: bool


@dataclass
class GroundingScorer:
    """Collects pointers while questions stream by (`observe`), then reads graphs and attention."""

    map_size: int = 7
    pointers: dict[str, _Pointers] = field(default_factory=dict)
    official: dict[str, float] = field(default_factory=dict)
    corrected: dict[str, float] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def observe(self, identifier: str, record: Mapping[str, Any]) -> None:
        """Note which objects a balanced question and its answers name."""
        notes = record.get("annotations") or {}
        try:
            named = (*notes.get("question", {}).values(), *notes.get("fullAnswer", {}).values())
            answer = tuple(notes.get("answer", {}).values())
            arguments = [step["argument"].strip() for step in record.get("semantic") or ()]
            image = record["imageId"]
        except (KeyError, TypeError, AttributeError):
            what = "expected annotations with pointers to objects, imageId and semantic"
            self.problems.add("questions", identifier, "annotations", what)
            return
        self.pointers[identifier] = _Pointers(image, named, answer, "scene" in arguments)

    def score(self, attention: Path | Mapping[str, Any], scene_graphs: Path | Mapping) -> None:
        """Fill `official` and `corrected` per question.

        Args:
            attention: `[{"questionId", "attention"}]`, attention being a G x G map or a list of
                (x1, y1, x2, y2, weight) with coordinates from 0 to 1.
            scene_graphs: GQA scene graphs by image id.

        Raises:
            InputError: attention that is missing, NaN or of another shape; pictures without graph;
                pointers to absent objects. All lines, up to 20.
        """
        regions = self._regions(scene_graphs)
        self.problems.raise_if_any()
        source = "attention" if isinstance(attention, Mapping) else str(attention)
        for identifier, value in _attention_records(attention, self.problems):
            if identifier not in self.pointers:
                continue
            if identifier in self.official:
                self.problems.add(source, identifier, "questionId", "occurs twice")
                continue
            self.official[identifier] = 0.0
            parsed = self._parse(value, identifier, source)
            if parsed is not None:
                self._add(identifier, parsed, *regions[identifier])
        for identifier in self.pointers:
            if identifier not in self.official:
                self.problems.add(source, identifier, "", "no attention for this question")
        self.problems.raise_if_any()

    def _add(
        self,
        identifier: str,
        parsed: tuple[np.ndarray, np.ndarray, np.ndarray],
        named: list[Box],
        union: list[Box],
    ) -> None:
        cells, right_cells, weights = parsed
        self.official[identifier] = official_grounding(cells, weights, named)
        corrected = corrected_grounding(right_cells, weights, union)
        if corrected is not None:
            self.corrected[identifier] = corrected

    def _parse(
        self, value: Any, identifier: str, source: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """(official cells, cells read as rows and columns, weights) of one attention record."""
        size = self.map_size
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.zeros(0)
        if not np.isfinite(array).all():
            self.problems.add(source, identifier, "attention", "holds NaN or infinite values")
            return None
        if array.shape == (size, size):
            weights = array.reshape(-1)
            x_first = spatial_cells(size, x_first=True)
            return x_first, spatial_cells(size, x_first=False), weights
        if array.ndim == 2 and array.shape[1] == 5 and len(array):
            boxes = array[:, :4]
            if (boxes[:, 2:] > boxes[:, :2]).all():
                return boxes, boxes, array[:, 4]
            self.problems.add(source, identifier, "attention", "holds a box without area")
            return None
        got = f"shape {array.shape}" if array.size else shown(value)
        what = f"expected {size} x {size} numbers or rows of (x1, y1, x2, y2, weight), got {got}"
        self.problems.add(source, identifier, "attention", what)
        return None

    def _regions(self, scene_graphs: Path | Mapping) -> dict[str, tuple[list[Box], list[Box]]]:
        """Per question the named boxes (repeats kept) and the boxes of the corrected union."""
        wanted = {pointers.image for pointers in self.pointers.values()}
        boxes: dict[str, dict[str, Box]] = {}
        source = "scene graphs" if isinstance(scene_graphs, Mapping) else str(scene_graphs)
        parts = [scene_graphs] if isinstance(scene_graphs, Mapping) else batches(Path(scene_graphs))
        for batch in parts:
            if not isinstance(batch, Mapping):
                raise InputError(f"{source}: whole file: expected {{image id: graph}}")
            for image, graph in batch.items():
                if image in wanted:
                    boxes[image] = self._boxes(graph, image, source)
        result = {}
        for identifier, pointers in self.pointers.items():
            found = boxes.get(pointers.image)
            if found is None:
                self.problems.add(source, pointers.image, "", f"no graph (question {identifier})")
                continue
            absent = {p for p in pointers.official if p not in found}
            for pointer in sorted(absent):
                what = f"the object is not in the graph (question {identifier})"
                self.problems.add(source, pointers.image, pointer, what)
            if absent:
                continue
            named = [found[pointer] for pointer in pointers.official]
            union = named + [found[p] for p in pointers.answer if p in found]
            result[identifier] = named, [(0.0, 0.0, 1.0, 1.0)] if pointers.whole else union
        return result

    def _boxes(self, graph: Any, image: str, source: str) -> dict[str, Box]:
        try:
            width, height = graph["width"], graph["height"]
            return {
                name: (
                    float(o["x"]) / width,
                    float(o["y"]) / height,
                    float(o["x"] + o["w"]) / width,
                    float(o["y"] + o["h"]) / height,
                )
                for name, o in graph["objects"].items()
            }
        except (KeyError, TypeError, AttributeError, ZeroDivisionError):
            self.problems.add(source, image, "", "expected width, height and objects with boxes")
            return {}

    def figures(self) -> tuple[Figure, Figure]:
        """(official, corrected) means in percent."""
        return tuple(  # type: ignore[return-value]
            Figure(float(np.mean(list(part.values()))) * 100, len(part))
            if part
            else Figure(None, 0, "no question has regions and attention")
            for part in (self.official, self.corrected)
        )


def _attention_records(attention: Path | Mapping[str, Any], problems: Problems) -> Any:
    """(question id, attention) of a list of records or of an object by id."""
    if isinstance(attention, Mapping):
        yield from attention.items()
        return
    for batch in batches(Path(attention)):
        if isinstance(batch, dict):
            yield from batch.items()
            continue
        for number, record in enumerate(batch):
            try:
                yield record["questionId"], record["attention"]
            except (KeyError, TypeError):
                what = f'expected {{"questionId", "attention"}}, got {shown(record)}'
                problems.add(attention, f"record {number}", "", what)
