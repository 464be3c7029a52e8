"""Image–text retrieval: recalls and ranks in both directions, COCO's 1K and 5K conventions.

Legend: I images, T captions. Ties count against us: a wrong item with the same score ranks first.
Image→text takes the best ranked of an image's captions (five in COCO and Flickr).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.errors import InputError

__all__ = ["Direction", "RetrievalScores", "five_fold", "score_embeddings", "score_retrieval"]

_ROWS = 256


@dataclass(frozen=True)
class Direction:
    """One direction; recalls in percent, ranks from 1."""

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float
    queries: int


@dataclass(frozen=True)
class RetrievalScores:
    """Both directions."""

    image_to_text: Direction
    text_to_image: Direction
    protocol: str = "all"

    @property
    def rsum(self) -> float:
        """Sum of the six recalls."""
        both = (self.image_to_text, self.text_to_image)
        return sum(d.r1 + d.r5 + d.r10 for d in both)

    @property
    def mean_recall(self) -> float:
        """Mean of the six recalls."""
        return self.rsum / 6

    def to_json(self) -> dict[str, Any]:
        """Plain figures."""
        return {
            "image_to_text": vars(self.image_to_text),
            "text_to_image": vars(self.text_to_image),
            "mean_recall": self.mean_recall,
            "rsum": self.rsum,
            "protocol": self.protocol,
        }


def score_retrieval(similarity: np.ndarray, image_of_text: np.ndarray) -> RetrievalScores:
    """Score a similarity matrix.

    Args:
        similarity: (I, T), larger is more alike.
        image_of_text: (T,) the image that each caption describes.

    Raises:
        InputError: NaN, another shape, an image without caption.
    """
    similarity = np.asarray(similarity)
    owner = _owners(image_of_text, similarity.shape)
    best = np.full(similarity.shape[0], -np.inf)
    right = np.empty(similarity.shape[1], dtype=similarity.dtype)
    for start in range(0, len(similarity), _ROWS):
        rows = similarity[start : start + _ROWS]
        if np.isnan(rows).any():
            raise InputError("similarity: holds NaN")
        mine = (owner >= start) & (owner < start + len(rows))
        right[mine] = rows[owner[mine] - start, np.flatnonzero(mine)]
    np.maximum.at(best, owner, right)
    image_rank = np.ones(len(similarity), dtype=np.int64)
    text_rank = np.ones(similarity.shape[1], dtype=np.int64)
    for start in range(0, len(similarity), _ROWS):
        rows = similarity[start : start + _ROWS]
        own = owner[None, :] == np.arange(start, start + len(rows))[:, None]
        ahead = (rows >= best[start : start + len(rows), None]) & ~own
        image_rank[start : start + len(rows)] += ahead.sum(axis=1)
        text_rank += ((rows >= right[None, :]) & ~own).sum(axis=0)
    return RetrievalScores(_direction(image_rank), _direction(text_rank))


def _owners(image_of_text: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    owner = np.asarray(image_of_text)
    if len(shape) != 2 or owner.shape != (shape[1],):
        raise InputError(f"similarity: shape {shape} does not fit {owner.shape} caption owners")
    if not np.issubdtype(owner.dtype, np.integer):
        raise InputError(f"image_of_text: expected whole numbers, got {owner.dtype}")
    if not shape[0] or owner.min(initial=0) < 0 or owner.max(initial=0) >= shape[0]:
        raise InputError(f"image_of_text: expected numbers from 0 to {shape[0] - 1}")
    absent = np.flatnonzero(np.bincount(owner, minlength=shape[0]) == 0)
    if len(absent):
        raise InputError(f"image_of_text: image {absent[0]} has no caption ({len(absent)} such)")
    return owner


def _direction(rank: np.ndarray) -> Direction:
    r1, r5, r10 = (float((rank <= k).mean()) * 100 for k in (1, 5, 10))
    return Direction(r1, r5, r10, float(np.floor(np.median(rank))), float(rank.mean()), len(rank))


def score_embeddings(
    images: np.ndarray, texts: np.ndarray, image_of_text: np.ndarray
) -> RetrievalScores:
    """Score by cosine.

    Args:
        images: (I, D)
        texts: (T, D)
        image_of_text: (T,)

    Raises:
        InputError: NaN, zero vectors or other shapes.
    """
    parts = []
    for name, array in (("images", images), ("texts", texts)):
        norm = np.linalg.norm(np.asarray(array, dtype=np.float32), axis=1, keepdims=True)
        if not np.isfinite(norm).all() or (norm == 0).any():
            raise InputError(f"{name}: holds NaN or zero vectors")
        parts.append(np.asarray(array, dtype=np.float32) / norm)
    return score_retrieval(parts[0] @ parts[1].T, image_of_text)


def five_fold(similarity: np.ndarray, image_of_text: np.ndarray, folds: int = 5) -> RetrievalScores:
    """COCO 1K: the mean over consecutive folds of the images, each with its own captions.

    Raises:
        InputError: see `score_retrieval`; fewer images than folds.
    """
    similarity = np.asarray(similarity)
    owner = _owners(image_of_text, similarity.shape)
    if len(similarity) < folds or len(similarity) % folds:
        raise InputError(f"five-fold: {len(similarity)} images do not split into {folds} folds")
    size = len(similarity) // folds
    scores = []
    for fold in range(folds):
        start = fold * size
        columns = np.flatnonzero((owner >= start) & (owner < start + size))
        part = similarity[start : start + size][:, columns]
        scores.append(score_retrieval(part, owner[columns] - start))
    return RetrievalScores(
        _mean([score.image_to_text for score in scores]),
        _mean([score.text_to_image for score in scores]),
        f"mean of {folds} folds of {size} images",
    )


def _mean(parts: list[Direction]) -> Direction:
    rows = np.array([(d.r1, d.r5, d.r10, d.median_rank, d.mean_rank) for d in parts])
    r1, r5, r10, median, mean = rows.mean(axis=0).tolist()
    return Direction(r1, r5, r10, median, mean, sum(d.queries for d in parts))
