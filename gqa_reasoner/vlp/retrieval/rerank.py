"""Second stage: a one-stream model rereads the dual encoder's best candidates.

The final score is the match logit plus `weight` times the dual encoder's cosine. Candidates are
put in the new order before all others, which keep theirs.

Q: queries, K: candidates, P: pairs, V: cells, F: width of their features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval.pair_reader import PairReader

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["Reranker", "candidates_of", "load_reranker", "place_candidates", "reorder"]

_BATCH = 256


class Reranker:
    """A one- or two-stream model that scores pairs."""

    def __init__(self, model: VisionLanguageModel, pieces: WordPieces) -> None:
        self.model = model.eval()
        self.pieces = pieces

    def pair_scores(
        self,
        texts: Sequence[str],
        text_of_pair: np.ndarray,
        features: Tensor,
        image_of_pair: np.ndarray,
        *,
        progress: Callable[[Any], Any] | None = None,
    ) -> np.ndarray:
        """Match logits (P,) float64 of pairs; pairs of equally long texts are read together.

        Args:
            texts: different texts.
            text_of_pair: (P,) number of each pair's text.
            features: (pictures, V, F) of different pictures.
            image_of_pair: (P,) number of each pair's picture.
            progress: wraps the batch starts.
        """
        limit = self.model.config.sizes.text_length
        lengths = np.array([len(self.pieces.encode(text, limit - 2)) for text in texts], dtype=int)
        result = np.zeros(len(text_of_pair))
        order = np.argsort(lengths[text_of_pair.astype(np.int64)], kind="stable")
        starts = range(0, len(text_of_pair), _BATCH)
        reader = None
        if self.model.pair_score is not None:
            reader = PairReader(self.model, self.pieces, texts, features)
        for start in progress(starts) if progress is not None else starts:
            rows = order[start : start + _BATCH]
            ids, mask = self.pieces.batch([texts[n] for n in text_of_pair[rows]], limit)
            with torch.inference_mode():
                if reader is not None:
                    found = reader.scores(text_of_pair[rows], image_of_pair[rows], ids, mask)
                else:
                    chosen = features[torch.from_numpy(image_of_pair[rows])]
                    found = self.model.match_score(ids, mask, chosen)
            result[rows] = found.double().numpy()
        return result

    @property
    def weight(self) -> float | None:
        """The first stage's share that the model learned beside its own score, if it did."""
        head = self.model.pair_score
        return None if head is None else float(head.guide.detach())


def load_reranker(folder: str | Path) -> Reranker:
    """Open a trained model that has a match head.

    Raises:
        InputError: no such model, or one that does not score pairs.
    """
    from gqa_reasoner.vlp.checkpoint import load_model

    model, pieces = load_model(Path(folder))
    if model.config.plan not in ("one_stream", "two_stream", "prefix"):
        raise InputError(
            f"{folder}: expected a one- or two-stream model, got {model.config.recipe!r}"
        )
    return Reranker(model, pieces)


def reorder(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """Order (K,) of candidates by `second + weight * first`, best first, ties as they were."""
    return np.argsort(-(second + weight * first), kind="stable")


def candidates_of(similarity: np.ndarray, count: int) -> np.ndarray:
    """The `count` best columns (Q, K) of every row of (Q, items), best first."""
    return np.argsort(-similarity, axis=1, kind="stable")[:, :count]


def place_candidates(
    similarity: np.ndarray, candidates: np.ndarray, logits: np.ndarray, weight: float
) -> np.ndarray:
    """A (Q, items) similarity whose candidates are in the second stage's order, above the rest.

    Args:
        similarity: (Q, items) of the first stage.
        candidates: (Q, K) columns.
        logits: (Q, K) match logits.
        weight: share of the first stage in the new score.
    """
    result = similarity.astype(np.float64)
    total = logits + weight * np.take_along_axis(result, candidates, axis=1)
    lift = result.max(axis=1, keepdims=True) + 1 - total.min(axis=1, keepdims=True)
    np.put_along_axis(result, candidates, total + lift, axis=1)
    return result
