from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.vlp.checkpoint import save_model
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.data.records import CaptionRecord, write_captions
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import load_recipe
from gqa_reasoner.vlp.retrieval.bank import QueryBank
from gqa_reasoner.vlp.retrieval.build import build_picture_index, build_text_index
from gqa_reasoner.vlp.retrieval.encoder import load_encoder, model_fingerprint
from gqa_reasoner.vlp.retrieval.evaluation import SecondStage, Shares
from gqa_reasoner.vlp.retrieval.index import VectorIndex
from gqa_reasoner.vlp.retrieval.rerank import candidates_of, place_candidates
from gqa_reasoner.vlp.retrieval.zero_shot import class_vectors, classify
from gqa_reasoner.vlp.text import WordPieces
from gqa_reasoner.vlp.tower import open_tower

READER = str(Path(__file__).parents[2] / "configs/vlp/reader.yaml")
COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColorEncoder:
    """A picture's mean colour, and the colour that a text names."""

    fingerprint, dimension = "colors", 3

    def __init__(self, calls: int = 1000) -> None:
        self.calls = calls
        self.seen = 0

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> np.ndarray:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        self.seen += len(images)
        means = [np.asarray(image, dtype=np.float32).mean((0, 1)) for image in images]
        return _rows(means)

    def encode_texts(self, texts: Sequence[str], language: str | None = None) -> np.ndarray:
        return _rows([np.sum([COLORS.get(w, (1, 1, 1)) for w in t.split()], 0) for t in texts])


def _rows(values: Sequence[np.ndarray]) -> np.ndarray:
    rows = np.array(values, dtype=np.float32).reshape(-1, 3)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "pictures"
    place.mkdir()
    for number in range(130):
        name = list(COLORS)[number % 3]
        PIL.Image.new("RGB", (4, 4), COLORS[name]).save(place / f"{name}-{number}.png")
    return place


def test_text_finds_pictures_and_pictures_find_pictures(tmp_path: Path, folder: Path) -> None:
    encoder = ColorEncoder()
    report = build_picture_index(PictureSource.open(folder), tmp_path / "i", encoder)
    assert (report.added, report.failures) == (130, [])
    index = VectorIndex.open(tmp_path / "i", "colors")
    hits = index.hits(encoder.encode_texts(["blue", "red"]), 5)
    assert [{hit.name.split("-")[0] for hit in row} for row in hits] == [{"blue"}, {"red"}]
    green = encoder.encode_images([PIL.Image.new("RGB", (9, 9), (0, 200, 0))])
    assert index.hits(green, 1)[0][0].name.startswith("green")


def test_an_interrupted_build_goes_on(tmp_path: Path, folder: Path) -> None:
    source = PictureSource.open(folder)
    with pytest.raises(KeyboardInterrupt):
        build_picture_index(source, tmp_path / "i", ColorEncoder(1))
    second = ColorEncoder()
    report = build_picture_index(source, tmp_path / "i", second)
    assert (report.unchanged, report.added, second.seen) == (64, 66, 66)
    build_picture_index(source, tmp_path / "whole", ColorEncoder())
    one, two = VectorIndex.open(tmp_path / "i"), VectorIndex.open(tmp_path / "whole")
    assert np.array_equal(one.vectors, two.vectors) and one.names() == two.names()


def test_changed_and_deleted_pictures_are_noticed(tmp_path: Path, folder: Path) -> None:
    build_picture_index(PictureSource.open(folder), tmp_path / "i", ColorEncoder())
    (folder / "red-0.png").unlink()
    PIL.Image.new("RGB", (8, 8), COLORS["blue"]).save(folder / "green-1.png")
    (folder / "broken.png").write_bytes(b"x")
    (folder / "empty.png").write_bytes(b"")
    for _ in range(2):  # the second time the broken ones are known and still listed
        encoder = ColorEncoder()
        report = build_picture_index(PictureSource.open(folder), tmp_path / "i", encoder)
        assert {item["image"] for item in report.failures} == {"broken.png", "empty.png"}
    assert encoder.seen == 0 and report.unchanged == 129
    index = VectorIndex.open(tmp_path / "i")
    assert "red-0.png" not in index.names()
    row = index.names().index("green-1.png")
    assert index.vectors[row].tolist() == [0, 0, 1]
    (folder / "broken.png").unlink()
    report = build_picture_index(PictureSource.open(folder), tmp_path / "i", ColorEncoder())
    assert [item["image"] for item in report.failures] == ["empty.png"]


