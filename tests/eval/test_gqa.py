"""GQA's figures against a slow, literal reading of their definitions."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.literal_gqa import literal_scores
from eval import gqa_table
from eval.errors import InputError
from eval.gqa import BREAKDOWNS, FIGURES, score_gqa
from eval.gqa_columns import count_steps
from eval.gqa_table import read_table
from eval.predictions import Predictions

ANSWERS = ["yes", "no", "red", "color", "shape", "dog", "Dog", "dog.", "été"]
IDS = [f"0{n}" for n in range(12)]
STEPS = [
    ("select", "dog (12)"),
    ("exist", "?"),
    ("query", "name"),
    ("choose name", "cat|dog"),
    ("choose color", "red|blue"),
    ("filter color", "existing (3)"),
    ("verify rel", "query: name,on,s (4)"),
]


@st.composite
def question_sets(draw: st.DrawFn) -> tuple[dict, dict, dict]:
    """Questions, predictions and choices with every oddity that GQA knows."""
    ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=12, unique=True))
    answer = st.sampled_from(ANSWERS)
    questions: dict[str, Any] = {}
    for identifier in ids:
        steps = draw(st.lists(st.sampled_from(STEPS), max_size=4))
        questions[identifier] = {
            "question": draw(st.sampled_from(["Is it?", " a  b c", "", "What is this\tthing"])),
            "imageId": draw(st.sampled_from(["n1", "n2"])),
            "answer": draw(answer),
            "isBalanced": draw(st.booleans()),
            "types": {
                "structural": draw(st.sampled_from(["query", "verify", "choose", ""])),
                "semantic": draw(st.sampled_from(["attr", "global", "rel"])),
                "detailed": draw(st.sampled_from(["twoCommon", "common", "exist", "stateCommonC"])),
            },
            "groups": {"global": draw(st.sampled_from([None, "", "color", "g2"])), "local": "x"},
            "semantic": [{"operation": o, "argument": a, "dependencies": []} for o, a in steps],
            "entailed": draw(st.lists(st.sampled_from(IDS), max_size=5)),
            "equivalent": [],
        }
    predictions = {identifier: draw(answer) for identifier in ids}
    possible = st.lists(answer, max_size=4)
    choices = {i: {"valid": draw(possible), "plausible": draw(possible)} for i in ids}
    return questions, predictions, choices


def assert_equal_figures(scores: Any, reference: dict[str, Any]) -> None:
    for name in FIGURES:
        if name == "grounding":
            continue
        value = scores[name]
        if value is None:
            assert reference[name] == 0, name
        else:
            assert math.isclose(value, reference[name], rel_tol=1e-12, abs_tol=1e-12), name
    for kind in BREAKDOWNS:
        ours = {name: figure.value for name, figure in scores.by[kind].items()}
        assert ours == pytest.approx({str(k): v for k, v in reference[kind].items()}, abs=1e-9)


@settings(max_examples=120, deadline=None)
@given(question_sets())
def test_every_figure_equals_the_literal_definition(sets: tuple[dict, dict, dict]) -> None:
    questions, predictions, choices = sets
    scores = score_gqa(questions, predictions, choices=choices)
    assert_equal_figures(scores, literal_scores(questions, predictions, choices))


@pytest.mark.parametrize("name", ["testdev", "val", "train"])
@pytest.mark.parametrize("seed", [0, 1])
def test_real_records_equal_the_literal_definition(shared: Path, name: str, seed: int) -> None:
    path = shared / "data/gqa" / f"{name}_questions.json"
    questions = json.loads(path.read_text())
    rng = random.Random(seed)
    answers = sorted({record["answer"] for record in questions.values()})
    predictions = {
        i: r["answer"] if rng.random() < 0.7 else rng.choice(answers) for i, r in questions.items()
    }
    choices = {
        i: {"valid": rng.sample(answers, 15), "plausible": rng.sample(answers, 5)}
        for i in questions
    }
    scores = score_gqa(path, predictions, choices=choices)
    assert_equal_figures(scores, literal_scores(questions, predictions, choices))


def test_worker_processes_give_the_same_table(shared: Path) -> None:
    path = shared / "data/gqa/testdev_questions.json"
    questions = json.loads(path.read_text())
    ids = list(questions)
    predictions = Predictions({i: questions[i]["answer"] for i in ids[::2]})
    serial = read_table(path, predictions, workers=0)
    parallel = read_table(path, predictions, workers=2)
    for name in ("code", "kind", "cell", "image", "entailed", "entailed_count", "strangers"):
        assert (getattr(serial, name) == getattr(parallel, name)).all(), name
    assert serial.kinds == parallel.kinds
    assert serial.missing() == parallel.missing()


def make(identifier: str = "1", **changes: Any) -> dict[str, Any]:
    record = {
        "question": "Is it red?",
        "imageId": "n1",
        "answer": "yes",
        "isBalanced": True,
        "types": {"structural": "verify", "semantic": "attr", "detailed": "verifyAttr"},
        "groups": {"global": None, "local": None},
        "semantic": [],
        "entailed": [],
    }
    return {identifier: record | changes}


def test_steps_leave_out_exist_query_name_and_choose_name() -> None:
    semantic = [{"operation": o, "argument": a} for o, a in STEPS]
    # "existing" and an argument that holds "query: name" are left out too: substrings count
    assert count_steps(semantic) == 2


def test_entailed_itself_and_cycles_do_not_disturb_consistency() -> None:
    questions = make("1", entailed=["1", "2"]) | make("2", entailed=["1"]) | make("3")
    scores = score_gqa(questions, {"1": "yes", "2": "no", "3": "yes"})
    assert scores["consistency"] == 0
    assert scores.figures["consistency"].count == 1


def test_entailed_ids_outside_the_file_are_reported_and_left_out() -> None:
    questions = make("1", entailed=["2", "9"]) | make("2") | make("3", entailed=["8"])
    scores = score_gqa(questions, {"1": "yes", "2": "yes", "3": "yes"})
    assert scores["consistency"] == 100
    assert scores.figures["consistency"].count == 1
    assert any("2 of 3 entailed ids are not in the questions file" in n for n in scores.notes)


def test_what_cannot_be_computed_is_absent_with_a_reason() -> None:
    scores = score_gqa(make(), {"1": "yes"})
    result = scores.to_json()
    for name in ("open", "consistency", "validity", "plausibility", "grounding", "distribution"):
        assert result[name] is None
        assert result["reasons"][name]
    assert result["binary"] == 100


def test_unpredicted_questions_stop_or_count_wrong_and_are_reported() -> None:
    questions = make("1") | make("2") | make("3", isBalanced=False)
    with pytest.raises(InputError, match=r"2: no prediction"):
        score_gqa(questions, {"1": "yes"})
    scores = score_gqa(questions, {"1": "yes"}, missing="wrong")
    assert scores["accuracy"] == 50
    assert any("1 of 2 balanced questions have no prediction" in note for note in scores.notes)


def test_unpredicted_unbalanced_questions_make_consistency_absent_not_wrong() -> None:
    questions = make("1", entailed=["2"]) | make("2", isBalanced=False)
    scores = score_gqa(questions, {"1": "yes"})
    assert scores["consistency"] is None
    assert "not predicted" in scores.figures["consistency"].reason
    more = questions | make("3", isBalanced=False)
    with pytest.raises(InputError, match="2: no prediction"):
        score_gqa(more, {"1": "yes", "3": "yes"})
    wrong = score_gqa(more, {"1": "yes", "3": "yes"}, missing="wrong")
    assert wrong["consistency"] == 0


def test_an_unpredicted_answer_counts_for_nothing_in_the_distribution() -> None:
    questions = make("1", answer="red", groups={"global": "c"}) | make(
        "2", answer="blue", groups={"global": "c"}
    )
    scores = score_gqa(questions, {"1": "red"}, missing="wrong")
    assert scores["distribution"] == pytest.approx((0 + 1) / 100)


def test_odd_predictions_are_reported_and_only_normalized_on_request() -> None:
    scores = score_gqa(make(), {"1": "Yes."})
    assert scores["accuracy"] == 0
    assert any("not in the form of GQA's answers" in note for note in scores.notes)
    assert score_gqa(make(), {"1": "Yes."}, normalize=True)["accuracy"] == 100


def test_extra_predictions_are_reported() -> None:
    scores = score_gqa(make(), {"1": "yes", "7": "no"})
    assert any("1 predictions answer no question" in note for note in scores.notes)


def test_all_bad_records_are_listed_at_once_up_to_twenty() -> None:
    questions = {str(n): {"question": "?", "answer": "yes"} for n in range(30)}
    with pytest.raises(InputError) as error:
        score_gqa(questions, {"1": "yes"})
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert lines[0] == "questions: 0: isBalanced: expected true or false, got nothing"
    assert lines[-1] == "… and 10 more problems"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": 3}, "answer"),
        ({"types": ["query"]}, "types"),
        ({"types": {"structural": 1}}, "structural"),
        ({"semantic": [{"operation": "select"}]}, "semantic"),
        ({"entailed": [1]}, "entailed"),
        ({"entailed": "12"}, "entailed"),
        ({"groups": {"global": []}}, "global"),
        ({"question": 5}, "question"),
        ({"imageId": 5}, "imageId"),
    ],
)
def test_fields_of_a_wrong_type_are_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=f"questions: 1: {field}: expected"):
        score_gqa(make(**changes), {"1": "yes"})


def test_absent_optional_fields_are_counted_in_a_note() -> None:
    questions = {"1": {"answer": "yes", "isBalanced": True}}
    scores = score_gqa(questions, {"1": "yes"})
    assert scores["accuracy"] == 100
    assert scores["binary"] is None
    assert any(note.startswith("types: absent in 1") for note in scores.notes)


def test_choices_missing_for_some_ids_are_listed() -> None:
    questions = make("1") | make("2") | make("3")
    answers = dict.fromkeys("123", "yes")
    with pytest.raises(InputError) as error:
        score_gqa(questions, answers, choices={"1": {"valid": [], "plausible": []}})
    assert len(str(error.value).splitlines()) == 2
    with pytest.raises(InputError, match='expected the lists "valid" and "plausible"'):
        score_gqa(make(), {"1": "yes"}, choices={"1": {"valid": "yes", "plausible": []}})


def test_the_same_id_in_two_files_of_a_folder_is_refused(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(make()))
    with pytest.raises(InputError, match=r"b\.json: 1: the id occurs twice"):
        score_gqa(tmp_path, {"1": "yes"})


def test_a_folder_of_files_is_read_in_order(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"part_{number}.json").write_text(json.dumps(make(str(number))))
    scores = score_gqa(tmp_path, {"0": "yes", "1": "no", "2": "yes"})
    assert scores.table.ids() == ["0", "1", "2"]
    assert scores["accuracy"] == pytest.approx(200 / 3)


def test_workers_are_used_only_for_large_files_on_several_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps(make()))
    assert gqa_table._free_workers(path) == 0
    monkeypatch.setattr(gqa_table, "PARALLEL_BYTES", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert gqa_table._free_workers(path) == 2
    assert score_gqa(path, {"1": "yes"})["accuracy"] == 100
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert gqa_table._free_workers(path) == 0


def test_an_invalid_piece_in_a_worker_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text('{"1": {"answer": nope}}')
    with pytest.raises(InputError, match=r"q\.json: record 1: not valid JSON"):
        read_table(path, Predictions({"1": "yes"}), workers=2)
