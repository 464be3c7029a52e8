"""`Execution`, the result of a program, and `Run`, the state while its steps are worked off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gqa_reasoner.program.evidence import Evidence, TripleLookup

__all__ = ["Execution", "Run", "StepResult", "normalize", "tempered"]

PRESUPPOSED = 0.9
"""Prior that a thing which a question mentions ("the dog") is there."""
FALLBACK_TRUST = 0.8
"""How far a description holds when its last filter fits nothing (it may just be unreported)."""
ABSENT = 0.15
"""Below this, soft mode notes that a thing was not found."""


@dataclass(slots=True)
class StepResult:
    """What one step gives.

    `weights` (N,): P(object fits the description); `referent` (N,): which object the description
    means, sum 1 (or 0 where nothing is there); `presence`: P(what it presupposes is there);
    `factors`: how many probabilities were multiplied into a weight.
    """

    weights: np.ndarray | None = None
    referent: np.ndarray | None = None
    presence: float = 1.0
    name: str | None = None
    factors: int = 1
    is_scene: bool = False
    truth: float | None = None
    distribution: dict[str, float] | None = None


@dataclass
class Execution:
    """The answer of a program on a scene, with what each step found.

    Attributes:
        answer: the likeliest answer.
        answer_distribution: answers to probabilities, sum 1.
        notes: what was missing or guessed, in words.
        failed: whether the answer rests on nothing in the scene.
        results: one `StepResult` per step.
        size: number of objects of the scene.
    """

    answer: str
    answer_distribution: dict[str, float]
    notes: list[str]
    failed: bool
    results: list[StepResult] = field(repr=False)
    size: int = 0

    @property
    def step_weights(self) -> list[np.ndarray]:
        """Per step the weights over the scene's objects, (N,); zeros for steps without objects."""
        return [
            np.zeros(self.size) if result.weights is None else result.weights
            for result in self.results
        ]

    @property
    def step_truth(self) -> list[float | None]:
        """Per step P(yes); None for steps that are not true or false."""
        return [result.truth for result in self.results]


class Run:
    """One execution under way: evidence, earlier results, notes."""

    __slots__ = ("context", "evidence", "failed", "hard", "notes", "results", "triples", "use_ids")

    def __init__(
        self,
        evidence: Evidence,
        use_ids: bool,
        context: Any = None,
        triples: TripleLookup | None = None,
    ) -> None:
        self.evidence = evidence
        self.hard = evidence.hard
        self.use_ids = use_ids
        self.context = context
        self.triples = triples
        self.results: list[StepResult] = []
        self.notes: list[str] = []
        self.failed = False

    def note(self, text: str, *, failed: bool = False) -> None:
        """Remember once what was missing."""
        if text not in self.notes:
            self.notes.append(text)
        self.failed = self.failed or failed

    def objects(
        self,
        weights: np.ndarray,
        name: str | None,
        missing: str,
        fallback: np.ndarray | None = None,
        fallback_presence: float = 0.0,
        factors: int = 1,
    ) -> StepResult:
        """A step that describes objects.

        Args:
            weights: P(object fits), (N,).
            name: the naming word, None for `_`.
            missing: the note where nothing fits.
            fallback: the referent to go on with where nothing fits, sum 1, (N,).
            fallback_presence: how far the fallback may be presupposed.
            factors: how many probabilities were multiplied into a weight.
        """
        total = float(weights.sum())
        if self.hard:
            if total > 0:
                return StepResult(weights, weights / total, 1.0, name)
            self.note(missing)
            empty = np.zeros_like(weights)
            if fallback is None or fallback_presence == 0:
                return StepResult(weights, empty, 0.0, name)
            return StepResult(weights, fallback, fallback_presence, name)
        top = float(weights.max()) if weights.size else 0.0
        presence = top * PRESUPPOSED / (top * PRESUPPOSED + (1 - top) * (1 - PRESUPPOSED))
        if top < ABSENT:
            self.note(missing)
        squares = weights * weights
        mass = float(squares.sum())
        if mass > 1e-12:
            referent = squares / mass
        else:
            referent = np.zeros_like(weights) if fallback is None else fallback
        presence = max(presence, FALLBACK_TRUST * fallback_presence)
        return StepResult(weights, referent, presence, name, factors)


def tempered(product: float, factors: int) -> float:
    """A product of `factors` probabilities as one, `product ** (1 / sqrt(factors))`.

    Scores of one detector for one object rise and fall together, so their plain product is too
    low; the root lies between full dependence (the geometric mean) and independence.
    """
    return product ** (1 / math.sqrt(factors))


def normalize(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights scaled to sum 1; all equal where every one is 0; values below 0 count as 0."""
    total = sum(value for value in weights.values() if value > 0)
    if total <= 0:
        return {name: 1 / len(weights) for name in weights}
    return {name: max(value, 0.0) / total for name, value in weights.items()}
