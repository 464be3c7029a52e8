"""The command line of `evaluate`, comparisons and the HTML page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.compare import compare
from eval.errors import InputError
from eval.gqa import score_gqa
from gqa_reasoner.cli import main

GRAPH = {
    "width": 100,
    "height": 50,
    "objects": {"7": {"name": "dog <b>", "x": 10, "y": 10, "w": 30, "h": 20}},
}


def question(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "question": f"What is number {number} & <i>why</i>?",
        "imageId": f"n{number % 3}",
        "answer": ("dog", "cat", "yes")[number % 3],
        "isBalanced": True,
        "types": {
            "structural": ("query", "query", "verify")[number % 3],
            "semantic": "obj",
            "detailed": "categoryThis",
        },
        "groups": {"global": ("animal", "animal", None)[number % 3], "local": "x"},
        "semantic": [
            {"operation": "select", "argument": "dog (7)", "dependencies": []},
            {"operation": "query", "argument": "name", "dependencies": [0]},
        ],
        "entailed": [],
        "annotations": {"question": {"1": "7"}, "answer": {}, "fullAnswer": {}},
    } | changes


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    questions = {str(n): question(n) for n in range(12)}
    predictions = [
        {"questionId": i, "prediction": r["answer"] if int(i) % 4 else "horse", "score": 0.8}
        for i, r in questions.items()
    ]
    trace = {
        "answer": "dog",
        "program": [{"operation": "select", "argument": "dog", "dependencies": []}],
        "trace": [{"step": 0, "objects": [{"name": "dog", "box": [1, 1, 9, 9], "weight": 0.9}]}],
        "context": {
            "triples": [{"head": "dog", "relation": "IsA", "tail": "pet", "relevance": 0.5}],
            "queries": [{"text": "what <animal>?", "relevance": 0.1}],
        },
    }
    values = {
        "questions": questions,
        "predictions": predictions,
        "other": {i: "dog" for i in questions},
        "graphs": {f"n{k}": GRAPH for k in range(3)},
        "traces": {i: trace for i in questions if int(i) % 2},
        "attention": [{"questionId": i, "attention": [[1 / 49] * 7] * 7} for i in questions],
        "choices": {i: {"valid": ["dog", "cat"], "plausible": ["dog"]} for i in questions},
    }
    paths = {}
    for name, value in values.items():
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(json.dumps(value))
    return paths


class Checker(HTMLParser):
    """Counts tags and collects every address."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("href", "src", "xlink:href"):
                self.addresses.append(value or "")


def base(files: dict[str, Path]) -> list[str]:
    return [
        "evaluate",
        "--questions",
        str(files["questions"]),
        "--predictions",
        str(files["predictions"]),
    ]


