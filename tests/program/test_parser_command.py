"""`gqa-reasoner parse` and `train --stage parser`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gqa_reasoner.cli import main


def record(question: str, semantic: list[dict] | None = None, image: str = "1") -> dict:
    found: dict = {"question": question, "imageId": image}
    return found | ({"semantic": semantic} if semantic else {})


def test_one_question_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parse", "Who is wearing the hat?"]) == 0
    assert "Select: hat → Relate: person, wearing → Query: name" in capsys.readouterr().out


def test_gqa_file_gives_programs_and_failures_by_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions, output = tmp_path / "q.json", tmp_path / "out.json"
    questions.write_text(
        json.dumps({"7": record("What color is the cup?"), "8": record("Why is that?")})
    )
    assert main(["parse", "--questions", str(questions), "--output", str(output)]) == 1
    written = json.loads(output.read_text())
    assert written["7"]["semanticStr"] == "select: cup->query: color [0]"
    assert written["7"]["semantic"][1] == {
        "operation": "query",
        "dependencies": [0],
        "argument": "color",
    }
    assert 0 < written["7"]["score"] <= 1
    assert "no question form" in written["8"]["failure"]
    assert "question 8" in capsys.readouterr().err


def test_text_file_has_line_numbers_as_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "q.txt"
    lines.write_text("Is there a dog?\n\nWhat is on the table?\n")
    assert main(["parse", "--questions", str(lines), "--json", "--top-k", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["1", "3"]
    assert len(printed["1"]["others"]) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["parse"],
        ["parse", "Is there a dog?", "--questions", "x.json"],
        ["parse", "--questions", "x.json"],
        ["parse", "Is there a dog?", "--top-k", "0"],
        ["parse", "Is there a dog?", "--weights", "nowhere"],
        ["parse", "--questions", "nowhere.json", "--json"],
    ],
)
def test_bad_usage_is_one_line_and_status_two(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_training_writes_weights_that_parse(tmp_path: Path) -> None:
    semantic = [
        {"operation": "select", "dependencies": [], "argument": "pants (3)"},
        {"operation": "query", "dependencies": [0], "argument": "color"},
    ]
    questions = tmp_path / "q.json"
    questions.write_text(
        json.dumps(
            {
                str(number): record("What color are the trousers?", semantic, str(number))
                for number in range(4)
            }
        )
    )
    output = tmp_path / "weights"
    command = ["train", "--stage", "parser", "--questions", str(questions), "--output", str(output)]
    assert main([*command, "--rounds", "1"]) == 0
    assert main([*command, "--rounds", "1", "--resume"]) == 0
    parsed = tmp_path / "parsed.json"
    words = ["--weights", str(output), "--questions", str(questions), "--output", str(parsed)]
    assert main(["parse", *words]) == 0
    assert json.loads(parsed.read_text())["0"]["semanticStr"] == "select: pants->query: color [0]"
