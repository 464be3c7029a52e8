"""Which of two objects is older, bigger, higher, healthier, …: a measure per object."""

from __future__ import annotations

import numpy as np

from gqa_reasoner.program.evidence import Evidence
from gqa_reasoner.program.geometry import relative_size
from gqa_reasoner.program.operations import Comparison

__all__ = ["more_probability"]

_ATTRIBUTE_SCALES: dict[str, dict[str, float]] = {
    "size": {"tiny": -2, "small": -1, "little": -1, "big": 1, "large": 1, "huge": 2, "giant": 2},
    "length": {"short": -1, "long": 1, "tall": 1},
    "age": {"young": -1, "little": -1, "old": 1},
    "elevation": {"low": -1, "high": 1},
    "health": {"unhealthy": -1, "healthy": 1},
}
_CATEGORY_SCALES: dict[str, dict[str, float]] = {
    "health": {
        **{"fruit": 1.0, "vegetable": 1.0, "salad": 1.0, "water": 0.5, "fish": 0.5},
        **{"dessert": -1.0, "fast food": -1.0, "candy": -1.0, "soda": -1.0, "alcohol": -1.0},
    },
}
_BOX_SHARE = 0.5
"""Boxes decide where attributes do not; where they do, boxes count little."""
_SLOPE = {"elevation": 0.02, "size": 2.0, "length": 2.0}


def more_probability(
    evidence: Evidence, one: np.ndarray, other: np.ndarray, comparison: Comparison
) -> tuple[float, bool]:
    """P(the first description's object has more of the dimension) and whether anything told it.

    Args:
        evidence: the scene.
        one: weights of the first description over the objects, sum 1, (N,).
        other: weights of the second, (N,).
        comparison: dimension and sign.
    """
    measure = _measure(evidence, comparison.dimension)
    stated = measure[:, None] - measure[None, :]
    logits = 4.0 * stated
    if comparison.dimension in _SLOPE:
        size = relative_size(evidence.boxes, comparison.dimension)
        boxes = _SLOPE[comparison.dimension] * (size[:, None] - size[None, :])
        logits = np.where(np.abs(stated) > _BOX_SHARE, logits, boxes + logits)
    pairs = 1 / (1 + np.exp(-np.clip(comparison.sign * logits, -30, 30)))
    probability = float(one @ pairs @ other)
    return probability, abs(probability - 0.5) > 1e-3


def _measure(evidence: Evidence, dimension: str) -> np.ndarray:
    """What attributes and names say about a dimension, (N,)."""
    total = np.zeros(evidence.size)
    attribute_type = dimension if dimension in ("size", "length", "age") else None
    for word, value in _ATTRIBUTE_SCALES.get(dimension, {}).items():
        weights = evidence.attribute(word, attribute_type)
        if not evidence.hard:  # a prior or a low score says nothing
            weights = np.where(weights > 0.4, weights, 0.0)
        total += value * weights
    for word, value in _CATEGORY_SCALES.get(dimension, {}).items():
        total += value * evidence.name(word)
    return total
