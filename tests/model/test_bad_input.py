"""Every line of the issue's list of bad input, by the command that meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.model.batch import collate
from gqa_reasoner.model.encode import encode_question, encode_scene
from gqa_reasoner.model.expanded_graph import build_graph
from gqa_reasoner.model.reasoner import DEFAULT_WEIGHTS, ReasonerModel
from tests.model.worlds import scene_of

GRAPH = {
    "beach": {
        "width": 320,
        "height": 240,
        "objects": {
            "1": {"name": "dog", "x": 5, "y": 5, "w": 50, "h": 40, "attributes": ["brown"],
                  "relations": []},
        },
    },
    "void": {"width": 320, "height": 240, "objects": {}},
}  # fmt: skip


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder of weights whose reasoner may be damaged; the other parts are the shipped ones."""
    folder = tmp_path / "weights"
    (folder / "reasoner").mkdir(parents=True)
    for name in ("detector", "parser"):
        (folder / name).symlink_to(DEFAULT_WEIGHTS.parent / name)
    for path in DEFAULT_WEIGHTS.iterdir():
        (folder / "reasoner" / path.name).write_bytes(path.read_bytes())
    return folder


def predict(tmp_path: Path, texts: list[str], image: str, *words: str) -> int:
    (tmp_path / "graphs.json").write_text(json.dumps(GRAPH))
    asked = {f"q{n}": {"question": text, "imageId": image} for n, text in enumerate(texts)}
    (tmp_path / "q.json").write_text(json.dumps(asked))
    return main([
        "predict", "--questions", str(tmp_path / "q.json"), "--scene-graphs",
        str(tmp_path / "graphs.json"), "--output", str(tmp_path / "o.json"), *words,
    ])  # fmt: skip


def test_a_checkpoint_of_another_architecture_size_or_answers(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = weights / "reasoner" / "config.json", weights / "reasoner" / "model.safetensors"
    record = json.loads(config.read_text())
    options = ["--weights", str(weights)]

    def refused(changed: dict) -> str:  # type: ignore[type-arg]
        config.write_text(json.dumps(changed))
        assert predict(tmp_path, ["Is there a dog?"], "beach", *options) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and str(weights) in error
        return error

    assert "expected shape" in refused({**record, "model": {**record["model"], "hidden": 64}})
    answers = record["vocabulary"]["answers"]
    fewer = {**record, "vocabulary": {**record["vocabulary"], "answers": answers[:-1]}}
    assert "'answer_bias'" in refused(fewer)
    assert "unknown key 'depth'" in refused({**record, "model": {"depth": 2}}).replace('"', "'")
    config.write_text(json.dumps(record))
    save_file({f"other.{name}": value for name, value in load_file(state).items()}, state)
    assert predict(tmp_path, ["Is there a dog?"], "beach", *options) == 2
    assert "is it of another architecture?" in capsys.readouterr().err


def test_features_of_another_size_are_named_with_the_check_command() -> None:
    model = ReasonerModel.from_pretrained()
    known = scene_of(1, detector=model.vocabulary.detectors[0])
    known.features = np.zeros((len(known.objects), 7), dtype=np.float32)
    question = encode_question(build_graph(known, "Is it red?"), model.vocabulary)
    with pytest.raises(InputError, match=r"expected size 256.*got 7; `gqa-reasoner features"):
        collate(
            [question],
            [encode_scene(known, model.vocabulary, None)._replace(familiar=True)],
            feature_size=model.config.feature_size,
        )
    foreign = encode_scene(known, model.vocabulary, None)._replace(familiar=False)
    batch = collate([question], [foreign], feature_size=model.config.feature_size)
    assert batch.features is not None and batch.features.abs().sum() == 0
    with torch.inference_mode():
        assert torch.isfinite(model(batch).logits).all()


def test_an_empty_scene_is_answered(tmp_path: Path) -> None:
    texts = ["Is there a dog?", "What color is the dog?", "How many dogs are there?", "?"]
    assert predict(tmp_path, texts, "void") == 0
    found = {
        r["questionId"]: r["prediction"] for r in json.loads((tmp_path / "o.json").read_text())
    }
    assert len(found) == 4 and found["q0"] == "no"


def test_long_questions_are_cut_with_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "Is there a dog " + "near the dog " * 60 + "?"
    assert predict(tmp_path, [long, long + "?"], "beach") == 0
    assert capsys.readouterr().err.count("longer than 60 words") == 1
