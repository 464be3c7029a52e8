"""`ask`, `predict` and `demo` on shipped pictures with shipped weights, and on bad input."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from gqa_reasoner import Reasoner
from gqa_reasoner.cli import main

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = json.loads((ROOT / "gqa_reasoner" / "examples" / "examples.json").read_text())
FIRST = ROOT / "gqa_reasoner" / "examples" / EXAMPLES[0]["image"]


@pytest.fixture(scope="module")
def reasoner() -> Reasoner:
    return Reasoner.from_pretrained()


def test_at_least_twelve_pictures_are_shipped() -> None:
    assert len({item["image"] for item in EXAMPLES}) >= 12
    for item in EXAMPLES:
        assert (ROOT / "examples" / item["image"]).is_file()


def test_most_example_questions_are_answered_as_annotated(reasoner: Reasoner) -> None:
    right = total = 0
    for item in EXAMPLES:
        scene = reasoner.detect(ROOT / "gqa_reasoner" / "examples" / item["image"])
        for question, expected in item["questions"].items():
            right += reasoner.answer_scene(scene, question).text == expected
            total += 1
    assert total >= 24
    assert right / total >= 0.8


def test_ask_prints_the_json_contract(capsys: pytest.CaptureFixture[str]) -> None:
    question = next(iter(EXAMPLES[0]["questions"]))
    assert main(["ask", str(FIRST), question, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {"answer", "score", "candidates", "program", "trace", "context"} <= set(record)
    assert len(record["candidates"]) == 3
    assert record["candidates"][0] == {"answer": record["answer"], "score": record["score"]}
    assert all({"operation", "argument", "dependencies"} <= set(step) for step in record["program"])
    boxes = [item["box"] for step in record["trace"] for item in step["objects"]]
    assert boxes
    for x1, y1, x2, y2 in boxes:
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 240
    assert all(
        {"head", "relation", "tail", "relevance"} <= set(t) for t in record["context"]["triples"]
    )
    assert record["context"]["triples"]


def test_expansion_can_be_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(FIRST), "Is there a dog?", "--json", "--expansion", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["context"] == {"triples": [], "queries": []}


def test_the_picture_of_reasons_is_written(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "reasons.png"
    assert main(["ask", str(FIRST), "Is there a dog?", "--picture", str(target)]) == 0
    with Image.open(target) as picture:
        assert picture.width > 320


def test_an_absent_object_is_said_in_the_notes_not_raised(reasoner: Reasoner) -> None:
    answer = reasoner.answer(FIRST, "What color is the helicopter left of the zeppelin?")
    assert answer.text
    assert any("helicopter" in note or "zeppelin" in note for note in answer.notes)


@pytest.mark.parametrize(
    "question",
    [
        "Welche Farbe hat der Hund?",
        "🐶🐱?",
        "x" * 10_000,
        "what " * 2500,
        "?",
        "\x00\x01",
        "犬は何色ですか",
    ],
)
def test_questions_outside_the_language_get_an_answer_that_says_so(
    reasoner: Reasoner, question: str
) -> None:
    answer = reasoner.answer(FIRST, question)
    assert answer.text
    assert answer.program is not None or answer.notes


def test_real_scene_graphs_are_answered_without_a_picture(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs = shared / "data" / "gqa" / "train_sceneGraphs.json"
    words = ["--scene-graph", str(graphs), "--image-id", "2315892", "--json"]
    assert main(["ask", *words, "What color is the apple?", "Is there a zebra?"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["answer"] for line in lines] == ["green", "no"]


def test_photographs_are_answered_by_the_executed_program_which_says_so(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    photo = shared / "data" / "coco" / "images" / "000000000025.jpg"
    spec = f"onnx:{shared / 'models' / 'yolox_nano' / 'yolox_nano.onnx'}"
    words = ["Is there a giraffe?", "How many giraffes are there?", "What animal is it?"]
    assert main(["ask", str(photo), *words, "--detector", spec, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["answer"] for line in lines] == ["yes", "1", "giraffe"]
    assert {line["method"] for line in lines} == {"program"}
    assert all("executed program decides" in " ".join(line["notes"]) for line in lines)


def _bomb(path: Path) -> Path:
    """A PNG of 60,000 x 60,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )  # fmt: skip
    return path


