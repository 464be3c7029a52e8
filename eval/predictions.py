"""Prediction files: `[{"questionId", "prediction"}]` or `{question id: prediction}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from eval.errors import InputError
from eval.json_stream import load_pairs, parse, pieces
from eval.problems import Problems, shown

__all__ = ["Predictions", "as_predictions", "normalize_answer", "read_predictions"]

_BLANKS = re.compile(r"\s+")


def normalize_answer(text: str) -> str:
    """The form of GQA's own answers: lower case, single blanks, no dot at the end."""
    return _BLANKS.sub(" ", text).strip().lower().rstrip(".").rstrip()


@dataclass
class Predictions:
    """Predictions by question id, and what was odd about them.

    `scores` holds confidences in [0, 1] where the file gives a `score` per record.
    """

    answers: dict[str, str]
    source: str = "predictions"
    scores: dict[str, float] = field(default_factory=dict)
    unnormalized: int = 0
    """How many predictions are not in the form of GQA's answers."""
    unnormalized_example: str = ""
    nulls: list[str] = field(default_factory=list)
    """Ids whose prediction is null (only where `missing="wrong"` let them pass)."""

    @classmethod
    def from_mapping(cls, answers: Mapping[str, str], *, normalize: bool = False) -> Predictions:
        """Predictions already in memory.

        Raises:
            InputError: ids or predictions that are not strings.
        """
        return _collect(answers.items(), "predictions", normalize=normalize, missing="error")


def read_predictions(path: Path, *, normalize: bool = False, missing: str = "error") -> Predictions:
    """Read a prediction file in either form.

    Args:
        path: JSON (or .json.gz) file.
        normalize: bring predictions into the form of GQA's answers.
        missing: "error" refuses null predictions, "wrong" counts them as missing.

    Raises:
        InputError: one line per problem: not JSON, ids that are not strings or occur twice,
            predictions that are not strings.
    """
    path = Path(path)
    return _collect(_pairs(path), str(path), normalize=normalize, missing=missing)


def _pairs(path: Path) -> Iterable[tuple[Any, ...]]:
    """(id, prediction[, score]) of every record; a broken record is passed as (record,)."""
    for piece in pieces(path):
        if piece.data[:1] == b"{":
            yield from load_pairs(path)
            return
        for record in cast("list[Any]", parse(piece)):
            try:
                if "score" in record:
                    yield record["questionId"], record["prediction"], record["score"]
                else:
                    yield record["questionId"], record["prediction"]
            except (KeyError, TypeError):
                yield (record,)


def _collect(
    pairs: Iterable[tuple[Any, ...]], source: str, *, normalize: bool, missing: str
) -> Predictions:
    problems, found = Problems(), Predictions({}, source)
    answers = found.answers
    intern: dict[str, str] = {}
    regular: dict[str, str] = {}
    number = -1
    for number, pair in enumerate(pairs):
        if len(pair) == 1 or type(pair[0]) is not str or type(pair[1]) is not str:
            _explain(pair, number, found, problems, missing)
            continue
        identifier, prediction = pair[0], pair[1]
        form = regular.get(prediction)
        if form is None:
            form = regular.setdefault(
                intern.setdefault(prediction, prediction), normalize_answer(prediction)
            )
        if form != prediction:
            found.unnormalized += 1
            found.unnormalized_example = found.unnormalized_example or prediction
        if identifier in answers:
            problems.add(source, identifier, "questionId", "occurs twice; expected once")
            continue
        answers[identifier] = form if normalize else intern[prediction]
        if len(pair) > 2:
            _add_score(pair, found, problems)
    if number < 0:
        problems.add(source, "", "", "holds no predictions")
    problems.raise_if_any()
    return found


def _add_score(pair: tuple[Any, ...], found: Predictions, problems: Problems) -> None:
    score = pair[2]
    if not isinstance(score, (int, float)) or not 0 <= score <= 1:
        problems.add(found.source, pair[0], "score", f"expected 0 to 1, got {shown(score)}")
    else:
        found.scores[pair[0]] = float(score)


def _explain(
    pair: tuple[Any, ...], number: int, found: Predictions, problems: Problems, missing: str
) -> None:
    """Say what is wrong with one record (or let a null pass as missing)."""
    source, where = found.source, f"record {number}"
    if len(pair) == 1:
        what = 'expected {"questionId": text, "prediction": text}'
        problems.add(source, where, "", f"{what}, got {shown(pair[0])}")
    elif type(pair[0]) is not str:
        what = f"expected a text, got {shown(pair[0])} ({type(pair[0]).__name__})"
        problems.add(source, where, "questionId", what)
    elif pair[1] is None and missing == "wrong":
        found.nulls.append(pair[0])
    else:
        got = "null" if pair[1] is None else f"{shown(pair[1])} ({type(pair[1]).__name__})"
        problems.add(source, pair[0], "prediction", f"expected a text, got {got}")


def as_predictions(
    predictions: Predictions | Mapping[str, str] | Path, *, normalize: bool, missing: str
) -> Predictions:
    """Predictions from a file, a mapping or themselves.

    Raises:
        InputError: see `read_predictions`.
    """
    if isinstance(predictions, Predictions):
        return predictions
    if isinstance(predictions, Mapping):
        return Predictions.from_mapping(predictions, normalize=normalize)
    if not isinstance(predictions, (str, Path)):
        raise InputError(f"predictions: expected a path or a mapping, got {type(predictions)}")
    return read_predictions(Path(predictions), normalize=normalize, missing=missing)
