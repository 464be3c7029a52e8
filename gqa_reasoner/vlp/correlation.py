"""A dual encoder's start in closed form, by regularised canonical correlation.

On few thousand pictures a linear model with a strong ridge beats one trained from nothing (Klein
et al. 2015, https://www.cv-foundation.org/openaccess/content_cvpr_2015/papers/Klein_Associating_Neural_Word_2015_CVPR_paper.pdf).
Pictures are the mean of their normalised cells, texts the inverse-document-frequency weighted
counts of their pieces; the solution is then written into a `VisionLanguageModel` of the plan
`dual`, which gives the same embeddings up to its norms, and training goes on from there.

N: pictures, T: texts, V: cells, F: width of a cell, P: word pieces, K: canonical directions,
D: the model's width. Every token is [v, z, -v, -z]: its mean is zero and its length the same for
all words, so the layer norms leave it alone; z takes up what v leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from detectors.errors import InputError

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import CaptionRecord
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["Correlation", "correlate", "picture_means", "start_dual_encoder"]

_PART = 256
_ROOM = 2.0
"""How much longer than a typical v the constant part of a cell's token is."""


@dataclass(frozen=True)
class Correlation:
    """Both sides' maps into the K shared directions, the larger correlations weighing more."""

    image_mean: np.ndarray
    """(F,)"""
    images: np.ndarray
    """(F, K)"""
    text_offset: np.ndarray
    """(K,) what is added to a text's sum: minus the mean text."""
    pieces: np.ndarray
    """(P, K) every piece's share; zeros where it is too rare."""
    correlations: np.ndarray
    """(K,)"""


def picture_means(cache: FeatureCache, names: Sequence[str]) -> np.ndarray:
    """(N, F) means over cells, each cell normalised as the model's first norm does."""
    rows = []
    for start in range(0, len(names), _PART):
        cells = cache.rows(names[start : start + _PART])
        rows.append(functional.layer_norm(cells, cells.shape[-1:]).mean(dim=1))
    return torch.cat(rows).double().numpy()


def correlate(
    images: np.ndarray,
    texts: Sequence[Sequence[int]],
    owner: np.ndarray,
    size: int,
    *,
    directions: int,
    ridge: float = 1.0,
    least_count: int = 5,
) -> Correlation:
    """Regularised canonical correlation of pictures and their texts.

    Args:
        images: (N, F).
        texts: T lists of piece numbers.
        owner: (T,) each text's picture.
        size: P.
        directions: K.
        ridge: added to each covariance's diagonal, in units of its mean.
        least_count: rarer pieces are left out.

    Raises:
        InputError: fewer frequent pieces or features than directions.
    """
    lengths = np.array([len(text) for text in texts])
    column = np.concatenate([np.asarray(text, dtype=np.int64) for text in texts])
    row = np.repeat(np.arange(len(texts)), lengths)
    counts = np.bincount(column, minlength=size)
    kept = np.flatnonzero(counts >= least_count)
    if min(len(kept), images.shape[1]) < directions:
        raise InputError(
            f"correlation: {len(kept)} frequent pieces and {images.shape[1]} features are too few "
            f"for {directions} directions"
        )
    place = np.full(size, -1)
    place[kept] = np.arange(len(kept))
    frequent = place[column] >= 0
    row, column = row[frequent], place[column[frequent]]
    weight = np.log(len(texts) / np.bincount(column, minlength=len(kept)).clip(max=len(texts) - 1))
    covariance = _text_products(row, column, len(kept)) * np.outer(weight, weight) / len(texts)
    text_mean = np.bincount(column, minlength=len(kept)) * weight / len(texts)
    covariance -= np.outer(text_mean, text_mean)
    image_mean = images[owner].mean(axis=0)
    centred = images - image_mean
    flat = np.bincount(owner[row] * len(kept) + column, minlength=len(images) * len(kept))
    cross = centred.T @ (flat.reshape(len(images), len(kept)) * weight) / len(texts)
    of_pictures = (centred * np.bincount(owner, minlength=len(images))[:, None]).T @ centred
    left = _whitener(of_pictures / len(texts), ridge)
    right = _whitener(covariance, ridge)
    first, values, second = np.linalg.svd(left.T @ cross @ right, full_matrices=False)
    values = values[:directions]
    pieces = np.zeros((size, directions))
    pieces[kept] = weight[:, None] * (right @ second[:directions].T) * np.sqrt(values)
    return Correlation(
        image_mean=image_mean,
        images=(left @ first[:, :directions]) * np.sqrt(values),
        text_offset=-(pieces * counts[:, None]).sum(axis=0) / len(texts),
        pieces=pieces,
        correlations=values,
    )


