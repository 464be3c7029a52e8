"""Is the difference real? Bootstrap intervals, paired and clustered, and McNemar's test.

Questions about one picture are not independent: where clusters are given, whole clusters are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eval.errors import InputError

__all__ = ["Interval", "McNemar", "bootstrap_mean", "mcnemar", "paired_bootstrap"]

_BATCH_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval, in the unit of the values."""

    mean: float
    low: float
    high: float
    confidence: float = 0.95

    def scaled(self, factor: float) -> Interval:
        """The same interval in another unit."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor, self.confidence)


def bootstrap_mean(
    values: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of a mean.

    Args:
        values: (Q,) numbers.
        clusters: (Q,) cluster number of each value; None draws single values.
        samples: resamples.
        confidence: mass of the interval.
        seed: of the generator.

    Raises:
        InputError: no values, or clusters of another length.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        raise InputError("bootstrap: no values")
    size: tuple[np.ndarray, int] | np.ndarray | None
    if clusters is None:
        total, size = _grouped_by_value(values)
    else:
        total, size = _grouped_by_cluster(values, np.asarray(clusters))
    means = _resampled_means(total, size, samples, np.random.default_rng(seed))
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high), confidence)


def _grouped_by_value(values: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, int] | None]:
    """Few distinct values (rights and wrongs): (value, (how many of each, Q)); else (values, None).

    Drawing Q values with replacement is then one multinomial draw, exactly and at once.
    """
    distinct, number = np.unique(values, return_counts=True)
    if len(distinct) <= 64:
        return distinct, (number, len(values))
    return values, None


def _grouped_by_cluster(values: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(clusters) != len(values):
        raise InputError(f"clusters: expected {len(values)} numbers, got {len(clusters)}")
    _, place = np.unique(clusters, return_inverse=True)
    return np.bincount(place, values), np.bincount(place).astype(np.float64)


def _resampled_means(
    total: np.ndarray,
    size: tuple[np.ndarray, int] | np.ndarray | None,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(samples,) means of resamples."""
    if isinstance(size, tuple):
        number, count = size
        return rng.multinomial(count, number / count, size=samples) @ total / count
    units, means = len(total), []
    step = max(1, _BATCH_ELEMENTS // units)
    for start in range(0, samples, step):
        draw = rng.integers(0, units, size=(min(step, samples - start), units))
        weight = 1.0 * units if size is None else size[draw].sum(axis=1)
        means.append(total[draw].sum(axis=1) / weight)
    return np.concatenate(means)


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of mean(first - second) over the same questions.

    Raises:
        InputError: columns of different length.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(first) != len(second):
        raise InputError(f"paired bootstrap: {len(first)} values against {len(second)}")
    return bootstrap_mean(
        first - second, clusters=clusters, samples=samples, confidence=confidence, seed=seed
    )


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two answerers over the same questions."""

    only_first: int
    """Questions that only the first answers rightly."""
    only_second: int
    p_value: float
    """Two-sided; exact binomial up to 10,000 differing questions, else the corrected chi-square."""
    exact: bool


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Compare two (Q,) columns of rights and wrongs.

    Raises:
        InputError: columns of different length.
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if len(first) != len(second):
        raise InputError(f"McNemar: {len(first)} answers against {len(second)}")
    one = int(np.count_nonzero(first & ~second))
    two = int(np.count_nonzero(~first & second))
    differing = one + two
    if differing <= 10_000:
        return McNemar(one, two, _exact_binomial(min(one, two), differing), True)
    statistic = (abs(one - two) - 1) ** 2 / differing
    return McNemar(one, two, math.erfc(math.sqrt(max(statistic, 0.0) / 2)), False)


def _exact_binomial(smaller: int, count: int) -> float:
    """Two-sided probability of at most `smaller` successes in `count` fair throws."""
    if count == 0:
        return 1.0
    log_half = count * math.log(2)
    terms = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) - log_half
        for k in range(smaller + 1)
    ]
    top = max(terms)
    tail = math.exp(top) * math.fsum(math.exp(term - top) for term in terms)
    return min(1.0, 2 * tail)
