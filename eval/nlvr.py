"""NLVR and NLVR2 (Suhr et al. 2017, 2019): accuracy, and consistency over a sentence's pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eval.errors import InputError
from eval.figures import Figure
from eval.predictions import read_predictions
from eval.problems import Problems, shown

__all__ = ["NLVRScores", "read_nlvr", "read_nlvr_predictions", "score_nlvr", "sentence_of"]


@dataclass
class NLVRScores:
    """`consistency` is the percent of sentences that are right for every picture."""

    accuracy: Figure
    consistency: Figure
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain figures."""
        return {
            "accuracy": self.accuracy.value,
            "consistency": self.consistency.value,
            "count": {"accuracy": self.accuracy.count, "consistency": self.consistency.count},
            "notes": self.notes,
        }


def sentence_of(identifier: str) -> str:
    """The sentence of an example: `1572-0` → `1572`; NLVR2's `dev-850-0-1` → `dev-850--1`.

    Raises:
        InputError: an identifier of another form.
    """
    parts = identifier.split("-")
    if len(parts) == 2:
        return parts[0]
    if len(parts) == 4:
        return "-".join([parts[0], parts[1], "", parts[3]])
    raise InputError(f"identifier: expected 1572-0 or dev-850-0-1, got {identifier!r}")


def read_nlvr(path: Path) -> list[Mapping[str, Any]]:
    """Examples, one JSON object per line.

    Raises:
        InputError: lines that are not JSON objects.
    """
    examples = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        if line.strip():
            try:
                examples.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise InputError(f"{path}: line {number}: not valid JSON ({error})") from error
    return examples


def read_nlvr_predictions(path: Path) -> dict[str, str]:
    """Predictions as `identifier,label` lines (the official form) or JSON.

    Raises:
        InputError: lines of another form, ids that occur twice.
    """
    path = Path(path)
    if path.suffix in (".json", ".gz"):
        return read_predictions(path).answers
    problems, found = Problems(), {}
    with path.open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.reader(stream), 1):
            if not row:
                continue
            if len(row) != 2:
                problems.add(path, f"line {number}", "", f"expected identifier,label, got {row}")
            elif row[0] in found:
                problems.add(path, f"line {number}", row[0], "occurs twice")
            else:
                found[row[0].strip()] = row[1].strip()
    problems.raise_if_any()
    return found


def score_nlvr(
    examples: Iterable[Mapping[str, Any]],
    predictions: Mapping[str, str],
    *,
    missing: str = "error",
    source: str = "examples",
) -> NLVRScores:
    """Labels are compared without regard to case, as the official script does.

    Raises:
        InputError: broken examples, or missing predictions under "error".
    """
    problems, right, count, absent = Problems(), 0, 0, 0
    whole: dict[str, bool] = {}
    for number, example in enumerate(examples):
        try:
            identifier, label = example["identifier"], example["label"].lower()
            sentence = sentence_of(identifier)
        except (KeyError, TypeError, AttributeError):
            what = f"expected identifier and label, got {shown(example)}"
            problems.add(source, f"record {number}", "", what)
            continue
        prediction = predictions.get(identifier)
        if prediction is None:
            absent += 1
            if missing == "error":
                problems.add("predictions", identifier, "", "no prediction")
        correct = prediction is not None and prediction.lower() == label
        count, right = count + 1, right + correct
        whole[sentence] = whole.get(sentence, True) and correct
    problems.raise_if_any()
    if not count:
        raise InputError(f"{source}: holds no examples")
    notes = [f"missing: {absent} examples have no prediction and count wrong"] if absent else []
    consistency = Figure(sum(whole.values()) / len(whole) * 100, len(whole))
    return NLVRScores(Figure(right / count * 100, count), consistency, notes)