def start_dual_encoder(
    model: VisionLanguageModel,
    pieces: WordPieces,
    records: Sequence[CaptionRecord],
    cache: FeatureCache,
    *,
    ridge: float = 1.0,
    languages: Sequence[str] = (),
    scale: float = 20.0,
) -> Correlation:
    """Write the closed-form solution into a dual encoder without vision layers.

    Args:
        model: is changed in place; `vision_layers` must be 0.
        pieces: its word pieces.
        records: training pictures and captions.
        cache: features of its tower.
        ridge: see `correlate`.
        languages: translations that count as captions too.
        scale: of the cosines.

    Raises:
        InputError: another plan, vision layers, or a text that is not pooled by mean or attention.
    """
    config = model.config
    vision_layers = config.sizes.vision_layers
    if config.plan != "dual" or vision_layers != 0 or config.causal_text:
        raise InputError(
            f"closed-form start: expected a dual encoder with vision_layers 0, got plan "
            f"{config.plan!r} with {vision_layers}"
        )
    if not {config.sizes.pool, config.sizes.vision_pool} <= {"mean", "attend"}:
        raise InputError("closed-form start: pool and vision_pool: expected mean or attend")
    limit = config.sizes.text_length - 2
    texts, owner = [], []
    for at, record in enumerate(records):
        lines = [*record.captions]
        for language in languages:
            lines += record.translations.get(language, ())
        texts += [pieces.encode(line, limit) for line in lines]
        owner += [at] * len(lines)
    directions = min(config.sizes.width // 2 - 1, config.sizes.space, config.tower_width)
    found = correlate(
        picture_means(cache, [record.image for record in records]),
        texts,
        np.array(owner),
        len(pieces),
        directions=directions,
        ridge=ridge,
    )
    with torch.no_grad():
        _write(model, pieces, found, picture_means(cache, [r.image for r in records[:_PART]]))
        model.log_scale.fill_(float(np.log(scale)))
    return found


def _write(
    model: VisionLanguageModel, pieces: WordPieces, found: Correlation, sample: np.ndarray
) -> None:
    width, count = model.config.sizes.width, found.images.shape[1]
    half = width // 2
    words = np.zeros((len(pieces), half))
    words[:, :count] = found.pieces
    words[pieces.cls, :count] = found.text_offset
    lengths = np.linalg.norm(words, axis=1)
    # Few pieces are very long (rare ones); the length that all get is that of nearly all.
    longest = np.quantile(lengths[lengths > 0], 0.995)
    words *= np.minimum(1, longest / lengths.clip(min=1e-12))[:, None]
    words[:, half - 1] = np.sqrt((longest**2 - (words**2).sum(axis=1)).clip(min=0))
    scaled = words / longest * 0.5  # tokens of length about 0.7: steps of training can move them
    text = model.text_embedding
    text.words.weight.copy_(_both(scaled))
    for table in (text.positions, text.segments):
        if table is not None:
            table.weight.mul_(0.01)
    typical = float(np.linalg.norm((sample - found.image_mean) @ found.images, axis=1).mean())
    maps = np.zeros((half, found.images.shape[0]))
    maps[:count] = found.images.T
    bias = -maps @ found.image_mean
    bias[half - 1] = _ROOM * typical
    vision = model.vision_embedding
    vision.features.weight.copy_(_both(maps.T).T / typical)
    vision.features.bias.copy_(_both(bias[None])[0] / typical)
    vision.segment.zero_()
    if vision.position is not None:
        vision.position.weight.zero_()
    for pool in (model.text_pool, model.vision_pool):
        if pool.score is not None:
            pool.score.weight.zero_()
            pool.score.bias.zero_()
    for name, value in model.trunk.named_parameters():
        if name.endswith(("output.weight", "output.bias")):
            value.zero_()
    projection = torch.zeros(model.config.sizes.space, width)
    projection[range(count), range(count)] = 1.0
    projection[range(count), range(half, half + count)] = -1.0
    for side in (model.text_projection, model.vision_projection):
        side.linear.weight.copy_(projection / width**0.5)


def _both(values: np.ndarray) -> torch.Tensor:
    """(n, D / 2) to (n, D): the values and their negatives."""
    return torch.from_numpy(np.concatenate((values, -values), axis=1)).float()


def _text_products(row: np.ndarray, column: np.ndarray, size: int) -> np.ndarray:
    """(size, size): over all texts, how often two pieces stand in the same one."""
    total = np.zeros(size * size)
    ends = np.searchsorted(row, np.arange(0, row[-1] + 1 + 4096, 4096))
    for low, high in pairwise(ends):
        if low == high:
            continue
        rows, columns = row[low:high], column[low:high]
        starts = np.searchsorted(rows, np.arange(rows[0], rows[-1] + 2))
        sizes = np.diff(starts)
        left = np.repeat(columns, sizes[rows - rows[0]])
        offset = np.concatenate([np.arange(starts[r], starts[r + 1]) for r in rows - rows[0]])
        total += np.bincount(left * size + columns[offset], minlength=size * size)
    return total.reshape(size, size)


def _whitener(covariance: np.ndarray, ridge: float) -> np.ndarray:
    """W with W^T (C + ridge · mean of its diagonal) W = 1, by Cholesky's factor."""
    size = len(covariance)
    level = ridge * np.trace(covariance) / size
    factor = np.linalg.cholesky(covariance + level * np.eye(size))
    return np.linalg.solve(factor, np.eye(size)).T
