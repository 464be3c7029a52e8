from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gqa_reasoner.cli import main

GRAPH = {
    "width": 100,
    "height": 80,
    "objects": {
        "7": {
            "name": "dog",
            "x": 5,
            "y": 5,
            "w": 20,
            "h": 20,
            "attributes": ["brown"],
            "relations": [{"name": "near", "object": "8"}],
        },
        "8": {
            "name": "chair",
            "x": 60,
            "y": 40,
            "w": 30,
            "h": 30,
            "attributes": ["wood"],
            "relations": [],
        },
    },
}


def _question(image: str, text: str, answer: str) -> dict[str, Any]:
    semantic = []
    for part in text.split("->"):
        body, _, place = part.partition(" [")
        operation, argument = body.split(": ")
        dependencies = json.loads(f"[{place}") if place else []
        step = {"operation": operation, "argument": argument, "dependencies": dependencies}
        semantic.append(step)
    return {"question": "?", "imageId": image, "answer": answer, "semantic": semantic}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    questions = {
        "1": _question("a", "select: dog (7)->query: color [0]", "brown"),
        "2": _question(
            "a", "select: dog (7)->relate: furniture,near,o (8) [0]->query: name [1]", "chair"
        ),
        "3": _question("elsewhere", "select: dog->exist: ? [0]", "yes"),
        "4": _question("a", "select: dog->paint: red [0]", "yes"),
        "5": _question("a", "select: chair->verify knowledge: UsedFor,sitting [0]", "no"),
    }
    paths = {
        name: tmp_path / f"{name}.json" for name in ("questions", "graphs", "output", "parsed")
    }
    paths["questions"].write_text(json.dumps(questions))
    paths["graphs"].write_text(json.dumps({"a": GRAPH}))
    return paths


def _run(files: dict[str, Path], *options: str) -> int:
    return main(
        [
            *("execute", "--questions", str(files["questions"])),
            *("--scene-graphs", str(files["graphs"]), "--output", str(files["output"])),
            *options,
        ]
    )


def test_predictions_are_written_and_failures_listed(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(files, "--json", "--list-wrong") == 1
    captured = capsys.readouterr()
    assert json.loads(files["output"].read_text())[:2] == [
        {"questionId": "1", "prediction": "brown"},
        {"questionId": "2", "prediction": "chair"},
    ]
    summary = json.loads(captured.out.splitlines()[-1])
    assert (summary["answered"], summary["without_graph"], summary["not_executed"]) == (3, 1, 1)
    assert "question 4: step 1: unknown operation 'paint'" in captured.err
    assert "1 questions have no scene graph" in captured.err


def test_other_answers_of_a_record_count_apart(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    questions = {"1": _question("a", "select: dog (7)->query: color [0]", "tan")}
    questions["1"]["otherAnswers"] = ["brown"]
    files["questions"].write_text(json.dumps(questions))
    assert _run(files, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["correct"], summary["also_right"], summary["accuracy"]) == (0, 1, 0.0)


def test_parsed_programs_replace_the_gold_ones(files: dict[str, Path]) -> None:
    semantic = [
        {"operation": "select", "argument": "chair", "dependencies": []},
        {"operation": "query", "argument": "material", "dependencies": [0]},
    ]
    files["parsed"].write_text(json.dumps({"1": {"semantic": semantic}, "2": {"failure": "odd"}}))
    assert _run(files, "--parsed", str(files["parsed"])) == 1
    assert json.loads(files["output"].read_text()) == [{"questionId": "1", "prediction": "wood"}]


def test_a_faulty_graph_is_refused_or_repaired_by_image_id(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = json.loads(json.dumps(GRAPH))
    faulty["objects"]["7"]["relations"].append({"name": "on", "object": "99"})
    faulty["objects"]["8"]["w"] = -30
    files["graphs"].write_text(json.dumps({"a": faulty, "empty": {**GRAPH, "objects": {}}}))
    assert _run(files) == 2
    message = capsys.readouterr().err
    assert "image a" in message
    assert "'99'" in message
    assert _run(files, "--repair") == 1
    messages = capsys.readouterr().err
    assert messages.count("repaired: ") == 2
    assert "image a: object 8: negative box size" in messages


def test_a_program_on_an_empty_graph_still_gets_an_answer(files: dict[str, Path]) -> None:
    files["graphs"].write_text(json.dumps({"a": {**GRAPH, "objects": {}}}))
    _run(files)
    assert len(json.loads(files["output"].read_text())) == 3


@pytest.mark.parametrize("content", ["", "[", '{"1": 5}', '{"1": {"question": "?"}}'])
def test_unreadable_questions_give_one_line_and_status_two(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], content: str
) -> None:
    files["questions"].write_text(content)
    assert _run(files) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert "questions.json" in lines[-1]
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ("select: dog->verify colr: red [0]", "step 1: unknown operation 'verify colr'"),
        ("select: dog->and:  [0]", "step 1 (and): expected 2 dependencies, got 1"),
        ("select: dog->verify color: red", "step 1 (verify color): expected 1 dependencies"),
        ("select: dog->verify color: red [2]->exist: ? [0]", "step 1 (verify color): depends on"),
        ("select: dog->filter color: red [1]->exist: ? [1]", "step 1 (filter color): depends on"),
        ("select: dog->exist: ? [-1]", "step 1 (exist): depends on step -1"),
        ("select: dog->relate: cat near [0]->exist: ? [1]", "step 1: relate: expected"),
    ],
)
def test_a_program_that_cannot_be_run_is_listed_with_its_step(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], steps: str, reason: str
) -> None:
    files["questions"].write_text(json.dumps({"9": _question("a", steps, "yes")}))
    assert _run(files) == 1
    assert f"question 9: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize("thing", [{}, {"name": "dog"}, {"name": "", "x": 1}, 5])
def test_an_empty_object_is_refused_or_dropped_by_image_id(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], thing: Any
) -> None:
    faulty = json.loads(json.dumps(GRAPH))
    faulty["objects"]["8"] = thing
    files["graphs"].write_text(json.dumps({"a": faulty}))
    assert _run(files) == 2
    assert "image a: object 8: field" in capsys.readouterr().err
    _run(files, "--repair")
    messages = capsys.readouterr().err
    assert "repaired: " in messages
    assert "image a: object 8: field" in messages
    assert "names the missing object '8'" in messages
