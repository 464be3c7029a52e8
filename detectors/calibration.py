"""Temperatures and score threshold of a detector from pictures with known truth.

Temperature scaling (Guo et al. 2017): logits are divided by the T that makes the truth most
probable; it never changes which class of a region is the best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.evaluation import match_objects
from detectors.scene import Scene

__all__ = ["Calibration", "calibrate", "expected_calibration_error"]

from typing import NamedTuple

_GRID = np.geomspace(0.4, 4.0, 61)
_TINY = 1e-9


class Calibration(NamedTuple):
    """Result of `calibrate`; temperatures relative to those the scenes were made with."""

    class_temperature: float
    attribute_temperature: float
    relation_temperature: float
    score_threshold: float
    """Where precision and recall of objects have the best harmonic mean."""


def calibrate(truth: Sequence[Scene], predicted: Sequence[Scene]) -> Calibration:
    """Fit on predictions made with a low score threshold and dense arrays."""
    rows, right, objects = [], [], 0
    attribute_logits, attribute_truth = [], []
    relation_logits, relation_truth = [], []
    for scene, guess in zip(truth, predicted, strict=True):
        pairs = match_objects(scene, guess)
        objects += len(scene.objects)
        if (
            guess.class_probabilities is None
            or guess.attribute_probabilities is None
            or guess.relation_probabilities is None
            or not guess.objects
        ):
            continue
        hit = np.zeros(len(guess.objects), dtype=bool)
        hit[[row for _, row in pairs]] = True
        rows.append(guess.class_probabilities)
        right.append(hit)
        names = guess.vocabulary
        for true_row, row in pairs:
            attribute_logits.append(_logit(guess.attribute_probabilities[row]))
            listed = scene.objects[true_row].attributes
            attribute_truth.append([name in listed for name in names.attributes])
        wanted = {(r.subject, r.predicate, r.object) for r in scene.relations}
        for first, i in pairs:
            for second, j in pairs:
                if i != j:
                    relation_logits.append(_logit(guess.relation_probabilities[i, j]))
                    ids = scene.objects[first].id, scene.objects[second].id
                    relation_truth.append(
                        [(ids[0], name, ids[1]) in wanted for name in names.predicates]
                    )
    if not rows:
        return Calibration(1.0, 1.0, 1.0, 0.3)
    probabilities, hits = np.concatenate(rows), np.concatenate(right)
    class_temperature = float(
        min(_GRID, key=lambda t: _cross_entropy(_rescaled(probabilities, t), hits))
    )
    scores = _rescaled(probabilities, class_temperature)
    return Calibration(
        class_temperature,
        _binary_temperature(attribute_logits, attribute_truth),
        _binary_temperature(relation_logits, relation_truth),
        _best_threshold(scores, hits, objects),
    )


def _rescaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Scores of the best class (N,) after dividing the logits by `temperature`."""
    background = np.clip(1 - probabilities.sum(axis=1, keepdims=True), _TINY, 1)
    logits = np.log(np.clip(np.concatenate([probabilities, background], axis=1), _TINY, 1))
    logits = logits / temperature
    logits -= logits.max(axis=1, keepdims=True)
    scaled = np.exp(logits)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled[:, :-1].max(axis=1)


def _cross_entropy(probability: np.ndarray, truth: np.ndarray) -> float:
    probability = np.clip(probability, _TINY, 1 - _TINY)
    return float(-np.mean(np.where(truth, np.log(probability), np.log1p(-probability))))


def _logit(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability.astype(np.float64), _TINY, 1 - _TINY)
    return np.log(clipped) - np.log1p(-clipped)


def _binary_temperature(logits: list[np.ndarray], truth: list[list[bool]]) -> float:
    if not logits:
        return 1.0
    values, wanted = np.array(logits), np.array(truth, dtype=bool)
    return float(min(_GRID, key=lambda t: _cross_entropy(1 / (1 + np.exp(-values / t)), wanted)))


def _best_threshold(scores: np.ndarray, hits: np.ndarray, objects: int) -> float:
    """Threshold from 0.05 to 0.7 with the best harmonic mean of precision and recall."""

    def harmonic_mean(threshold: float) -> float:
        kept = scores >= threshold
        return 2 * float(hits[kept].sum()) / max(float(kept.sum() + objects), 1.0)

    grid = np.round(np.arange(0.05, 0.71, 0.05), 2)
    return float(max(grid, key=lambda value: (harmonic_mean(float(value)), -value)))


def expected_calibration_error(
    truth: Sequence[Scene], predicted: Sequence[Scene], bins: int = 10
) -> float:
    """Mean distance between score and precision of objects over equal bins of the score."""
    scores, hits = [], []
    for scene, guess in zip(truth, predicted, strict=True):
        matched = {row for _, row in match_objects(scene, guess)}
        for row, item in enumerate(guess.objects):
            scores.append(item.score)
            hits.append(row in matched)
    if not scores:
        return 0.0
    values, right = np.array(scores), np.array(hits)
    place = np.minimum((values * bins).astype(int), bins - 1)
    total = 0.0
    for number in range(bins):
        inside = place == number
        if inside.any():
            total += inside.mean() * abs(values[inside].mean() - right[inside].mean())
    return float(total)
