"""Regularised canonical correlation of pictures and their texts, in closed form.

On a few thousand pictures a linear model with a strong ridge beats networks trained from nothing
(Klein et al. 2015, "Associating neural word embeddings with deep image representations using
Fisher vectors"). Pictures are the mean of their normalised cells, texts the counts of their word
pieces, weighted by inverse document frequency.

N: pictures, T: texts, F: width of a cell, P: word pieces, K: canonical directions.
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

__all__ = ["Correlation", "correlate", "picture_means"]

_PART = 256


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
