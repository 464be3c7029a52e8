from __future__ import annotations

import json
from pathlib import Path

import pytest

from gqa_reasoner.cli import main
from tests.knowledge.test_conceptnet import BROKEN, GOOD, write

SCENE = {
    "1": {
        "width": 100,
        "height": 100,
        "objects": {
            "10": {
                "name": "apple",
                "x": 0,
                "y": 0,
                "w": 9,
                "h": 9,
                "attributes": [],
                "relations": [],
            },
            "11": {
                "name": "chair",
                "x": 9,
                "y": 0,
                "w": 9,
                "h": 9,
                "attributes": [],
                "relations": [],
            },
        },
    }
}
QUESTIONS = {
    "q1": {
        "question": "Is the fruit red?",
        "imageId": "1",
        "semantic": [
            {"operation": "select", "dependencies": [], "argument": "fruit (10)"},
            {"operation": "verify color", "dependencies": [0], "argument": "red"},
        ],
    },
    "q2": {"question": "Is there a chair?", "imageId": "1"},
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "g.json").write_text(json.dumps(SCENE), encoding="utf-8")
    (tmp_path / "q.json").write_text(json.dumps(QUESTIONS), encoding="utf-8")
    write(tmp_path / "d.csv", [*GOOD, BROKEN[0]])
    return tmp_path


def test_a_store_is_built_and_its_edges_are_printed(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = files / "s.triples"
    assert main(["knowledge", "build", str(files / "d.csv"), "--output", str(store), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["kept"] == 2 and counts["broken"] == 1 and len(counts["first_broken"]) == 1
    assert main(["knowledge", "edges", str(store), "hot_dog", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"start": "hot_dog", "relation": "IsA", "end": "food", "weight": 2.0}
    ]
    again = files / "again.triples"
    assert main(["knowledge", "build", str(files / "d.csv"), str(again)]) == 0
    assert again.read_bytes() == store.read_bytes()
    capsys.readouterr()
    assert main(["knowledge", "edges", str(store), "unicorn", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["knowledge", "paths", "default", "apple", "orange", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["edges"]


def test_expansion_shows_the_parts_of_every_score(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["knowledge", "expand", "--scene-graph", str(files / "g.json"), "--image-id", "1"]
    question = ["--question", "Which object can be eaten?"]
    assert main([*command, *question, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    best = record["triples"][0]
    assert (best["head"], best["objects"]) == ("apple", ["10"])
    assert set(best["parts"]) == {"lexical", "cue", "mention", "prior", "confidence"}
    log = ["--mode", "both", "--coclick-questions", str(files / "q.json")]
    assert main([*command, *question, *log, "--retrieved", "30"]) == 0
    text = capsys.readouterr().out
    assert "[kept]" in text and "[left out]" in text
    assert "transductive" in text and "Is there a chair?" in text and "lexical=" in text


def test_an_ontology_is_built_and_shown(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = files / "o.json"
    command = ["ontology", "build", "--questions", str(files / "q.json")]
    command += ["--scene-graphs", str(files / "g.json"), "--output", str(output), "--from-nothing"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memberships_taught"] == 1
    assert main(["ontology", "show", "apples", "--ontology", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["categories"] == ["fruit", "object"]


@pytest.mark.parametrize(
    "command",
    [
        ["knowledge", "edges", "{0}/absent.triples", "dog"],
        ["knowledge", "edges", "{0}/g.json", "dog"],
        ["knowledge", "build", "{0}/absent.csv", "--output", "{0}/x"],
        ["knowledge", "build", "{0}/d.csv"],
        ["knowledge", "build", "{0}/d.csv", "{0}/g.json"],
        ["knowledge", "build", "{0}/d.csv", "--output", "{0}/x", "--strict"],
        ["knowledge", "build", "{0}/d.csv", "--output", "{0}/x", "--min-weight", "99"],
        [
            "knowledge",
            "expand",
            "--scene-graph",
            "{0}/g.json",
            "--image-id",
            "9",
            "--question",
            "?",
        ],
        ["knowledge", "expand", "--scene-graph", "{0}/g.json", "--question", "?", "--mode", "both"],
        ["ontology", "show", "dog", "--ontology", "{0}/g.json"],
    ],
)
def test_bad_input_is_one_line_and_exit_two(
    files: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([word.format(files) for word in command]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("gqa-reasoner ")
