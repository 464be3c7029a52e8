"""Figures of two-stage search on a caption file.

I: pictures, T: captions, K: candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from detectors.errors import InputError
from eval.retrieval import RetrievalScores, score_retrieval
from gqa_reasoner.vlp.data.feature_cache import FeatureCache
from gqa_reasoner.vlp.data.records import CaptionRecord
from gqa_reasoner.vlp.retrieval.rerank import Reranker, candidates_of, place_candidates

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["Embedded", "SecondStage", "Shares", "embed_records", "first_stage", "second_stage"]

Progress = Callable[[Sequence[int]], Iterator[int]]


class Embedded(NamedTuple):
    """`images` (I, S) and `texts` (T, S) of a dual encoder, rows of length 1; each caption's
    picture `owner` (T,), and the captions."""

    images: np.ndarray
    texts: np.ndarray
    owner: np.ndarray
    lines: list[str]

    @property
    def similarity(self) -> np.ndarray:
        """Cosines (I, T)."""
        found: np.ndarray = self.images @ self.texts.T
        return found


def embed_records(
    model: VisionLanguageModel,
    pieces: WordPieces,
    records: Sequence[CaptionRecord],
    cache: FeatureCache,
    *,
    captions: int | None = None,
) -> Embedded:
    """A dual encoder's embeddings.

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
    return Embedded(images.numpy(), torch.cat(rows).numpy(), np.array(owner), texts)


def first_stage(
    model: VisionLanguageModel,
    pieces: WordPieces,
    records: Sequence[CaptionRecord],
    cache: FeatureCache,
    *,
    captions: int | None = None,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Cosines (I, T) of a dual encoder, the picture of each caption (T,), and the captions; see
    `embed_records`."""
    found = embed_records(model, pieces, records, cache, captions=captions)
    return found.similarity, found.owner, found.lines


class Shares(NamedTuple):
    """How much of a candidate's new score comes from where."""

    cosine: float
    """The first stage's."""
    hubness: float = 0.0
    """What is taken off each cosine, in units of the candidate's hubness."""
    reader: float = 1.0
    """The match logit's; 0 to see what the others do alone."""


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

    image_hubness: np.ndarray | None = None
    """(I,) what a bank says of the pictures, see `bank`; None: nothing is taken off."""
    text_hubness: np.ndarray | None = None
    """(T,) the same of the captions."""

    def scores(self, to_image: Shares, to_text: Shares | None = None) -> RetrievalScores:
        """Figures when the new score is

            match logit + share · (cosine - hubness_share · hubness of the candidate)

        Args:
            to_image: shares for texts that seek pictures, and for the other way unless given.
            to_text: for pictures that seek texts.
        """
        back = to_image if to_text is None else to_text
        by_text = place_candidates(
            self.similarity.T - to_image.hubness * _or_zero(self.image_hubness),
            self.images,
            to_image.reader * self.image_logits,
            to_image.cosine,
        )
        by_image = place_candidates(
            self.similarity - back.hubness * _or_zero(self.text_hubness),
            self.texts,
            back.reader * self.text_logits,
            back.cosine,
        )
        return RetrievalScores(
            score_retrieval(by_image, self.owner).image_to_text,
            score_retrieval(by_text.T, self.owner).text_to_image,
            f"top {self.images.shape[1]} reranked",
        )

    def best_shares(self, choices: Sequence[Shares]) -> tuple[Shares, Shares]:
        """Per direction the shares with the largest R@1, of equals those with the larger R@5; for
        choosing on pictures kept apart."""
        found = [(shares, self.scores(shares)) for shares in choices]
        to_image = max(found, key=lambda pair: (pair[1].text_to_image.r1, pair[1].text_to_image.r5))
        to_text = max(found, key=lambda pair: (pair[1].image_to_text.r1, pair[1].image_to_text.r5))
        return to_image[0], to_text[0]


def _or_zero(hubness: np.ndarray | None) -> np.ndarray | float:
    return 0.0 if hubness is None else hubness


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
