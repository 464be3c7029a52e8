"""Figures of two-stage search on a caption file.

I: pictures, T: captions, K: candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.errors import InputError
from eval.retrieval import RetrievalScores, score_retrieval
from gqa_reasoner.vlp.data.feature_cache import FeatureCache
from gqa_reasoner.vlp.data.records import CaptionRecord
from gqa_reasoner.vlp.retrieval.rerank import Reranker, candidates_of, place_candidates

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["SecondStage", "first_stage", "second_stage"]

Progress = Callable[[Sequence[int]], Iterator[int]]


def first_stage(
    model: VisionLanguageModel,
    pieces: WordPieces,
    records: Sequence[CaptionRecord],
    cache: FeatureCache,
    *,
    captions: int | None = None,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Cosines (I, T) of a dual encoder, the picture of each caption (T,), and the captions.

    Args:
        captions: only so many per picture.
    """
    import torch

    texts = [text for record in records for text in record.captions[:captions]]
    owner = [at for at, record in enumerate(records) for _ in record.captions[:captions]]
    with torch.inference_mode():
        names = [record.image for record in records]
        parts = [names[start : start + 100] for start in range(0, len(names), 100)]
        images = torch.cat([model.encode_images(cache.rows(part)) for part in parts])
        rows = []
        for start in range(0, len(texts), 250):
            ids, mask = pieces.batch(texts[start : start + 250], model.config.sizes.text_length)
            rows.append(model.encode_text(ids, mask))
    return (images @ torch.cat(rows).T).numpy(), np.array(owner), texts


@dataclass(frozen=True)
class SecondStage:
    """Match scores of the first stage's candidates, in both directions, read once."""

    similarity: np.ndarray
    """(I, T)"""
    owner: np.ndarray
    """(T,)"""
    images: np.ndarray
    """(T, K) candidate pictures of every caption, and their match logits."""
    image_logits: np.ndarray
    texts: np.ndarray
    """(I, K) candidate captions of every picture, and their match logits."""
    text_logits: np.ndarray

    def scores(self, weight: float) -> RetrievalScores:
        """Figures when the new score is the match logit plus `weight` times the cosine."""
        by_text = place_candidates(self.similarity.T, self.images, self.image_logits, weight)
        by_image = place_candidates(self.similarity, self.texts, self.text_logits, weight)
        return RetrievalScores(
            score_retrieval(by_image, self.owner).image_to_text,
            score_retrieval(by_text.T, self.owner).text_to_image,
            f"top {self.images.shape[1]} reranked",
        )

    def best_weight(self, weights: Sequence[float]) -> float:
        """The weight with the largest sum of both R@1; for choosing on pictures kept apart."""

        def both(weight: float) -> float:
            found = self.scores(weight)
            return found.text_to_image.r1 + found.image_to_text.r1

        return max(weights, key=both)


def second_stage(
    reranker: Reranker,
    similarity: np.ndarray,
    owner: np.ndarray,
    records: Sequence[CaptionRecord],
    texts: Sequence[str],
    cache: FeatureCache,
    *,
    candidates: int = 32,
    progress: Callable[[Any], Any] | None = None,
) -> SecondStage:
    """Read the candidates of both directions with a one-stream model.

    Raises:
        InputError: features of another tower than the reranker's.
    """
    from gqa_reasoner.vlp.checkpoint import check_tower

    check_tower(reranker.model.config, cache.fingerprint, str(cache.path))
    if similarity.shape != (len(records), len(texts)):
        raise InputError(f"second stage: similarity {similarity.shape}: other pictures or texts")
    features = cache.rows([record.image for record in records])
    images = candidates_of(similarity.T, candidates)
    captions = candidates_of(similarity, candidates)
    # Pairs that are candidates both ways are read once.
    pairs = np.concatenate(
        (
            images.ravel() * len(texts) + np.repeat(np.arange(len(texts)), images.shape[1]),
            captions.ravel() + np.repeat(np.arange(len(records)), captions.shape[1]) * len(texts),
        )
    )
    unique, place = np.unique(pairs, return_inverse=True)
    logits = reranker.pair_scores(
        texts, unique % len(texts), features, unique // len(texts), progress=progress
    )[place]
    size = images.size
    return SecondStage(
        similarity,
        owner,
        images,
        logits[:size].reshape(images.shape),
        captions,
        logits[size:].reshape(captions.shape),
    )
