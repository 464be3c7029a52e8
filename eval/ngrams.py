"""BLEU, ROUGE-L and CIDEr-D over tokenized captions, equal to pycocoevalcap's figures.

Captions are tokens separated by single blanks. One candidate and R references per picture.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["DocumentFrequency", "bleu", "cider", "document_frequency", "rouge_l"]

ORDERS = 4
_SMALL, _TINY = 1e-9, 1e-15
"""Added to denominators and numerators, as there."""
Ngram = tuple[str, ...]


def _counts(caption: str) -> Counter[Ngram]:
    """All n-grams of 1 to 4 tokens."""
    words = caption.split()
    found: Counter[Ngram] = Counter()
    for order in range(1, ORDERS + 1):
        found.update(zip(*(words[k:] for k in range(order)), strict=False))
    return found


def bleu(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[float], np.ndarray]:
    """Corpus BLEU-1..4 (Papineni et al. 2002), the closest reference length counting.

    Returns:
        ([BLEU-1, …, BLEU-4] of the corpus, (N, 4) of the single pictures)
    """
    right = np.zeros((len(candidates), ORDERS))
    length = np.zeros(len(candidates))
    closest = np.zeros(len(candidates))
    for row, (candidate, others) in enumerate(zip(candidates, references, strict=True)):
        counts = _counts(candidate)
        limit: Counter[Ngram] = Counter()
        for other in others:
            limit |= _counts(other)
        for ngram, count in counts.items():
            right[row, len(ngram) - 1] += min(count, limit.get(ngram, 0))
        size = length[row] = len(candidate.split())
        closest[row] = min((abs(n - size), n) for n in (len(o.split()) for o in others))[1]
    guessed = np.maximum(length[:, None] - np.arange(ORDERS), 0)
    single = _bleu_of(right, guessed, length, closest)
    whole = _bleu_of(
        right.sum(axis=0)[None], guessed.sum(axis=0)[None], length.sum()[None], closest.sum()[None]
    )
    return whole[0].tolist(), single


def _bleu_of(
    right: np.ndarray, guessed: np.ndarray, length: np.ndarray, closest: np.ndarray
) -> np.ndarray:
    """(N, 4) BLEU from (N, 4) counts and (N,) lengths."""
    product = np.cumprod((right + _TINY) / (guessed + _SMALL), axis=1)
    score = product ** (1.0 / np.arange(1, ORDERS + 1))
    ratio = (length + _TINY) / (closest + _SMALL)
    return score * np.where(ratio < 1, np.exp(1 - 1 / np.minimum(ratio, 1)), 1.0)[:, None]


def rouge_l(
    candidates: Sequence[str], references: Sequence[Sequence[str]], beta: float = 1.2
) -> tuple[float, np.ndarray]:
    """ROUGE-L (Lin 2004): F of the best precision and the best recall over the references.

    Returns:
        (mean, (N,) of the single pictures)
    """
    scores = np.zeros(len(candidates))
    for row, (candidate, others) in enumerate(zip(candidates, references, strict=True)):
        words = candidate.split(" ")
        common = [(_common_length(other.split(" "), words), other.split(" ")) for other in others]
        precision = max(shared / len(words) for shared, _ in common)
        recall = max(shared / len(other) for shared, other in common)
        if precision and recall:
            weight = beta**2
            scores[row] = (1 + weight) * precision * recall / (recall + weight * precision)
    return float(scores.mean()), scores


def _common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, row by row."""
    row = [0] * (len(second) + 1)
    for word in first:
        corner = 0
        for place, other in enumerate(second, 1):
            above = row[place]
            row[place] = corner + 1 if word == other else max(above, row[place - 1])
            corner = above
    return row[-1]


@dataclass(frozen=True)
class DocumentFrequency:
    """In the references of how many pictures an n-gram occurs, out of how many pictures."""

    counts: Mapping[Ngram, int]
    pictures: int


def document_frequency(references: Sequence[Sequence[str]]) -> DocumentFrequency:
    """Count over the tokenized references of each picture."""
    counts: Counter[Ngram] = Counter()
    for captions in references:
        counts.update({ngram for caption in captions for ngram in _counts(caption)})
    return DocumentFrequency(counts, len(references))


@dataclass(frozen=True)
class _Vector:
    weights: tuple[dict[Ngram, float], ...]
    norms: tuple[float, ...]
    bigrams: int
    """What the length penalty compares."""


def cider(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    frequency: DocumentFrequency | None = None,
    sigma: float = 6.0,
) -> tuple[float, np.ndarray]:
    """CIDEr-D (Vedantam et al. 2015): clipped TF-IDF cosine with a length penalty, times 10.

    Args:
        candidates: (N,) captions.
        references: (N, R) captions.
        frequency: document frequencies; None counts them over `references`.
        sigma: width of the length penalty.

    Returns:
        (mean, (N,) of the single pictures)
    """
    known = document_frequency(references) if frequency is None else frequency
    log_pictures = math.log(known.pictures)

    def vector(caption: str) -> _Vector:
        weights: tuple[dict[Ngram, float], ...] = tuple({} for _ in range(ORDERS))
        bigrams = 0
        for ngram, count in _counts(caption).items():
            rarity = log_pictures - math.log(max(1.0, known.counts.get(ngram, 0)))
            weights[len(ngram) - 1][ngram] = count * rarity
            bigrams += count if len(ngram) == 2 else 0
        norms = tuple(math.sqrt(sum(w * w for w in part.values())) for part in weights)
        return _Vector(weights, norms, bigrams)

    scores = np.zeros(len(candidates))
    for row, (candidate, others) in enumerate(zip(candidates, references, strict=True)):
        ours = vector(candidate)
        total = sum(_similarity(ours, vector(other), sigma) for other in others)
        scores[row] = 10 * total / ORDERS / len(others)
    return float(scores.mean()), scores


def _similarity(ours: _Vector, theirs: _Vector, sigma: float) -> float:
    """Sum over the orders of the clipped cosines, with the length penalty."""
    total = 0.0
    for order in range(ORDERS):
        other = theirs.weights[order]
        value = sum(
            min(weight, other[ngram]) * other[ngram]
            for ngram, weight in ours.weights[order].items()
            if ngram in other
        )
        norm = ours.norms[order] * theirs.norms[order]
        total += value / norm if norm else value
    return total * math.exp(-((ours.bigrams - theirs.bigrams) ** 2) / (2 * sigma**2))
