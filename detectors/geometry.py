"""Relations between boxes by geometry alone, for detectors that give none.

Boxes are (x1, y1, x2, y2) in pixels, y downwards. GQA lists "to the left of"/"to the right of"
for pairs that are clearly beside each other; the rules here do the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from detectors.scene import Relation, SceneObject

__all__ = ["geometric_relations", "overlap_over_smaller"]

Box = tuple[float, float, float, float]


def overlap_over_smaller(first: Box, second: Box) -> float:
    """Intersection area over the smaller box's area, 0..1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return float(width * height / max(min(areas), 1e-9))


def geometric_relations(objects: Sequence[SceneObject], width: int, height: int) -> list[Relation]:
    """Scored "to the left of", "to the right of", "above", "below", "near" and "on".

    Args:
        objects: the objects of one picture.
        width: picture width in pixels.
        height: picture height in pixels.

    Returns:
        Relations whose score is a confidence by margin, in 0..1; symmetric pairs both ways.
    """
    relations: list[Relation] = []
    diagonal = math.hypot(width, height) or 1.0
    for i, first in enumerate(objects):
        for second in objects[i + 1 :]:
            relations += _pair(first, second, diagonal)
    return relations


def _pair(first: SceneObject, second: SceneObject, diagonal: float) -> list[Relation]:
    (ax, ay), (bx, by) = first.centre, second.centre
    a, b = first.box, second.box
    relations: list[Relation] = []

    def both(predicate: str, inverse: str, score: float) -> None:
        relations.append(Relation(first.id, predicate, second.id, score))
        relations.append(Relation(second.id, inverse, first.id, score))

    dx, dy = bx - ax, by - ay
    spread_x = (a[2] - a[0] + b[2] - b[0]) / 2 or 1.0
    spread_y = (a[3] - a[1] + b[3] - b[1]) / 2 or 1.0
    aside = _sigmoid((abs(dx) / spread_x - 0.35) * 8)
    if aside > 0.3 and abs(dx) > 0.4 * abs(dy):
        left, right = "to the left of", "to the right of"
        both(*((left, right) if dx > 0 else (right, left)), aside)
    apart = _sigmoid((abs(dy) / spread_y - 0.6) * 8)
    if apart > 0.3 and abs(dy) > abs(dx):
        both(*(("above", "below") if dy > 0 else ("below", "above")), apart)
    gap = math.hypot(
        max(b[0] - a[2], a[0] - b[2], 0.0),
        max(b[1] - a[3], a[1] - b[3], 0.0),
    )
    near = _sigmoid((0.08 - gap / diagonal) * 50)
    if near > 0.5:
        both("near", "near", near)
    for upper, lower in ((first, second), (second, first)):
        resting = _rests_on(upper.box, lower.box)
        if resting > 0.3:
            relations.append(Relation(upper.id, "on", lower.id, resting))
    return relations


def _rests_on(upper: Box, lower: Box) -> float:
    """Confidence that `upper` stands on `lower`: its foot is in the lower's columns and body."""
    shared = min(upper[2], lower[2]) - max(upper[0], lower[0])
    columns = shared / max(upper[2] - upper[0], 1e-9)
    height = max(lower[3] - lower[1], 1e-9)
    foot = (upper[3] - lower[1]) / height
    if columns < 0.6 or not -0.05 <= foot <= 0.85 or upper[1] > lower[1] + 0.35 * height:
        return 0.0
    return float(min(columns, 1.0) * (1 - abs(foot - 0.35) / 1.2) * 0.9)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(min(value, 40.0), -40.0)))