@pytest.mark.parametrize("kind", ["absent", "empty", "truncated", "text", "bomb", "folder"])
def test_unusable_pictures_end_with_one_line_and_status_2(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "picture.jpg"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(FIRST.read_bytes()[:2000])
    elif kind == "text":
        path.write_text("hello")
    elif kind == "bomb":
        path = _bomb(tmp_path / "picture.png")
    elif kind == "folder":
        path.mkdir()
    assert main(["ask", str(path), "Is there a dog?"]) == 2
    error = capsys.readouterr().err.strip()
    assert str(path) in error
    assert "\n" not in error


@pytest.mark.parametrize("mode", ["CMYK", "P", "LA", "I;16", "1", "RGBA"])
def test_pictures_of_every_mode_are_answered(tmp_path: Path, mode: str) -> None:
    with Image.open(FIRST) as picture:
        gray = picture.convert("L")
        path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
        if mode == "I;16":
            Image.frombytes(
                "I;16", gray.size, b"".join(bytes((0, v)) for v in gray.tobytes())
            ).save(path)
        else:
            picture.convert(mode).save(path)
    assert main(["ask", str(path), "Is there a dog?"]) == 0


def test_empty_questions_and_missing_words_end_with_status_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ask", str(FIRST), "   "]) == 2
    assert "question: empty" in capsys.readouterr().err
    assert main(["ask", str(FIRST)]) == 2
    assert "expected IMAGE and QUESTION" in capsys.readouterr().err
    assert main(["ask", "--scene-graph", "x.json", "Is it?"]) == 2
    assert "--image-id" in capsys.readouterr().err


def _questions(tmp_path: Path, count: int) -> Path:
    record = {
        f"q{number}": {
            "question": "Is there a dog?",
            "imageId": Path(EXAMPLES[number % 3]["image"]).stem,
        }
        for number in range(count)
    }
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(record))
    return path


def test_predict_writes_every_question_once_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gqa_reasoner.commands import predict
    from gqa_reasoner.model.predict_many import PredictionPool

    questions, target = _questions(tmp_path, 7), tmp_path / "out.json"
    words = ["predict", "--questions", str(questions), "--images", str(FIRST.parent)]
    assert main([*words, "--output", str(target)]) == 0
    whole = {item["questionId"]: item["prediction"] for item in json.loads(target.read_text())}
    assert sorted(whole) == [f"q{number}" for number in range(7)]

    cut = tmp_path / "cut.json"
    monkeypatch.setattr(predict, "PART", 2)
    real = PredictionPool.predict
    calls = []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(PredictionPool, "predict", killed)
    assert main([*words, "--output", str(cut)]) == 130
    assert not cut.exists()
    monkeypatch.setattr(PredictionPool, "predict", real)
    assert main([*words, "--output", str(cut)]) == 0
    assert {item["questionId"]: item["prediction"] for item in json.loads(cut.read_text())} == whole


def test_predict_names_the_question_without_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "q.json"
    path.write_text('{"q1": {"question": "Is it?", "imageId": "nowhere"}}')
    words = ["predict", "--questions", str(path), "--images", str(FIRST.parent)]
    assert main([*words, "--output", str(tmp_path / "o.json")]) == 2
    assert "question q1: no picture or scene graph for image 'nowhere'" in capsys.readouterr().err


def test_the_demo_answers_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--output", str(tmp_path / "demo.png"), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == sum(len(item["questions"]) for item in EXAMPLES)
    assert (tmp_path / "demo.png").stat().st_size > 20_000
