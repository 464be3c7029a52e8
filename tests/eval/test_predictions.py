"""Prediction files in both forms, and their ways to be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.errors import InputError
from eval.predictions import normalize_answer, read_predictions


def write(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "p.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=8), min_size=1))
def test_list_and_object_read_equal(tmp_path: Path, answers: dict[str, str]) -> None:
    as_list = [{"questionId": k, "prediction": v} for k, v in answers.items()]
    assert read_predictions(write(tmp_path, as_list)).answers == answers
    assert read_predictions(write(tmp_path, answers)).answers == answers


def test_confidences_are_read_where_given(tmp_path: Path) -> None:
    value = [{"questionId": "1", "prediction": "yes", "score": 0.25}]
    assert read_predictions(write(tmp_path, value)).scores == {"1": 0.25}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ([{"questionId": 1, "prediction": "yes"}], r"record 0: questionId: expected a text, got 1"),
        ([{"questionId": "1", "prediction": None}], "1: prediction: expected a text, got null"),
        ([{"questionId": "1", "prediction": 3}], "1: prediction: expected a text, got 3"),
        ([{"questionId": "1"}], "record 0: expected"),
        (["yes"], "record 0: expected"),
        ([[1]], "record 0: expected"),
        ('{"1": "yes", "1": "no"}', "1: questionId: occurs twice"),
        ([{"questionId": "1", "prediction": "a"}] * 2, "1: questionId: occurs twice"),
        ({"1": ["yes"]}, "1: prediction: expected a text"),
        ([], "holds no predictions"),
        ({}, "holds no predictions"),
        ('[{"questionId": "1", "prediction": "a", "score": NaN}]', "score: expected 0 to 1"),
        ('[{"questionId": "1", "pred', "ends early"),
    ],
)
def test_bad_files_are_one_clear_line_per_problem(tmp_path: Path, value: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_predictions(write(tmp_path, value))


def test_null_counts_as_missing_where_missing_is_allowed(tmp_path: Path) -> None:
    value = [{"questionId": "1", "prediction": None}, {"questionId": "2", "prediction": "no"}]
    found = read_predictions(write(tmp_path, value), missing="wrong")
    assert found.answers == {"2": "no"}
    assert found.nulls == ["1"]


@pytest.mark.parametrize(
    ("text", "form"), [("Yes.", "yes"), (" Hot  Dog ", "hot dog"), ("a.b", "a.b"), ("...", "")]
)
def test_normal_form(text: str, form: str) -> None:
    assert normalize_answer(text) == form
