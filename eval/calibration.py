"""Expected calibration error (Naeini et al. 2015; Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.errors import InputError

__all__ = ["Calibration", "calibration"]


@dataclass(frozen=True)
class Calibration:
    """ECE = Σ_bins share of the bin · |accuracy - confidence|, with bins of equal width."""

    error: float
    """0 to 1."""
    maximum: float
    """The largest gap of a bin that holds predictions."""
    edges: np.ndarray
    """(B + 1,)"""
    count: np.ndarray
    """(B,)"""
    accuracy: np.ndarray
    """(B,) NaN where a bin is empty."""
    confidence: np.ndarray
    """(B,) NaN where a bin is empty."""


def calibration(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> Calibration:
    """Compare confidences with rights; bin b holds the confidences in (b/B, (b+1)/B].

    Args:
        confidence: (Q,) in [0, 1].
        correct: (Q,) bool.
        bins: B.

    Raises:
        InputError: no values, other lengths, confidences outside 0 to 1 or NaN.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    correct = np.asarray(correct, dtype=np.float64)
    if not len(confidence) or len(confidence) != len(correct):
        raise InputError(f"calibration: {len(confidence)} confidences, {len(correct)} answers")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise InputError("calibration: confidences must lie between 0 and 1")
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        accuracy = np.bincount(place, correct, bins) / count
        mean = np.bincount(place, confidence, bins) / count
    gap = np.abs(accuracy - mean)
    filled = count > 0
    error = float((gap[filled] * count[filled]).sum() / len(confidence))
    edges = np.linspace(0, 1, bins + 1)
    return Calibration(error, float(gap[filled].max()), edges, count, accuracy, mean)
