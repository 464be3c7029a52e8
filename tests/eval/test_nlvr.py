"""NLVR accuracy and consistency."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.errors import InputError
from eval.nlvr import read_nlvr, read_nlvr_predictions, score_nlvr, sentence_of

EXAMPLES = [
    {"identifier": "1-0", "label": "true"},
    {"identifier": "1-1", "label": "false"},
    {"identifier": "2-0", "label": "True"},
]


def test_a_sentence_is_consistent_only_if_right_for_every_picture() -> None:
    scores = score_nlvr(EXAMPLES, {"1-0": "true", "1-1": "true", "2-0": "TRUE"})
    assert scores.accuracy.value == pytest.approx(200 / 3)
    assert (scores.consistency.value, scores.consistency.count) == (50, 2)


def test_sentences_of_both_data_sets() -> None:
    assert sentence_of("1572-0") == "1572"
    assert sentence_of("dev-850-0-1") == sentence_of("dev-850-3-1") != sentence_of("dev-850-0-0")
    with pytest.raises(InputError):
        sentence_of("x")


def test_missing_predictions_stop_or_count_wrong() -> None:
    with pytest.raises(InputError, match="2-0: no prediction"):
        score_nlvr(EXAMPLES, {"1-0": "true", "1-1": "false"})
    scores = score_nlvr(EXAMPLES, {"1-0": "true", "1-1": "false"}, missing="wrong")
    assert scores.consistency.value == 50
    assert scores.notes


def test_prediction_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("1-0,true\n1-1, false\n")
    assert read_nlvr_predictions(path) == {"1-0": "true", "1-1": "false"}
    path.write_text("1-0,true\n1-0,false\nx\n")
    with pytest.raises(InputError) as error:
        read_nlvr_predictions(path)
    assert len(str(error.value).splitlines()) == 2


def test_real_examples_group_by_sentence(shared: Path) -> None:
    examples = read_nlvr(shared / "data/nlvr/dev.jsonl")
    right = {example["identifier"]: example["label"] for example in examples}
    scores = score_nlvr(examples, right)
    assert scores.accuracy.value == scores.consistency.value == 100
    assert (scores.accuracy.count, scores.consistency.count) == (989, 267)
