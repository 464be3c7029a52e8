"""What boxes alone say: relations of pairs, places in the picture, sizes.

Legend: N objects; boxes (N, 4) are (x1, y1, x2, y2) in pixels, y downwards.
Pair matrices are (N, N): entry [i, j] is the probability of "object i KIND object j"; the diagonal
is zero. They stand in where a detector gives no relations; annotated relations come first.
"""

from __future__ import annotations

import numpy as np

__all__ = ["horizontal_place", "pair_relation", "relative_size", "vertical_place"]

_SHARP = 8.0
"""Slope of the soft thresholds; box coordinates are good to a few per cent of an object's size."""


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0)))


def _parts(boxes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Centres x, y and sizes w, h, each (N,); sizes at least one pixel."""
    x1, y1, x2, y2 = boxes.T
    return (x1 + x2) / 2, (y1 + y2) / 2, np.maximum(x2 - x1, 1.0), np.maximum(y2 - y1, 1.0)


def _intersection(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlap widths, heights (negative: gaps) and areas of all pairs, each (N, N)."""
    x1, y1, x2, y2 = boxes.T
    width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    return width, height, np.maximum(width, 0) * np.maximum(height, 0)


def pair_relation(boxes: np.ndarray, kind: str) -> np.ndarray:
    """P(object i KIND object j) for a kind of `predicates.spatial_kind`, or `contact`.

    Returns:
        (N, N) float64, zero diagonal.
    """
    if len(boxes) == 0:
        return np.zeros((0, 0))
    boxes = boxes.astype(np.float64)
    matrix = _PAIRS[kind](boxes)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _left(boxes: np.ndarray) -> np.ndarray:
    x, _, w, _ = _parts(boxes)
    shift = (x[None, :] - x[:, None]) / ((w[:, None] + w) / 2)
    return _sigmoid(_SHARP * (shift - 0.35))


def _above(boxes: np.ndarray) -> np.ndarray:
    x, y, w, h = _parts(boxes)
    shift = (y[None, :] - y[:, None]) / ((h[:, None] + h) / 2)
    apart = np.abs(x[None, :] - x[:, None]) / ((w[:, None] + w) / 2)
    return _sigmoid(_SHARP * (shift - 0.5)) * _sigmoid(_SHARP * (1.2 - apart))


def _on(boxes: np.ndarray) -> np.ndarray:
    """i stands on j: i's lower edge within j's upper part, i mostly within j's width."""
    _, _, w, h = _parts(boxes)
    width, _, _ = _intersection(boxes)
    bottom, top = boxes[:, 3][:, None], boxes[:, 1][None, :]
    depth = (bottom - top) / h[None, :]
    inside = width / w[:, None]
    higher = (boxes[:, 1][None, :] - boxes[:, 1][:, None]) / h[:, None]
    touching = _sigmoid(_SHARP * (depth + 0.25)) * _sigmoid(_SHARP * (1.15 - depth))
    return touching * _sigmoid(_SHARP * (inside - 0.5)) * _sigmoid(_SHARP * (higher + 0.3))


def _in(boxes: np.ndarray) -> np.ndarray:
    _, _, w, h = _parts(boxes)
    _, _, area = _intersection(boxes)
    covered = area / (w * h)[:, None]
    smaller = (w * h)[:, None] / (w * h)[None, :]
    return _sigmoid(_SHARP * (covered - 0.75)) * _sigmoid(_SHARP * (0.8 - smaller))


def _near(boxes: np.ndarray) -> np.ndarray:
    _, _, w, h = _parts(boxes)
    width, height, _ = _intersection(boxes)
    gap = np.hypot(np.maximum(-width, 0), np.maximum(-height, 0))
    scale = (np.sqrt(w * h)[:, None] + np.sqrt(w * h)[None, :]) / 2 + 1.0
    return _sigmoid(4.0 * (0.75 - gap / scale))


def _front(boxes: np.ndarray) -> np.ndarray:
    """i in front of j: overlapping, and i's lower edge is lower (nearer to the viewer)."""
    _, _, _, h = _parts(boxes)
    lower = (boxes[:, 3][:, None] - boxes[:, 3][None, :]) / ((h[:, None] + h) / 2)
    return _sigmoid(_SHARP * lower) * _near(boxes)


def _contact(boxes: np.ndarray) -> np.ndarray:
    """Boxes that overlap: the weak evidence for an interaction such as holding or wearing."""
    _, _, w, h = _parts(boxes)
    _, _, area = _intersection(boxes)
    smaller = np.minimum((w * h)[:, None], (w * h)[None, :])
    return 0.1 * _near(boxes) + 0.6 * _sigmoid(_SHARP * (area / smaller - 0.4))


def _larger(boxes: np.ndarray) -> np.ndarray:
    size = relative_size(boxes, "size")
    return _sigmoid(4.0 * (size[:, None] - size[None, :]))


_PAIRS = {
    "left": _left,
    "right": lambda boxes: _left(boxes).T.copy(),
    "above": _above,
    "below": lambda boxes: _above(boxes).T.copy(),
    "on": _on,
    "in": _in,
    "near": _near,
    "front": _front,
    "behind": lambda boxes: _front(boxes).T * (1 - _on(boxes)) * (1 - _in(boxes)),
    "contact": _contact,
    "larger": _larger,
    "smaller": lambda boxes: _larger(boxes).T.copy(),
}


def _place(centre: np.ndarray, name: str, names: tuple[str, str], sharp: float) -> np.ndarray:
    first, last = names
    if name == first:
        return _sigmoid(sharp * (0.5 - centre))
    if name == last:
        return _sigmoid(sharp * (centre - 0.5))
    if name in ("middle", "center", "centre"):
        return _sigmoid(sharp * (1 / 6 - np.abs(centre - 0.5)))
    return np.zeros_like(centre)


def horizontal_place(boxes: np.ndarray, width: float, name: str, sharp: float = 20.0) -> np.ndarray:
    """P(object is `left`, `right` or in the `middle` of the picture), (N,)."""
    return _place(
        _parts(boxes.astype(np.float64))[0] / max(width, 1), name, ("left", "right"), sharp
    )


def vertical_place(boxes: np.ndarray, height: float, name: str, sharp: float = 20.0) -> np.ndarray:
    """P(object is at the `top`, `bottom` or `middle` of the picture), (N,)."""
    return _place(
        _parts(boxes.astype(np.float64))[1] / max(height, 1), name, ("top", "bottom"), sharp
    )


def relative_size(boxes: np.ndarray, dimension: str) -> np.ndarray:
    """A measure of boxes on a logarithmic scale (elevation: in pixels, upwards), (N,).

    Dimensions: `size` (area), `length` (longer side), `height`, `width`, `elevation`.
    """
    _, y, w, h = _parts(boxes.astype(np.float64))
    if dimension == "size":
        return np.log(w * h) / 2
    if dimension == "length":
        return np.log(np.maximum(w, h))
    if dimension == "height":
        return np.log(h)
    if dimension == "width":
        return np.log(w)
    return -y
