"""Weights that make the right readings likely: maximum likelihood with a prior, by L-BFGS.

Legend: R readings of all E examples, F features; `scores = matrix @ weights` (R,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gqa_reasoner.program.parsing.chart import Features

__all__ = ["Candidates", "fit"]

Floats = NDArray[np.float64]
_MEMORY = 10


@dataclass(frozen=True)
class Candidates:
    """The readings of one example: their features, which are right, and the example's weight."""

    features: Sequence[Features]
    right: Sequence[bool]
    weight: float = 1.0


def fit(
    candidates: Sequence[Candidates],
    start: Mapping[str, float],
    prior: Mapping[str, float],
    *,
    penalty: float,
    iterations: int = 60,
) -> tuple[dict[str, float], float]:
    """Maximize the log-likelihood that a right reading is taken, less the penalty.

    Args:
        candidates: examples; those without a right or without a wrong reading teach nothing.
        start: weights to begin with.
        prior: weights that the penalty pulls towards (0 where absent).
        penalty: half of it times the squared distance from the prior is paid.
        iterations: L-BFGS steps at most.

    Returns:
        the weights, and the mean negative log-likelihood of the examples that teach.
    """
    useful = [one for one in candidates if any(one.right) and not all(one.right)]
    index: dict[str, int] = {}
    columns: list[int] = []
    values: list[float] = []
    lengths: list[int] = []
    for one in useful:
        for features in one.features:
            lengths.append(len(features))
            for name, value in features:
                columns.append(index.setdefault(name, len(index)))
                values.append(value)
    if not useful:
        return dict(start), 0.0
    problem = _Problem(
        np.array(columns),
        np.array(values),
        np.array(lengths),
        np.array([len(one.features) for one in useful]),
        np.array([good for one in useful for good in one.right]),
        np.array([one.weight for one in useful]),
        np.array([prior.get(name, 0.0) for name in index]),
        penalty,
    )
    begin = np.array([start.get(name, prior.get(name, 0.0)) for name in index])
    weights = _minimize(problem, begin, iterations)
    loss = problem.likelihood(weights) / max(float(problem.weights.sum()), 1e-9)
    return {**prior, **dict(zip(index, weights.tolist(), strict=True))}, loss


class _Problem:
    """The penalized negative log-likelihood and its gradient."""

    def __init__(
        self,
        columns: NDArray[np.int64],
        values: Floats,
        lengths: NDArray[np.int64],
        sizes: NDArray[np.int64],
        right: NDArray[np.bool_],
        weights: Floats,
        prior: Floats,
        penalty: float,
    ) -> None:
        self.columns, self.values = columns, values
        self.rows = np.repeat(np.arange(len(lengths)), lengths)
        self.examples = np.repeat(np.arange(len(sizes)), sizes)
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.right, self.weights, self.prior = right, weights, prior
        self.penalty, self.count = penalty, len(lengths)

    def _masses(self, point: Floats) -> tuple[Floats, Floats, Floats]:
        scores = np.bincount(self.rows, self.values * point[self.columns], self.count)
        scores -= np.maximum.reduceat(scores, self.starts)[self.examples]
        masses = np.exp(scores)
        whole = np.add.reduceat(masses, self.starts)
        good = np.maximum(np.add.reduceat(masses * self.right, self.starts), 1e-30)
        return masses, whole, good

    def likelihood(self, point: Floats) -> float:
        """Negative log-likelihood alone."""
        _, whole, good = self._masses(point)
        return float((self.weights * np.log(whole / good)).sum())

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        """Value and gradient (F,) of the penalized loss."""
        masses, whole, good = self._masses(point)
        pull = masses / whole[self.examples] - masses * self.right / good[self.examples]
        pull *= self.weights[self.examples]
        gradient = np.bincount(self.columns, self.values * pull[self.rows], len(point))
        away = point - self.prior
        value = (self.weights * np.log(whole / good)).sum() + self.penalty / 2 * (away**2).sum()
        return float(value), gradient + self.penalty * away


def _minimize(
    function: Callable[[Floats], tuple[float, Floats]], point: Floats, iterations: int
) -> Floats:
    """L-BFGS with a backtracking line search (Nocedal & Wright 2006, algorithm 7.5)."""
    value, gradient = function(point)
    steps: list[tuple[Floats, Floats]] = []
    for _ in range(iterations):
        direction = -_two_loops(gradient, steps)
        slope = float(direction @ gradient)
        if slope > -1e-9:
            break
        length = 1.0 if steps else min(1.0, 1.0 / float(np.abs(gradient).sum() + 1e-12) * 100)
        for _ in range(25):
            following = point + length * direction
            new_value, new_gradient = function(following)
            if new_value <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break
        moved, turned = following - point, new_gradient - gradient
        if float(moved @ turned) > 1e-10:
            steps = [*steps[-_MEMORY + 1 :], (moved, turned)]
        done = abs(value - new_value) < 1e-6 * max(abs(value), 1.0)
        point, value, gradient = following, new_value, new_gradient
        if done:
            break
    return point


def _two_loops(gradient: Floats, steps: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The inverse Hessian's estimate times the gradient."""
    result = gradient.copy()
    shares = []
    for moved, turned in reversed(steps):
        share = float(moved @ result) / float(moved @ turned)
        result -= share * turned
        shares.append(share)
    if steps:
        moved, turned = steps[-1]
        result *= float(moved @ turned) / float(turned @ turned)
    for (moved, turned), share in zip(steps, reversed(shares), strict=True):
        result += moved * (share - float(turned @ result) / float(moved @ turned))
    return result
