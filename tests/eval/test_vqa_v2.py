"""VQA v2 accuracy and its official normalization."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.errors import InputError
from eval.vqa_v2 import normalize_vqa, read_vqa, score_vqa, vqa_accuracy


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("A dog.", "dog"),
        ("two", "2"),
        ("None", "0"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("yall'd've", "y'all'd've"),
        ("somebody'd", "somebodyd"),
        ("let's", "let's"),
        ("1,000", "1000"),
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("3.5", "3.5"),
        ("t-shirt", "t shirt"),
        ("U.S.", "us"),
        ("the the", ""),
        ("yes!", "yes"),
    ],
)
def test_normalization(answer: str, form: str) -> None:
    assert normalize_vqa(answer) == form


def test_only_the_first_thirty_two_periods_are_removed() -> None:
    assert normalize_vqa("." * 40) == "." * 8


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["yes", "no", "2", "two"]),
    st.lists(st.sampled_from(["yes", "no", "2", "two"]), min_size=10, max_size=10),
)
def test_accuracy_is_the_mean_over_every_nine_annotators(said: str, answers: list[str]) -> None:
    if len(set(answers)) > 1:
        compared = [normalize_vqa(answer) for answer in answers]
        target = normalize_vqa(said)
    else:
        compared, target = answers, said
    nines = itertools.combinations(compared, 9)
    literal = [min(1, sum(a == target for a in nine) / 3) for nine in nines]
    assert vqa_accuracy(said, answers) == pytest.approx(sum(literal) / 10)


def test_known_values() -> None:
    answers = ["yes"] * 3 + ["no"] * 7
    assert vqa_accuracy("yes", answers) == pytest.approx(0.9)
    assert vqa_accuracy("no", answers) == 1
    assert vqa_accuracy("maybe", answers) == 0


def test_agreeing_annotators_are_compared_without_normalization() -> None:
    assert vqa_accuracy("two", ["2"] * 10) == 0
    assert vqa_accuracy("two", ["2"] * 9 + ["3"]) == 1


def test_scores_break_down_by_type_and_report_what_is_missing() -> None:
    questions = [
        {"question_id": 1, "answers": ["a"] * 10, "answer_type": "other", "question_type": "what"},
        {"question_id": 2, "answers": [{"answer": "yes"}] * 10, "answer_type": "yes/no"},
    ]
    scores = score_vqa(questions, {"1": "a"}, missing="wrong")
    assert scores.overall.value == 50
    assert scores.by_answer_type["other"].value == 100
    assert scores.notes
    with pytest.raises(InputError, match="2: no prediction"):
        score_vqa(questions, {"1": "a"})
    with pytest.raises(InputError, match="record 0"):
        score_vqa([{"question_id": 1}], {})


def test_the_best_single_answer_scores_high_on_real_annotations(shared: Path) -> None:
    questions = read_vqa(shared / "data/coco/vqa_v2.json")
    predictions = {str(q["question_id"]): q["answer"] for q in questions}
    scores = score_vqa(questions, predictions)
    assert scores.overall.count == 148
    assert 80 < scores.overall.value <= 100


def test_lines_and_official_annotations_are_read(tmp_path: Path) -> None:
    record = {"question_id": 1, "answers": ["a"]}
    (tmp_path / "q.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "q.json").write_text(json.dumps({"annotations": [record]}))
    assert read_vqa(tmp_path / "q.jsonl") == read_vqa(tmp_path / "q.json") == [record]
    (tmp_path / "q.json").write_text("3")
    with pytest.raises(InputError):
        read_vqa(tmp_path / "q.json")
