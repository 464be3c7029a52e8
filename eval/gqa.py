"""GQA's figures (Hudson & Manning 2019, section 4.4), equal to the official script's.

Over the questions with `isBalanced`. Where that script stops or prints 0.00 for what it cannot
compute, these figures are `None` with the reason, and what was left out is said in `notes`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eval.calibration import Calibration, calibration
from eval.errors import InputError
from eval.figures import Figure, share
from eval.gqa_choices import ChoiceScores, score_choices
from eval.gqa_columns import ABSENT, RIGHT, UNPREDICTED, Observer
from eval.gqa_table import QuestionTable, read_table
from eval.predictions import Predictions, as_predictions
from eval.problems import Problems

__all__ = ["BREAKDOWNS", "FIGURES", "Figure", "GQAScores", "score_gqa", "score_table"]

FIGURES = (
    "binary",
    "open",
    "accuracy",
    "consistency",
    "validity",
    "plausibility",
    "grounding",
    "distribution",
)
"""The official figures in the order the official script prints them."""
BREAKDOWNS = ("structural", "semantic", "detailed", "steps", "words")
Missing = Literal["error", "wrong"]


@dataclass
class GQAScores:
    """All figures, the breakdowns of accuracy, and notes on what was left out."""

    figures: dict[str, Figure]
    by: dict[str, dict[str, Figure]]
    notes: list[str]
    table: QuestionTable
    extra: dict[str, Figure] = field(default_factory=dict)
    """Figures of our own, such as `groundingCorrected` and `calibrationError` (ECE, percent)."""
    calibration: Calibration | None = None

    def __getitem__(self, name: str) -> float | None:
        return self.figures[name].value

    def set_grounding(self, official: Figure, corrected: Figure | None = None) -> None:
        """Put the grounding figures in, and take the note of its absence out."""
        self.figures["grounding"] = official
        self.notes[:] = [note for note in self.notes if not note.startswith("grounding: n/a")]
        if corrected is not None:
            self.extra["groundingCorrected"] = corrected

    def to_json(self) -> dict[str, Any]:
        """The form of `evaluate --json`; `by` holds percentages, `count` the numbers behind."""
        result: dict[str, Any] = {name: self.figures[name].value for name in FIGURES}
        result |= {name: figure.value for name, figure in self.extra.items()}
        groups = self.by.items()
        result["by"] = {k: {n: f.value for n, f in part.items()} for k, part in groups}
        result["count"] = {name: figure.count for name, figure in self.figures.items()}
        result["count"]["by"] = {k: {n: f.count for n, f in part.items()} for k, part in groups}
        both = (self.figures | self.extra).items()
        result["reasons"] = {name: f.reason for name, f in both if f.value is None}
        result["notes"] = list(self.notes)
        return result


@contextmanager
def _without_collector() -> Iterator[None]:
    """Records form no cycles: the cyclic collector would only walk them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def score_gqa(
    questions: Path | Mapping[str, Any],
    predictions: Predictions | Mapping[str, str] | Path,
    *,
    choices: Path | Mapping[str, Any] | None = None,
    missing: Missing = "error",
    normalize: bool = False,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> GQAScores:
    """Score predictions in one streaming pass.

    Args:
        questions: a questions file, a folder of such files, or {id: record}.
        predictions: a prediction file, {id: answer}, or `Predictions`.
        choices: a choices file ({id: {"valid": [...], "plausible": [...]}}) or its content.
        missing: "error" refuses unpredicted questions, "wrong" counts them wrong.
        normalize: bring predictions into the form of GQA's answers first.
        observe: see `read_table`.
        progress: see `read_table`.

    Raises:
        InputError: input that cannot be scored, one line per problem, up to 20.
    """
    with _without_collector():
        given = as_predictions(predictions, normalize=normalize, missing=missing)
        table = read_table(questions, given, observe=observe, progress=progress)
        _refuse_missing(table, missing)
        chosen = None if choices is None else score_choices(table, choices)
    scores = score_table(table, chosen)
    _add_calibration(scores)
    if normalize and given.unnormalized:
        scores.notes.append(f"{given.unnormalized} predictions were normalized (--normalize)")
    return scores


def _add_calibration(scores: GQAScores) -> None:
    """ECE, where the predictions of all balanced questions come with confidences."""
    table = scores.table
    confidences = table.predictions.scores
    if not confidences:
        return
    values = [confidences.get(identifier) for identifier in table.ids()]
    known = np.array([value is not None for value in values], dtype=bool)
    if not known.all():
        scores.notes.append(f"calibration: {int((~known).sum())} predictions have no score")
    if known.any():
        given = np.array([value for value in values if value is not None])
        scores.calibration = calibration(given, table.correct()[known])
        error = scores.calibration.error * 100
        scores.extra["calibrationError"] = Figure(error, len(given))


def _refuse_missing(table: QuestionTable, missing: Missing) -> None:
    """Under "error": every balanced question, and either no or every other one, is predicted."""
    if missing == "wrong":
        return
    if missing != "error":
        raise InputError(f"missing: expected 'error' or 'wrong', got {missing!r}")
    problems = Problems()
    source, what = table.predictions.source, "no prediction (--missing wrong counts it wrong)"
    balanced, others = table.missing()
    for identifier in balanced + (others if table.unbalanced_predicted else []):
        problems.add(source, identifier, "", what)
    problems.raise_if_any()


def score_table(table: QuestionTable, choices: ChoiceScores | None = None) -> GQAScores:
    """The figures of columns that are already read."""
    correct = table.correct()
    notes = _notes(table)
    kinds = list(table.kinds)
    kind = table.kind
    is_open = np.array([k[0] == "query" for k in kinds], dtype=bool)[kind]
    known = np.array([k[0] is not None for k in kinds], dtype=bool)[kind]
    no_choices = "no choices file given"
    figures = {
        "binary": share(correct[known & ~is_open], "no binary question among the balanced ones"),
        "open": share(correct[is_open], "no open question among the balanced ones"),
        "accuracy": share(correct, "no balanced question"),
        "consistency": _consistency(table, notes),
        "validity": choices.validity if choices else Figure(None, 0, no_choices),
        "plausibility": choices.plausibility if choices else Figure(None, 0, no_choices),
        "grounding": Figure(None, 0, "no attention file and scene graphs given"),
        "distribution": _distribution(table),
    }
    notes.extend(f"{n}: n/a, {f.reason}" for n, f in figures.items() if f.value is None)
    return GQAScores(figures, _breakdowns(kinds, kind, correct), notes, table)


def _consistency(table: QuestionTable, notes: list[str]) -> Figure:
    """Mean over rightly answered questions of the accuracy over what they entail."""
    counts = table.entailed_count
    if not len(counts):
        return Figure(None, 0, "no rightly answered question entails another one")
    status = np.where(table.entailed < 0, ABSENT, table.status[table.entailed])
    owner = np.repeat(np.arange(len(counts)), counts)
    used = np.bincount(owner, status != ABSENT, len(counts))
    right = np.bincount(owner, status == RIGHT, len(counts))
    some = used > 0
    outside = int(np.count_nonzero(status == ABSENT))
    if outside:
        notes.append(
            f"consistency: {outside} of {len(status)} entailed ids are not in the questions file "
            f"and left out; used {len(status) - outside} ids of {int(some.sum())} questions"
        )
    unpredicted = int(np.count_nonzero(status == UNPREDICTED))
    if unpredicted and table.unbalanced and not table.unbalanced_predicted:
        reason = f"{unpredicted} entailed questions are not predicted (only balanced ones are)"
        return Figure(None, 0, reason)
    if not some.any():
        return Figure(None, 0, "no entailed question is in the questions file")
    share = right[some] / used[some]
    return Figure(float(share.sum()) / len(share) * 100, len(share))


def _distribution(table: QuestionTable) -> Figure:
    """Chi-square of the predicted against the gold answers per global group, in hundreds."""
    gold: dict[str, dict[str, int]] = {}
    predicted: dict[tuple[str, str | None], int] = {}
    number = np.bincount(table.cell, minlength=len(table.cells)).tolist()
    for (group, answer, prediction), count in zip(table.cells, number, strict=True):
        if group is not None:
            part = gold.setdefault(group, {})
            part[answer] = part.get(answer, 0) + count
            key = (group, prediction)
            predicted[key] = predicted.get(key, 0) + count
    if not gold:
        return Figure(None, 0, "no balanced question is in a global group")
    total, weight = 0.0, 0
    for group, answers in gold.items():
        score = sum((predicted.get((group, a), 0) - e) ** 2 / e for a, e in answers.items())
        size = sum(answers.values())
        total, weight = total + score * size, weight + size
    return Figure(total / weight / 100, weight)


def _breakdowns(
    kinds: list[Any], kind: np.ndarray, correct: np.ndarray
) -> dict[str, dict[str, Figure]]:
    """Accuracy and count per structural, semantic, detailed type, steps and words."""
    count = np.bincount(kind, minlength=len(kinds)).tolist()
    right = np.bincount(kind, correct, len(kinds)).tolist()
    result: dict[str, dict[str, Figure]] = {}
    for place, name in enumerate(BREAKDOWNS):
        sums: dict[Any, list[float]] = {}
        for key, n, r in zip(kinds, count, right, strict=True):
            if key[place] is not None:
                part = sums.setdefault(key[place], [0, 0])
                part[0] += n
                part[1] += r
        result[name] = {str(k): Figure(r / n * 100, int(n)) for k, (n, r) in sorted(sums.items())}
    return result


_NEEDS = {
    "types": "the binary, open and type figures",
    "groups": "distribution",
    "entailed": "consistency",
    "semantic": "the breakdown by steps",
    "question": "the breakdown by words",
    "imageId": "figures by picture",
}


def _notes(table: QuestionTable) -> list[str]:
    given, notes = table.predictions, []
    balanced, others = table.missing()
    if balanced:
        notes.append(
            f"missing: {len(balanced)} of {len(table)} balanced questions have no prediction and "
            f"count wrong (first: {balanced[0]})"
        )
    if table.unbalanced_predicted and others:
        notes.append(
            f"missing: {len(others)} of {table.unbalanced} other questions have no prediction "
            "and count wrong for consistency"
        )
    if given.nulls:
        notes.append(f"null: {len(given.nulls)} predictions are null and count as missing")
    asked = len(table) + table.unbalanced
    extra = len(given.answers) - (asked - len(balanced) - len(others))
    if extra:
        notes.append(f"extra: {extra} predictions answer no question of the file and are ignored")
    if given.unnormalized:
        notes.append(
            f"form: {given.unnormalized} predictions are not in the form of GQA's answers (lower "
            f"case, no dot at the end), first {given.unnormalized_example!r}"
        )
    for name, count in table.lacking.items():
        notes.append(f"{name}: absent in {count} balanced questions, left out of {_NEEDS[name]}")
    return notes