def test_captions_are_indexed_by_language(tmp_path: Path) -> None:
    records = [
        CaptionRecord("a", "a.jpg", ("red", "green"), None, {"de": ("blue",)}),
        CaptionRecord("b", "b.jpg", ("blue",)),
    ]
    encoder = ColorEncoder()
    assert build_text_index(records, tmp_path / "t", encoder).added == 3
    assert build_text_index(records[1:], tmp_path / "t", encoder).removed == 2
    assert VectorIndex.open(tmp_path / "t").metadata(0) == {"name": "blue", "image": "b.jpg"}
    build_text_index(records, tmp_path / "de", encoder, language="de")
    assert VectorIndex.open(tmp_path / "de").names() == ["blue"]
    with pytest.raises(InputError, match="'cs'"):
        build_text_index(records, tmp_path / "cs", encoder, language="cs")


def test_zero_shot_classes_are_averaged_prompts() -> None:
    encoder = ColorEncoder()
    classes = class_vectors(encoder, ["red", "blue"], ["{}", "{} green"])
    expected = _rows([np.array([1 + 0.5**0.5, 0.5**0.5, 0])])[0]
    assert np.allclose(classes[0], expected)
    shares = classify(_rows([np.array([255, 0, 0])]), classes)
    assert shares.sum() == pytest.approx(1) and shares[0, 0] > 0.99
    for labels, prompts in ((["red"], ["{}"]), (["red", "red"], ["{}"]), (["a", "b"], ["x"])):
        with pytest.raises(InputError):
            class_vectors(encoder, labels, prompts)


def test_candidates_come_first_in_the_new_order() -> None:
    similarity = np.array([[0.9, 0.5, 0.4, 0.1]])
    candidates = candidates_of(similarity, 3)
    assert candidates.tolist() == [[0, 1, 2]]
    logits = np.array([[-5.0, -1.0, -2.0]])
    for weight, order in ((0.0, [1, 2, 0, 3]), (100.0, [0, 1, 2, 3])):
        placed = place_candidates(similarity, candidates, logits, weight)
        assert np.argsort(-placed[0]).tolist() == order


