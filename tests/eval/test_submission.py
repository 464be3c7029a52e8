"""Leaderboard files: what is written is valid, what is broken is explained at once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eval.errors import InputError
from eval.predictions import Predictions
from eval.submission import (
    check_submission,
    read_submission_questions,
    read_vocabulary,
    write_submission,
)
from gqa_reasoner.cli import main

QUESTIONS = {
    "001": {"question": "Is it red?", "isBalanced": True},
    "002": {"question": "What is it?", "isBalanced": False},
}


def problems_of(tmp_path: Path, value: Any, vocabulary: set[str] | None = None) -> str:
    path = tmp_path / "file.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return check_submission(path, read_submission_questions(QUESTIONS), vocabulary).text()


def test_what_is_written_is_valid_and_the_same_every_time(tmp_path: Path) -> None:
    questions = read_submission_questions(QUESTIONS)
    predictions = Predictions({"002": "dog", "001": "yes", "extra": "x"})
    first = write_submission(predictions, questions, tmp_path / "a.json.gz")
    second = write_submission(predictions, questions, tmp_path / "b.json.gz")
    assert first.sha256 == second.sha256
    assert json.loads(gzip.decompress(first.path.read_bytes())) == [
        {"questionId": "001", "prediction": "yes"},
        {"questionId": "002", "prediction": "dog"},
    ]
    assert check_submission(first.path, questions, {"yes", "dog"}).count == 0


def test_a_question_without_prediction_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="002: no prediction"):
        write_submission(
            Predictions({"001": "yes"}), read_submission_questions(QUESTIONS), tmp_path / "a.json"
        )


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    text = problems_of(
        tmp_path,
        [
            {"questionId": "001", "prediction": "Yes."},
            {"questionId": "001", "prediction": "yes"},
            {"questionId": 2, "prediction": "dog"},
            {"questionId": "009", "prediction": "unicorn", "score": 1},
            "x",
            {"prediction": " "},
        ],
        {"yes", "dog"},
    )
    for part in (
        "1 questions are not answered: 002",
        "1 ids are no questions of the submission: 009",
        "1 questions are answered more than once: 001",
        "001: prediction: 'Yes.' is not normalized; GQA's form is 'yes'",
        "record 2: questionId: expected a text, got 2 (int)",
        "009: prediction: 'unicorn' is not in the vocabulary",
        "record 3: score: is not part of the form",
        "record 4: expected an object, got 'x'",
        "record 5: questionId: is missing",
        "record 5: prediction: is empty",
    ):
        assert part in text, part


def test_an_object_and_broken_json_are_explained(tmp_path: Path) -> None:
    assert "the leaderboard wants a list" in problems_of(tmp_path, {"001": "yes", "002": "no"})
    assert "not valid JSON" in problems_of(tmp_path, "[{")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.txt", "yes\nno\n"),
        ("v.json", '["yes", "no"]'),
        ("v.json", '{"yes": 0, "no": 1}'),
        ("v.json", '{"1": {"answer": "yes"}, "2": {"answer": "no"}}'),
    ],
)
def test_vocabularies_are_read_in_four_forms(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert read_vocabulary(tmp_path / name) == {"yes", "no"}


def test_the_command_lists_problems_with_status_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions, predictions = tmp_path / "q.json", tmp_path / "p.json"
    questions.write_text(json.dumps(QUESTIONS))
    predictions.write_text(json.dumps({"001": "yes", "002": "Dog"}))
    base = ["submit", "--questions", str(questions)]
    output = tmp_path / "out.json.gz"
    more = ["--predictions", str(predictions), "--output", str(output)]
    assert main([*base, *more]) == 1
    assert "not normalized" in capsys.readouterr().err
    assert main([*base, *more, "--normalize"]) == 0
    assert "valid" in capsys.readouterr().out
    assert main([*base, "--dry-run", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 0
    assert main(base) == 2
