"""From a detector's scores to probabilities, fitted on pictures whose objects are known.

p = sigmoid(slope * logit(score) + offset) for each object (Platt 1999), and a picture shows a name
with 1 - prod(1 - p) over its objects of that name. Slope and offset make the known answers to
"does this picture show a NAME?" most likely, over the pairs for which there is any object at all.

Legend: K pairs of picture and name, S scores of all of them, flat; starts (K,) into S.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.collection.database import open_collection, read_settings, write_settings

__all__ = ["calibrate_index", "fit_calibration", "shown_names"]

_LEAST = 50
"""Pairs needed for a fit."""
_RIDGE = 1e-3


def fit_calibration(
    scores: np.ndarray, starts: np.ndarray, truth: np.ndarray
) -> tuple[float, float]:
    """Slope and offset.

    Args:
        scores: (S,) in 0..1, those of one pair side by side.
        starts: (K,) where each pair's begin, ascending.
        truth: (K,) whether the picture shows the name.

    Raises:
        InputError: fewer than 50 pairs, or all of one kind.
    """
    if len(starts) < _LEAST or truth.all() or not truth.any():
        raise InputError(
            f"calibration: needs at least {_LEAST} pairs of picture and name, some of them wrong; "
            f"got {len(starts)}, {int(truth.sum())} right"
        )
    clipped = np.clip(scores.astype(np.float64), 1e-4, 1 - 1e-4)
    logits = np.log(clipped / (1 - clipped))

    def loss(slope: float, offset: float) -> float:
        missing = -np.logaddexp(0, slope * logits + offset)  # log(1 - p) of each object
        none = np.add.reduceat(missing, starts)
        there = np.log(-np.expm1(np.minimum(none, -1e-12)))
        likelihood = np.where(truth, there, none).mean()
        return -float(likelihood) + _RIDGE * (np.log(slope) ** 2 + 0.1 * offset**2)

    slope, offset, width = 1.0, 0.0, 1.0
    for _ in range(12):
        grid = [
            (slope * np.exp(width * i / 4), offset + 2.5 * width * j / 4)
            for i in range(-4, 5)
            for j in range(-4, 5)
        ]
        slope, offset = min(grid, key=lambda pair: loss(*pair))
        width *= 0.6
    return round(float(slope), 4), round(float(offset), 4)


def shown_names(
    folder: str | Path, truth: Mapping[str, Set[str]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `fit_calibration` needs, from an index and the names that its pictures show.

    Args:
        folder: the index.
        truth: by picture id the names of all objects that are there.
    """
    rows = open_collection(folder).execute(
        "SELECT i.image_id, t.text, list(o.score) FROM objects o "
        "JOIN images i ON i.image = o.image JOIN terms t ON t.code = o.name "
        "GROUP BY i.image_id, t.text ORDER BY i.image_id, t.text"
    ).fetchall()  # fmt: skip
    chosen = [row for row in rows if row[0] in truth]
    sizes = [len(row[2]) for row in chosen]
    starts = np.cumsum([0, *sizes[:-1]], dtype=np.int64)[: len(sizes)]
    scores = np.array([score for row in chosen for score in row[2]])
    return scores, starts, np.array([row[1] in truth[row[0]] for row in chosen], bool)


def calibrate_index(folder: str | Path, truth: Mapping[str, Set[str]]) -> tuple[float, float]:
    """Fit slope and offset on an index's own pictures and keep them with it.

    Raises:
        InputError: no index, or too few pictures of it are in `truth`.
    """
    found = fit_calibration(*shown_names(folder, truth))
    settings = read_settings(folder)
    write_settings(Path(folder), {**settings, "calibration": list(found)})
    return found
