"""The command line with models of the family: encoder, reranker and captioner, here untrained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

pytest.importorskip("duckdb")

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.collection.models import model_fingerprint, spec_fingerprint
from gqa_reasoner.collection.shelf import Shelf
from gqa_reasoner.vlp.checkpoint import ModelConfig, save_model
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import Sizes
from gqa_reasoner.vlp.text import WordPieces
from gqa_reasoner.vlp.tower import PatchTower

WORDS = ["a", "sunset", "over", "the", "red", "sea", "dog", "picture", "of"]
PLANS = {
    "encoder": ("dual", "contrastive"),
    "reranker": ("one_stream", "match"),
    "captioner": ("encoder_decoder", "next_token"),
}


def write_model(folder: Path, plan: str, loss: str) -> None:
    torch.manual_seed(0)
    tower, pieces = PatchTower(), WordPieces(WORDS)
    config = ModelConfig(
        recipe="toy", plan=plan, vision="grid", losses=(loss,), vocabulary=len(pieces),
        sizes=Sizes(layers=1, width=16, heads=2, hidden=24, space=8, text_length=24),
        tower=tower.name, fingerprint=tower.fingerprint, tower_width=tower.width,
        grid=tower.grid, image_size=tower.image_size,
    )  # fmt: skip
    save_model(folder, VisionLanguageModel(config), pieces)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, their scene graphs and three models."""
    folder = tmp_path_factory.mktemp("family")
    (folder / "pictures").mkdir()
    graphs = {}
    for number in range(3):
        Image.new("RGB", (64, 64), (80 * number, 9, 9)).save(folder / "pictures" / f"p{number}.png")
        item = {"name": "dog", "x": 1, "y": 1, "w": 9, "h": 9, "attributes": [], "relations": []}
        graphs[f"p{number}"] = {"width": 64, "height": 64, "objects": {"1": item}}
    (folder / "graphs.json").write_text(json.dumps(graphs))
    for name, (plan, loss) in PLANS.items():
        write_model(folder / name, plan, loss)
    detector = f"oracle:{folder / 'graphs.json'}"
    words = ["index", str(folder / "pictures"), "--detector", detector]
    models = ["--encoder", str(folder / "encoder"), "--recipe", str(folder / "captioner")]
    assert main([*words, *models]) == 0
    return folder


def found(place: Path, capsys: pytest.CaptureFixture, *words: str) -> dict:
    assert main(["find", str(place / "pictures"), *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_pictures_are_embedded_and_described(place: Path) -> None:
    shelf = Shelf(place / "pictures" / ".gqa-reasoner")
    assert shelf.settings["encoder_fingerprint"]
    assert shelf.similar("p0.png", limit=2)
    assert [bool(record["caption"]) for record in shelf.pictures()] == [True] * 3
    assert [path is not None for path in map(shelf.thumbnail, ("p0.png", "p1.png"))] == [True] * 2


def test_the_recorded_encoder_answers_what_programs_do_not(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    answer = found(place, capsys, "a sunset over the red sea")
    assert (answer["method"], len(answer["images"])) == ("vector", 3)
    assert "the dual encoder instead" in answer["notes"][0]
    second = found(
        place, capsys, "a sunset over the red sea", "--reranker", str(place / "reranker")
    )
    assert "reranked" in second["notes"][0]
    assert {"image_id", "score"} <= set(second["images"][0])
    computed = found(place, capsys, "How many pictures show a dog?")
    assert (computed["method"], computed["answer"]) == ("program", "3")


def test_an_index_run_takes_its_models_from_the_index(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    Image.new("RGB", (64, 64), (9, 200, 9)).save(place / "pictures" / "p1.png")
    assert main(["index", str(place / "pictures")]) == 0
    assert "1 changed" in capsys.readouterr().err
    shelf = Shelf(place / "pictures" / ".gqa-reasoner")
    assert shelf.connection.execute("SELECT bool_and(embedded) FROM images").fetchone() == (True,)


def test_another_encoder_is_refused_in_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other = tmp_path / "other"
    shutil.copytree(place / "encoder", other)
    (other / "config.json").write_text((other / "config.json").read_text() + " ")
    question = ["find", str(place / "pictures"), "a sunset", "--encoder", str(other)]
    assert main(question) == 2
    assert "not the encoder that the index was made with" in capsys.readouterr().err
    assert main(["index", str(place / "pictures"), "--encoder", str(other)]) == 2
    error = capsys.readouterr().err
    assert "indexed with another encoder" in error or "other weights of the encoder" in error
    assert len(error.strip().splitlines()) == 1


def test_changed_weights_of_a_detector_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "d.onnx").write_bytes(b"one")
    before = spec_fingerprint(f"onnx:{tmp_path / 'd.onnx'}")
    (tmp_path / "d.onnx").write_bytes(b"two")
    assert spec_fingerprint(f"onnx:{tmp_path / 'd.onnx'}") != before
    assert spec_fingerprint("hf:some/name") == "hf:some/name"
    assert len(spec_fingerprint("default")) == 32
    with pytest.raises(InputError, match="no model there"):
        model_fingerprint(tmp_path / "nothing")
