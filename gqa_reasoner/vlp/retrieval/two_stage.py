"""Reranking the hits of an index: pairs of a text and a picture are read by a one-stream model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.data.feature_cache import picture_tensor
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.retrieval.index import Hit, VectorIndex
from gqa_reasoner.vlp.retrieval.rerank import load_reranker, reorder

if TYPE_CHECKING:
    from gqa_reasoner.vlp.retrieval.bank import QueryBank
    from gqa_reasoner.vlp.tower import ImageTower

__all__ = ["rerank_hits"]


def rerank_hits(
    index: VectorIndex,
    queries: Sequence[str | PIL.Image.Image],
    found: Sequence[Sequence[Hit]],
    model: str | Path,
    tower: ImageTower,
    *,
    candidates: int = 32,
    weight: float | None = None,
    bank: QueryBank | None = None,
) -> list[list[Hit]]:
    """Hits in a new order, their scores the second stage's.

    Args:
        index: where the hits come from.
        queries: texts for an index of pictures, pictures for one of texts.
        found: first stage's hits, per query.
        model: folder of a one- or two-stream model.
        tower: image tower of both models.
        candidates: how many hits per query are reread; further ones are dropped.
        weight: share of the first stage's score; None: what the model learned, or 10.
        bank: takes hubs' hubness off the first stage's scores.

    Raises:
        InputError: query and index are of the same kind, a model of another tower, or pictures
            that are no longer in the index's source.
    """
    from gqa_reasoner.vlp.checkpoint import check_tower

    reranker = load_reranker(model)
    check_tower(reranker.model.config, tower.fingerprint, str(model))
    if weight is None:
        weight = reranker.weight or 10.0
    kind = index.information.get("kind", "pictures")
    source = PictureSource.open(str(index.information["source"])) if kind == "pictures" else None
    result = []
    for query, all_hits in zip(queries, found, strict=True):
        hits = list(all_hits[:candidates])
        if isinstance(query, str) == (kind == "texts"):
            raise InputError(f"rerank: expected a text and a picture; both are {kind}")
        if isinstance(query, str) and source is not None:
            features = _features([source.read(hit.name) for hit in hits], tower)
            texts, rows = [query], np.arange(len(hits))
        elif not isinstance(query, str):
            features = _features([query], tower)
            texts, rows = [hit.name for hit in hits], np.zeros(len(hits), dtype=np.int64)
        numbers = np.arange(len(hits)) if len(texts) > 1 else np.zeros(len(hits), dtype=np.int64)
        second = reranker.pair_scores(texts, numbers, features, rows)
        first = np.array([hit.score for hit in hits])
        if bank is not None and hits:
            vectors = index.vectors[[hit.row for hit in hits]]
            first -= bank.of_images(vectors) if kind == "pictures" else bank.of_texts(vectors)
        order = reorder(first, second, weight)
        total = second + weight * first
        result.append([Hit(hits[n].row, float(total[n]), hits[n].metadata) for n in order])
    return result


def _features(images: Sequence[PIL.Image.Image], tower: ImageTower) -> Tensor:
    pixels = torch.stack([picture_tensor(image, tower.image_size) for image in images])
    return tower(pixels)
