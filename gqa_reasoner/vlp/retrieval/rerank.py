"""Second stage: a one-stream model rereads the dual encoder's best candidates.

The final score is the match logit plus `weight` times the dual encoder's cosine. Candidates are
put in the new order before all others, which keep theirs.

Q: queries, K: candidates, I: pictures, T: texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["Reranker", "load_reranker", "reorder", "reranked_similarity"]

_BATCH = 256


class Reranker:
    """A one- or two-stream model that scores pairs."""

    def __init__(self, model: VisionLanguageModel, pieces: WordPieces) -> None:
        self.model = model.eval()
        self.pieces = pieces

    def scores(self, texts: Sequence[str], features: Callable[[Sequence[int]], Tensor]) -> Tensor:
        """Match logits of pairs.

        Args:
            texts: one per pair.
            features: gives the tower features (B, cells, width) of the numbered pairs.
        """
        logits = []
        for start in range(0, len(texts), _BATCH):
            rows = range(start, min(start + _BATCH, len(texts)))
            ids, mask = self.pieces.batch(
                [texts[row] for row in rows], self.model.config.sizes.text_length
            )
            with torch.inference_mode():
                logits.append(self.model.match_score(ids, mask, features(rows)).float())
        return torch.cat(logits) if logits else torch.zeros(0)


def load_reranker(folder: str | Path) -> Reranker:
    """Open a trained model that has a match head.

    Raises:
        InputError: no such model, or one that does not score pairs.
    """
    from gqa_reasoner.vlp.checkpoint import load_model

    model, pieces = load_model(Path(folder))
    if model.config.plan not in ("one_stream", "two_stream"):
        raise InputError(
            f"{folder}: expected a one- or two-stream model, got {model.config.recipe!r}"
        )
    return Reranker(model, pieces)


def reorder(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """Order (K,) of candidates by `second + weight * first`, best first, ties as they were."""
    return np.argsort(-(second + weight * first), kind="stable")


def reranked_similarity(
    similarity: np.ndarray,
    pair_scores: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    candidates: int = 32,
    weight: float = 0.0,
    progress: Callable[[range], Iterator[int]] | None = None,
) -> np.ndarray:
    """A (Q, items) similarity whose best `candidates` per row are in the second stage's order.

    Args:
        similarity: (Q, items) of the first stage.
        pair_scores: match logits of arrays of query and item numbers, both (pairs,).
        candidates: K.
        weight: share of the first stage in the new score.
        progress: wraps the query starts.

    Returns:
        (Q, items): candidates lie above everything else.
    """
    count = min(candidates, similarity.shape[1])
    result = similarity.astype(np.float64).copy()
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    starts = range(0, len(similarity), max(1, _BATCH // count))
    for start in progress(starts) if progress is not None else starts:
        items = best[start : start + starts.step]
        queries = np.repeat(np.arange(start, start + len(items)), count)
        second = pair_scores(queries, items.ravel()).reshape(items.shape)
        first = np.take_along_axis(similarity[start : start + len(items)], items, axis=1)
        total = second + weight * first
        lift = (
            result[start : start + len(items)].max(axis=1, keepdims=True)
            + 1
            - total.min(axis=1, keepdims=True)
        )
        np.put_along_axis(result[start : start + len(items)], items, total + lift, axis=1)
    return result
