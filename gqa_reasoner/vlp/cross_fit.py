"""A guide whose scores never come from a model that saw the picture.

A dual encoder's scores of the pictures that it was fitted on are too good: the true pair stands
out as it never will for new pictures, and the wrong ones are not those it will really confuse. So
the training pictures are dealt into folds; the pictures of each fold are embedded by the closed
form of the other folds, and are compared with each other only.

Legend: N pictures, C captions of each, S directions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.vlp.checkpoint import load_model
from gqa_reasoner.vlp.correlation import correlate, picture_means
from gqa_reasoner.vlp.objectives import Guide

if TYPE_CHECKING:
    from gqa_reasoner.vlp.corpus import CaptionCorpus
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache

__all__ = ["cross_fitted_guide"]


def cross_fitted_guide(
    folder: Path,
    corpus: CaptionCorpus,
    cache: FeatureCache,
    *,
    folds: int,
    ridge: float = 2.0,
    seed: int = 0,
) -> Guide:
    """Embeddings of a corpus by closed forms that did not see them.

    Args:
        folder: a dual encoder of `vlp start`, whose word pieces and number of directions are used.
        corpus: training pictures and texts.
        cache: features of the pictures for the dual encoder.
        folds: at least 2.
        ridge: that of `vlp start`.

    Raises:
        InputError: too few pictures for the folds, pictures with different numbers of texts, or
            not a dual encoder.
    """
    count = len(corpus)
    if not 2 <= folds <= count // 2:
        raise InputError(f"cross-fitting: folds: expected 2 to {count // 2}, got {folds}")
    model, pieces = load_model(folder)
    sizes = model.config.sizes
    if model.config.plan != "dual":
        raise InputError(f"{folder}: a guide is a dual encoder, got recipe {model.config.recipe!r}")
    most = max(len(texts) for texts in corpus.texts)
    limit = sizes.text_length - 2
    encoded = [
        [pieces.encode(texts[number % len(texts)][1], limit) for number in range(most)]
        for texts in corpus.texts
    ]
    means = picture_means(cache, [record.image for record in corpus.records])
    directions = min(sizes.width // 2 - 1, sizes.space, model.config.tower_width)
    fold = np.random.default_rng(seed).permutation(count) % folds
    images = np.zeros((count, directions))
    texts = np.zeros((count, most, directions))
    for number in range(folds):
        seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        found = correlate(
            means[seen],
            [text for row in seen for text in encoded[row]],
            np.repeat(np.arange(len(seen)), most),
            len(pieces),
            directions=directions,
            ridge=ridge,
        )
        images[unseen] = (means[unseen] - found.image_mean) @ found.images
        for row in unseen:
            for place, text in enumerate(encoded[row]):
                texts[row, place] = found.pieces[text].sum(axis=0) + found.text_offset
    return Guide(
        functional.normalize(torch.from_numpy(images).float(), dim=-1),
        functional.normalize(torch.from_numpy(texts).float(), dim=-1),
        float(model.scale.detach()),
        torch.from_numpy(fold),
    )
