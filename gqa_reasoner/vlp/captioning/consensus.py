"""Choosing among a picture's captions by what people say of pictures like it.

Consensus reranking (Devlin et al. 2015, https://arxiv.org/abs/1505.04467; Mao et al. 2015): the
captions of the training pictures whose pooled features are nearest stand for what people would
say; of the beam's captions the one that agrees best with them wins. Agreement is the mean cosine
of TF-IDF vectors of n-grams of 1 to 4 words.

Legend: I training pictures, B pictures, F feature width, K neighbours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.captioner import Caption

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.records import CaptionRecord

__all__ = ["Consensus"]

ORDERS = 4
Ngram = tuple[str, ...]
Vector = dict[Ngram, float]


class Consensus:
    """What people say of pictures, to be asked with features.

    Args:
        records: training pictures with plain captions.
        features: (B, V, F) of named pictures.
        neighbours: K.
        weight: of the captions' mean log-probability per word beside the agreement.
    """

    def __init__(
        self,
        records: Sequence[CaptionRecord],
        features: Callable[[Sequence[str]], Tensor],
        *,
        neighbours: int = 7,
        weight: float = 0.05,
        batch_size: int = 100,
    ) -> None:
        if not records or neighbours < 1:
            raise InputError(
                f"consensus: expected training pictures and neighbours, got {len(records)} and "
                f"{neighbours}"
            )
        self.neighbours, self.weight = min(neighbours, len(records)), weight
        counts = [[_counts(text) for text in record.captions] for record in records]
        seen: Counter[Ngram] = Counter()
        for captions in counts:
            seen.update({ngram for caption in captions for ngram in caption})
        self._known = seen
        self._pictures = len(records)
        self._said = [_sum([self._vector(one) for one in captions]) for captions in counts]
        names = [record.image for record in records]
        starts = range(0, len(names), batch_size)
        pooled = [_pooled(features(names[start : start + batch_size])) for start in starts]
        self._mean = torch.cat(pooled).mean(dim=0)
        self._places = torch.nn.functional.normalize(torch.cat(pooled) - self._mean, dim=1)

    def choose(
        self, features: Tensor, captions: Sequence[Sequence[Caption]]
    ) -> list[list[Caption]]:
        """Each picture's captions, the one with the most agreement first.

        Args:
            features: (B, V, F).
            captions: of each of the B pictures.
        """
        asked = torch.nn.functional.normalize(_pooled(features) - self._mean, dim=1)
        near = (asked @ self._places.T).topk(self.neighbours, dim=1)
        result = []
        for found, some, similar in zip(captions, near.indices, near.values, strict=True):
            weights = similar.clamp(min=0.0).tolist()
            people = _sum([self._said[row] for row in some.tolist()], [w * w for w in weights])
            total = sum(w * w for w in weights) or 1.0
            result.append(sorted(found, key=lambda one: -self._score(one, people, total)))
        return result

    def _score(self, caption: Caption, people: Vector, total: float) -> float:
        own = self._vector(_counts(" ".join(caption.words)))
        agreement = sum(value * people.get(ngram, 0.0) for ngram, value in own.items()) / total
        mean = caption.total / len(caption.log_probabilities)
        return agreement + self.weight * mean

    def _vector(self, counts: Counter[Ngram]) -> Vector:
        """TF-IDF, each order of length 1 / 2, so that a caption's product with itself is 1."""
        lengths = [0.0] * ORDERS
        found: Vector = {}
        for ngram, count in counts.items():
            value = count * math.log(self._pictures / max(1, self._known.get(ngram, 0)))
            found[ngram] = value
            lengths[len(ngram) - 1] += value * value
        return {
            ngram: value / math.sqrt(ORDERS * lengths[len(ngram) - 1])
            for ngram, value in found.items()
            if value
        }


def _pooled(features: Tensor) -> Tensor:
    """(B, V, F) to (B, F), the square root of the mean: large values count less."""
    return features.mean(dim=1).clamp(min=0.0).sqrt()


def _counts(text: str) -> Counter[Ngram]:
    words = text.split()
    found: Counter[Ngram] = Counter()
    for order in range(1, ORDERS + 1):
        found.update(tuple(words[k : k + order]) for k in range(len(words) - order + 1))
    return found


def _sum(vectors: Sequence[Vector], weights: Sequence[float] | None = None) -> Vector:
    """The weighted sum; without weights the mean."""
    total: Vector = {}
    given = [1 / len(vectors)] * len(vectors) if weights is None else weights
    for vector, weight in zip(vectors, given, strict=True):
        for ngram, value in vector.items():
            total[ngram] = total.get(ngram, 0.0) + weight * value
    return total