def test_the_report_is_one_page_that_needs_nothing_else(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    Image.new("RGB", (100, 50), "green").save(tmp_path / "n0.jpg")
    out = tmp_path / "report.html"
    options = {
        "--report": out,
        "--scene-graphs": files["graphs"],
        "--images": tmp_path,
        "--traces": files["traces"],
        "--against": files["other"],
    }
    more = [str(word) for pair in options.items() for word in pair]
    assert main([*base(files), *more]) == 0
    assert "Report:" in capsys.readouterr().out
    text = out.read_text()
    checker = Checker()
    checker.feed(text)
    assert all(a.startswith(("data:", "#")) for a in checker.addresses)
    assert any(a.startswith("data:image/jpeg") for a in checker.addresses)
    assert checker.tags["article"] == 12 or checker.tags["article"] > 5
    assert checker.tags["svg"] > 8
    assert "script" not in checker.tags
    assert "<i>why</i>" not in text
    assert "what &lt;animal&gt;?" in text
    assert "dog — IsA — pet (0.50)" in text
    assert "select: dog (7)" in text
    first = out.read_bytes()
    main([*base(files), *more])
    assert out.read_bytes() == first


def test_json_holds_every_part_that_was_asked_for(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--against", str(files["other"]), "--intervals", "--confusion", "--json"]
    grounding = ["--attention", str(files["attention"]), "--scene-graphs", str(files["graphs"])]
    choices = ["--choices", str(files["choices"]), "--no-official"]
    assert main([*base(files), *options, *grounding, *choices]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["accuracy"] == 75
    assert result["by"]["structural"] == {"query": 75, "verify": 75}
    assert result["count"]["by"]["structural"]["verify"] == 4
    assert result["grounding"] == pytest.approx(100 * 0.3 * 0.4)
    assert result["groundingCorrected"] == pytest.approx(100 * 0.3 * 0.4)
    assert result["validity"] == pytest.approx(50)
    assert result["calibrationError"] == pytest.approx(5)
    low, high = result["intervals"]["accuracy"]
    assert low <= 75 <= high
    assert result["against"]["accuracy"]["only_first"] > 0
    assert result["confusion"][0]["group"] == "animal"
    assert result["reasons"].keys() == {"consistency"}


def test_the_text_names_types_by_their_raw_names(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(base(files)) == 0
    text = capsys.readouterr().out
    assert re.search(r"Accuracy: 75\.00% \(12 questions\)", text)
    assert "Validity: n/a (no choices file given)" in text
    assert re.search(r"obj +75\.00%", text)


def test_bad_usage_and_bad_input_exit_with_two(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*base(files), "--attention", str(files["attention"])]) == 2
    assert main(["evaluate", "--predictions", str(files["other"])]) == 2
    assert main([*base(files)[:-1], str(tmp_path / "absent.json")]) == 2
    files["predictions"].write_text(json.dumps({"0": "Dog."}))
    assert main(base(files)) == 2
    assert "no prediction" in capsys.readouterr().err
    assert main([*base(files), "--missing", "wrong", "--normalize", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(100 / 12)


def test_scores_of_different_questions_are_not_compared() -> None:
    first = score_gqa({"1": question(0)}, {"1": "dog"})
    second = score_gqa({"2": question(0)}, {"2": "dog"})
    with pytest.raises(InputError, match="different questions"):
        compare(first, second)


def test_other_data_sets_are_scored_by_the_same_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(dataset: str, **values: Any) -> dict[str, Any]:
        words = ["evaluate", "--dataset", dataset, "--json"]
        for name, value in values.items():
            path = tmp_path / f"{dataset}-{name}.{'jsonl' if dataset == 'nlvr' else 'json'}"
            if name == "predictions" and dataset == "nlvr":
                path = tmp_path / "nlvr.csv"
            if isinstance(value, dict) and dataset == "retrieval":
                path = tmp_path / "r.npz"
                np.savez(path, **value)
            else:
                path.write_text(value if isinstance(value, str) else json.dumps(value))
            words += [f"--{name}", str(path)]
        assert main(words) == 0
        return json.loads(capsys.readouterr().out)

    vqa = [{"question_id": 1, "answers": ["a"] * 10}]
    assert call("vqa-v2", questions=vqa, predictions=[{"question_id": 1, "answer": "a"}])[
        "accuracy"
    ] == pytest.approx(100)
    line = json.dumps({"identifier": "1-0", "label": "true"})
    assert call("nlvr", questions=line, predictions="1-0,true\n")["consistency"] == 100
    ood = {"head": {"1": {"answer": "a"}}, "tail": {"2": {"answer": "b"}}}
    assert call("gqa-ood", **ood, predictions={"1": "a", "2": "b"})["delta"] == 0
    archive = {"similarity": np.eye(3), "image_of_text": np.arange(3)}
    assert call("retrieval", predictions=archive)["rsum"] == 600
    with_captions = call("captions", questions={"1": ["a dog"]}, predictions={"1": "a dog"})
    assert with_captions["BLEU-1"] == pytest.approx(1)
