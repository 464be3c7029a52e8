"""VQA v2 accuracy (Goyal et al. 2017) with the official normalization of answers.

Per annotator the prediction scores min(1, matches among the other nine / 3); a question's accuracy
is the mean over its annotators. Answers are normalized where the annotators disagree.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eval.errors import InputError
from eval.figures import Figure
from eval.json_stream import load
from eval.problems import Problems, shown

__all__ = ["VQAScores", "normalize_vqa", "read_vqa", "score_vqa", "vqa_accuracy"]

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
_COMMA_IN_NUMBER = re.compile(r"(\d)(,)(\d)")
_PERIODS_REMOVED = 32
"""The official script removes at most this many (it passes a flag where a count belongs)."""
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)} | {"none": "0"}
_CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's
won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""


def _missing_apostrophes() -> dict[str, str]:
    """Every contraction with one apostrophe left out, to the right spelling."""
    table = {"somebody'd": "somebodyd"}
    for word in _CONTRACTED.split():
        for place, letter in enumerate(word):
            if letter == "'":
                table[word[:place] + word[place + 1 :]] = word
    return table


_CONTRACTIONS = _missing_apostrophes()


def normalize_vqa(answer: str) -> str:
    """The official form of an answer: punctuation, number words, articles, apostrophes."""
    text = answer
    in_number = _COMMA_IN_NUMBER.search(answer) is not None
    for mark in _PUNCTUATION:
        beside_blank = f"{mark} " in answer or f" {mark}" in answer
        text = text.replace(mark, "" if beside_blank or in_number else " ")
    text = _PERIOD.sub("", text, count=_PERIODS_REMOVED)
    words = [_DIGITS.get(word, word) for word in text.lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy of one prediction against the annotators' answers, 0 to 1."""
    prediction = _plain(prediction)
    given = [_plain(answer) for answer in answers]
    if len(set(given)) > 1:
        prediction = normalize_vqa(prediction)
        given = [normalize_vqa(answer) for answer in given]
    matches = sum(answer == prediction for answer in given)
    scores = [min(1.0, (matches - (answer == prediction)) / 3) for answer in given]
    return sum(scores) / len(scores)


def _plain(answer: str) -> str:
    return answer.replace("\n", " ").replace("\t", " ").strip()


@dataclass
class VQAScores:
    """Accuracies in percent."""

    overall: Figure
    by_answer_type: dict[str, Figure]
    by_question_type: dict[str, Figure]
    per_question: dict[str, float]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain figures."""
        return {
            "accuracy": self.overall.value,
            "count": self.overall.count,
            "by": {
                "answer_type": {k: f.value for k, f in self.by_answer_type.items()},
                "question_type": {k: f.value for k, f in self.by_question_type.items()},
            },
            "notes": self.notes,
        }


def read_vqa(path: Path) -> list[Mapping[str, Any]]:
    """Questions with answers: a JSON list, official annotations, or one object per line (gz too).

    Raises:
        InputError: another form.
    """
    path = Path(path)
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            try:
                return [orjson.loads(line) for line in stream if line.strip()]
            except orjson.JSONDecodeError as error:
                raise InputError(f"{path}: a line is not valid JSON ({error})") from error
    value = load(path)
    value = value.get("annotations") if isinstance(value, dict) else value
    if not isinstance(value, list):
        raise InputError(f"{path}: expected a list of questions or an object with annotations")
    return value


def score_vqa(
    questions: Iterable[Mapping[str, Any]],
    predictions: Mapping[str, str],
    *,
    missing: str = "error",
    source: str = "questions",
) -> VQAScores:
    """Score predictions by question id (as text).

    Raises:
        InputError: broken records, repeated ids, or missing predictions under "error".
    """
    problems, notes = Problems(), []
    rows: list[tuple[str, str]] = []
    scores: dict[str, float] = {}
    absent = 0
    for number, record in enumerate(questions):
        try:
            identifier = str(record["question_id"])
            answers = [a if isinstance(a, str) else a["answer"] for a in record["answers"]]
            if not answers or not all(isinstance(a, str) for a in answers):
                raise TypeError
        except (KeyError, TypeError):
            what = f"expected question_id and answers, got {shown(record)}"
            problems.add(source, f"record {number}", "", what)
            continue
        if identifier in scores:
            problems.add(source, identifier, "question_id", "occurs twice")
        prediction = predictions.get(identifier)
        if prediction is None:
            absent += 1
            if missing == "error":
                problems.add("predictions", identifier, "", "no prediction")
        scores[identifier] = 0.0 if prediction is None else vqa_accuracy(prediction, answers)
        rows.append((str(record.get("answer_type", "")), str(record.get("question_type", ""))))
    problems.raise_if_any()
    if absent:
        notes.append(f"missing: {absent} questions have no prediction and count wrong")
    values = np.array(list(scores.values()))
    names = np.array(rows, dtype=object).reshape(-1, 2)
    return VQAScores(
        _mean(values), _by(names[:, 0], values), _by(names[:, 1], values), scores, notes
    )


def _mean(values: np.ndarray) -> Figure:
    if not len(values):
        return Figure(None, 0, "no questions")
    return Figure(float(values.mean()) * 100, len(values))


def _by(names: np.ndarray, values: np.ndarray) -> dict[str, Figure]:
    return {name: _mean(values[names == name]) for name in sorted(set(names.tolist())) if name}