def test_a_perfect_second_stage_finds_all_candidates() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.normal(size=(6, 12))
    owner = np.repeat(np.arange(6), 2)
    images, texts = candidates_of(similarity.T, 6), candidates_of(similarity, 12)
    stage = SecondStage(
        similarity,
        owner,
        images,
        (images == owner[:, None]).astype(float),
        texts,
        (owner[texts] == np.arange(6)[:, None]).astype(float),
    )
    alone = stage.scores(Shares(0.0))
    assert alone.text_to_image.r1 == alone.image_to_text.r1 == 100
    assert stage.best_shares([Shares(1e6), Shares(0.0)]) == (Shares(0.0), Shares(0.0))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained dual encoder and one-stream model over raw patches."""
    place = tmp_path_factory.mktemp("models")
    tower = open_tower("patches:64")
    pieces = WordPieces.train(["a red picture", "green and blue pictures"], 60)
    for recipe in ("clip", "vilt", READER):
        torch.manual_seed(0)
        config = ModelConfig.from_recipe(
            load_recipe(recipe), vocabulary=len(pieces), tower=tower,
            layers=1, vision_layers=None, width=16, heads=2, hidden=16, space=8,
        )  # fmt: skip
        save_model(place / config.recipe, VisionLanguageModel(config), pieces)
    return place


def test_the_encoder_gives_rows_of_length_one(models: Path) -> None:
    encoder = load_encoder(models / "clip")
    images = encoder.encode_images([PIL.Image.new("RGB", (30, 20), "red")] * 3)
    texts = encoder.encode_texts(["a red picture", "blue"])
    assert images.shape == (3, 8) and texts.shape == (2, 8)
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert encoder.encode_images([]).shape == (0, 8)
    assert encoder.fingerprint == model_fingerprint(models / "clip")
    for texts_, language, word in (([" "], None, "word"), (["red"], "xx", "language")):
        with pytest.raises(InputError, match=word):
            encoder.encode_texts(texts_, language)
    with pytest.raises(InputError, match="dual"):
        load_encoder(models / "vilt")
    with pytest.raises(InputError, match="another image tower"):
        load_encoder(models / "clip", "patches:96")
    with pytest.raises(InputError, match="texts only"):
        load_encoder(models / "clip", images=False).encode_images([PIL.Image.new("RGB", (3, 3))])


def test_commands(
    models: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.png").write_bytes(b"x")
    words = ["vlp", "retrieve", "--index", str(tmp_path / "i"), "--model", str(models / "clip")]
    assert main([*words, "--build", str(folder), "--json"]) == 1
    built = json.loads(capsys.readouterr().out)["build"]
    assert built["added"] == 130 and built["failures"][0]["image"] == "broken.png"
    picture = str(folder / "red-3.png")
    ask = [*words, "--text", "a red picture", "--image", picture, "-k", "3", "--json"]
    assert main(ask) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [len(row["hits"]) for row in results] == [3, 3]
    assert results[1]["hits"][0]["name"].startswith("red")
    rerank = ["--rerank", str(models / "vilt"), "--candidates", "8", "--json"]
    assert main([*words, "--text", "a red picture", *rerank]) == 0
    hits = json.loads(capsys.readouterr().out)["results"][0]["hits"]
    assert len(hits) == 8 and [h["score"] for h in hits] == sorted(
        (h["score"] for h in hits), reverse=True
    )
    assert main([*words, "--image", picture, "--classify", "red,blue"]) == 0
    assert "red" in capsys.readouterr().out
    captions = tmp_path / "captions.jsonl"
    write_captions(captions, [CaptionRecord("a", "a.jpg", ("a red picture", "blue"))])
    texts = ["vlp", "retrieve", "--index", str(tmp_path / "t"), "--model", str(models / "clip")]
    assert main([*texts, "--build-texts", str(captions)]) == 0
    assert main([*texts, "--image", picture, *rerank]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["hits"][0]["image"] == "a.jpg"
    QueryBank(np.eye(8, dtype=np.float32), np.eye(8, dtype=np.float32)).save(models / "clip")
    by_reader = ["--rerank", str(models / "reader"), "--candidates", "8", "--json"]
    assert main([*words, "--text", "a red picture", *by_reader]) == 0
    assert len(json.loads(capsys.readouterr().out)["results"][0]["hits"]) > 1


def test_bad_requests_end_with_one_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    words = ["vlp", "retrieve", "--model", str(models / "clip")]
    for arguments, word in (
        ([], "--text"),
        (["--text", "red"], "--index"),
        (["--text", "red", "--index", str(tmp_path / "none")], "no vector index"),
        (["--build", str(tmp_path / "empty"), "--index", str(tmp_path / "i")], "no pictures"),
        (["--text", "red", "--index", str(tmp_path / "i"), "-k", "0"], "1 or more"),
    ):
        assert main([*words, *arguments]) == 2
        error = capsys.readouterr().err.strip()
        assert word in error and "\n" not in error


def test_an_index_of_another_model_is_refused(
    models: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_picture_index(PictureSource.open(folder), tmp_path / "i", ColorEncoder())
    words = ["vlp", "retrieve", "--index", str(tmp_path / "i"), "--model", str(models / "clip")]
    assert main([*words, "--text", "red"]) == 2
    assert "built with model colors" in capsys.readouterr().err
