"""GQA-OOD (Kervadec et al. 2021): accuracy on rare (tail) and frequent (head) answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.figures import Figure
from eval.gqa_table import question_batches
from eval.predictions import Predictions, as_predictions
from eval.problems import Problems

__all__ = ["OODScores", "score_gqa_ood"]


@dataclass
class OODScores:
    """Accuracies in percent over the questions of each file, balanced or not."""

    all: Figure
    head: Figure
    tail: Figure
    delta: Figure
    """(head - tail) / tail in percent: how much better frequent answers are found."""
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain figures."""
        figures = {"all": self.all, "head": self.head, "tail": self.tail, "delta": self.delta}
        result: dict[str, Any] = {name: figure.value for name, figure in figures.items()}
        result["count"] = {name: figure.count for name, figure in figures.items()}
        result["notes"] = self.notes
        return result


def score_gqa_ood(
    head: Path | Mapping[str, Any],
    tail: Path | Mapping[str, Any],
    predictions: Predictions | Mapping[str, str] | Path,
    *,
    missing: str = "error",
    normalize: bool = False,
) -> OODScores:
    """Score against the head and tail question files; `all` is both together.

    Raises:
        InputError: records without answer, ids in both files, missing predictions under "error".
    """
    given = as_predictions(predictions, normalize=normalize, missing=missing)
    problems, absent, seen = Problems(), 0, set()
    counts: dict[str, list[int]] = {"head": [0, 0], "tail": [0, 0]}
    for part, questions in (("head", head), ("tail", tail)):
        for source, batch in question_batches(questions):
            for identifier, record in batch.items():
                answer = record.get("answer") if isinstance(record, Mapping) else None
                if not isinstance(answer, str):
                    problems.add(source, identifier, "answer", "expected a text")
                    continue
                if identifier in seen:
                    problems.add(source, identifier, "", "the id occurs twice")
                seen.add(identifier)
                prediction = given.answers.get(identifier)
                absent += prediction is None
                if prediction is None and missing == "error":
                    problems.add(given.source, identifier, "", "no prediction")
                counts[part][0] += prediction == answer
                counts[part][1] += 1
    problems.raise_if_any()
    figures = {name: _percent(right, count) for name, (right, count) in counts.items()}
    both = [sum(pair) for pair in zip(*counts.values(), strict=True)]
    first, second = figures["head"].value, figures["tail"].value
    if first is None or not second:
        delta = Figure(None, 0, "no head question, or no tail question answered rightly")
    else:
        delta = Figure((first - second) / second * 100, both[1])
    notes = [f"missing: {absent} questions have no prediction and count wrong"] if absent else []
    return OODScores(_percent(*both), figures["head"], figures["tail"], delta, notes)


def _percent(right: int, count: int) -> Figure:
    return Figure(right / count * 100, count) if count else Figure(None, 0, "no questions")
