"""Leaderboard files: EvalAI's `[{"questionId", "prediction"}]`, written and checked."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eval.errors import InputError
from eval.gqa_table import question_batches
from eval.json_stream import load, load_pairs
from eval.predictions import Predictions, normalize_answer
from eval.problems import Problems, shown

__all__ = [
    "SubmissionQuestions",
    "WrittenSubmission",
    "check_submission",
    "read_submission_questions",
    "read_vocabulary",
    "write_submission",
]


@dataclass
class SubmissionQuestions:
    """The ids a leaderboard file must answer, in file order."""

    source: str
    ids: dict[str, bool | None]
    """Id to its `isBalanced`, None where the file does not say."""
    entailed: int = 0
    """How many entailed ids the records name."""
    with_answer: int = 0

    def what_is_scored(self) -> list[str]:
        """What the leaderboard can compute from these questions, one line each."""
        balanced = sum(value is True for value in self.ids.values())
        unknown = sum(value is None for value in self.ids.values())
        lines = [f"{len(self.ids)} questions to answer ({self.source})"]
        if unknown:
            lines.append(f"{unknown} of them do not say whether they are balanced")
        lines.append(
            f"accuracy, binary, open, validity, plausibility and distribution: over {balanced} "
            "balanced questions"
        )
        others = len(self.ids) - balanced - unknown
        lines.append(
            f"consistency: {others} other questions are there to be entailed"
            if others
            else "consistency: the file holds only balanced questions, so only those count"
        )
        return lines


def read_submission_questions(questions: Path | Mapping[str, Any]) -> SubmissionQuestions:
    """Ids of a submission questions file or folder; records need nothing else.

    Raises:
        InputError: no questions, or an id in two files.
    """
    found: dict[str, bool | None] = {}
    entailed = answered = 0
    sources: list[str] = []
    for source, batch in question_batches(questions):
        if source not in sources:
            sources.append(source)
        for identifier, record in batch.items():
            if identifier in found:
                raise InputError(f"{source}: {identifier}: the id occurs twice")
            fields = record if isinstance(record, Mapping) else {}
            balanced = fields.get("isBalanced")
            found[identifier] = balanced if isinstance(balanced, bool) else None
            entailed += len(fields.get("entailed") or ())
            answered += "answer" in fields
    if not found:
        raise InputError(f"{', '.join(sources)}: holds no questions")
    return SubmissionQuestions(", ".join(sources), found, entailed, answered)


def read_vocabulary(path: Path) -> frozenset[str]:
    """Answers from a JSON list, a JSON object by answer, a questions file, or one per line.

    Raises:
        InputError: another form.
    """
    path = Path(path)
    if path.suffix not in (".json", ".gz") and path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        return frozenset(line.strip() for line in lines if line.strip())
    value = load(path)
    if isinstance(value, dict):
        records = [v["answer"] for v in value.values() if isinstance(v, dict) and "answer" in v]
        value = records or list(value)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{path}: expected a list of answers, an object by answer or questions")
    return frozenset(value)


def check_submission(
    file: Path, questions: SubmissionQuestions, vocabulary: Collection[str] | None = None
) -> Problems:
    """Everything that is wrong with a leaderboard file, all problems at once.

    Args:
        file: JSON or gzipped JSON.
        questions: the ids to answer.
        vocabulary: the allowed answers; None leaves that check out.
    """
    problems = Problems()
    try:
        value = load(file)
    except InputError as error:
        problems.add("", "", "", str(error))
        return problems
    if isinstance(value, dict):
        problems.add(file, "", "", 'an object; the leaderboard wants a list of {"questionId", …}')
        value = [{"questionId": k, "prediction": v} for k, v in load_pairs(file)]
    if not isinstance(value, list):
        problems.add(file, "", "", f"expected a list, got {shown(value)}")
        return problems
    seen: dict[str, int] = {}
    for number, record in enumerate(value):
        _check_record(record, number, file, seen, problems)
        if isinstance(record, dict) and isinstance(record.get("prediction"), str):
            _check_answer(record, number, file, vocabulary, problems)
    for ids, what in (
        ([i for i in questions.ids if i not in seen], "questions are not answered"),
        ([i for i in seen if i not in questions.ids], "ids are no questions of the submission"),
        ([i for i, times in seen.items() if times > 1], "questions are answered more than once"),
    ):
        if ids:
            first = ", ".join(ids[:5]) + (", …" if len(ids) > 5 else "")
            problems.lines.insert(0, f"{file}: {len(ids)} {what}: {first}")
            problems.count += 1
    del problems.lines[problems.limit :]
    return problems


_KEYS = {"questionId", "prediction"}


def _check_record(
    record: Any,
    number: int,
    file: Path,
    seen: dict[str, int],
    problems: Problems,
) -> None:
    """Form of one record, and its id."""
    where = f"record {number}"
    if not isinstance(record, dict):
        problems.add(file, where, "", f"expected an object, got {shown(record)}")
        return
    for key in sorted(_KEYS - record.keys()):
        problems.add(file, where, key, "is missing")
    for key in sorted(record.keys() - _KEYS):
        problems.add(file, where, key, "is not part of the form (questionId, prediction)")
    identifier = record.get("questionId")
    if identifier is None:
        return
    if not isinstance(identifier, str):
        what = f"expected a text, got {shown(identifier)} ({type(identifier).__name__})"
        problems.add(file, where, "questionId", what)
        return
    seen[identifier] = seen.get(identifier, 0) + 1


def _check_answer(
    record: Mapping[str, Any],
    number: int,
    file: Path,
    vocabulary: Collection[str] | None,
    problems: Problems,
) -> None:
    """Form of one answer."""
    answer, where = record["prediction"], str(record.get("questionId", f"record {number}"))
    if not answer.strip():
        problems.add(file, where, "prediction", "is empty")
    elif normalize_answer(answer) != answer:
        what = f"{shown(answer)} is not normalized; GQA's form is {normalize_answer(answer)!r}"
        problems.add(file, where, "prediction", what)
    elif vocabulary is not None and answer not in vocabulary:
        problems.add(file, where, "prediction", f"{shown(answer)} is not in the vocabulary")


@dataclass(frozen=True)
class WrittenSubmission:
    """What was written."""

    path: Path
    questions: int
    size: int
    """Bytes of the file."""
    sha256: str
    """Of the file."""
    distinct_answers: int
    commonest: list[tuple[str, int]]


def write_submission(
    predictions: Predictions, questions: SubmissionQuestions, output: Path
) -> WrittenSubmission:
    """Write one record per question in file order; `.gz` compresses (without a time stamp).

    Raises:
        InputError: a question without prediction, up to 20 lines.
    """
    problems = Problems()
    for identifier in questions.ids:
        if identifier not in predictions.answers:
            problems.add(predictions.source, identifier, "", "no prediction for this question")
    problems.raise_if_any()
    answers = [predictions.answers[identifier] for identifier in questions.ids]
    records = [
        {"questionId": identifier, "prediction": answer}
        for identifier, answer in zip(questions.ids, answers, strict=True)
    ]
    data = orjson.dumps(records)
    if output.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(data)
    counts = Counter(answers)
    digest = hashlib.sha256(data).hexdigest()
    return WrittenSubmission(
        output, len(records), len(data), digest, len(counts), counts.most_common(5)
    )
