"""The captioner and the two commands, with an untrained model and the raw-patch tower."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.commands.vlp import caption, evaluate
from gqa_reasoner.vlp.captioning.captioner import Captioner, CaptionSettings
from gqa_reasoner.vlp.captioning.consensus import Consensus
from gqa_reasoner.vlp.captioning.sheet import SheetItem, contact_sheet
from gqa_reasoner.vlp.captioning.words import plain_records
from gqa_reasoner.vlp.checkpoint import save_model
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.data.feature_cache import FeatureCache
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.data.records import read_captions
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import Sizes
from gqa_reasoner.vlp.text import WordPieces
from gqa_reasoner.vlp.tower import PatchTower

WORDS = ["a", "dog", "runs", "on", "grass", "boy", "red"]


def write_model(folder: Path, plan: str, loss: str) -> Path:
    torch.manual_seed(0)
    tower = PatchTower()
    pieces = WordPieces(WORDS)
    config = ModelConfig(
        recipe="toy",
        plan=plan,
        vision="grid",
        sizes=Sizes(layers=1, width=16, heads=2, hidden=24, space=8, text_length=24),
        losses=(loss,),
        vocabulary=len(pieces),
        tower=tower.name,
        fingerprint=tower.fingerprint,
        tower_width=tower.width,
        grid=tower.grid,
        image_size=tower.image_size,
    )
    model = VisionLanguageModel(config)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * 0.3)
    save_model(folder, model, pieces)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("captioner"), "encoder_decoder", "next_token")


@pytest.fixture(scope="module")
def dual(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("dual"), "dual", "contrastive")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        PIL.Image.fromarray(noise).resize((120, 80)).save(place / f"{number}.png")
    return place


@pytest.fixture(scope="module")
def captions(pictures) -> Path:
    path = pictures / "captions.jsonl"
    lines = [
        {"image": f"{n}.png", "split": "dev", "captions": ["A dog runs.", "a boy on grass"]}
        for n in range(3)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def no_java(monkeypatch) -> None:
    """METEOR starts a Java program that takes half a minute; `eval/` has its own tests of it."""
    monkeypatch.setattr("eval.captioning.java_path", lambda: None)


def call(module, *words: object) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(word) for word in words]))


def test_captions_carry_scores_and_keep_lengths(folder, pictures):
    captioner = Captioner.from_pretrained(folder)
    images = [PIL.Image.open(path).convert("RGB") for path in sorted(pictures.glob("*.png"))]
    settings = CaptionSettings(beams=4, count=2, min_length=3, max_length=3)
    for captions in captioner.caption(images, settings):
        assert len(captions) == 2
        assert captions[0].score >= captions[1].score
        for one in captions:
            assert one.text.split() == list(one.words)
            assert set(one.words) <= set(WORDS)
            assert len(one.words) == 3 and len(one.log_probabilities) == 4
            assert one.total == pytest.approx(sum(one.log_probabilities))
    assert captioner.caption([], settings) == []


def test_a_whole_picture_box_says_what_the_picture_says(folder, pictures):
    captioner = Captioner.from_pretrained(folder)
    image = PIL.Image.open(pictures / "0.png").convert("RGB")
    settings = CaptionSettings(beams=2)
    whole = captioner.caption([image], settings)[0][0]
    regions = captioner.caption_regions(image, [(0, 0, 120, 80), (0, 0, 30, 30)], settings)
    assert regions[0][0].text == whole.text
    assert regions[0][0].total == pytest.approx(whole.total, abs=1e-4)
    assert regions[1][0].total != pytest.approx(whole.total, abs=1e-3)
    assert captioner.caption_regions(image, [], settings) == []


def test_the_command_lists_what_it_cannot_read(folder, pictures, tmp_path, capsys):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    assert call(caption, pictures, broken, "--model", folder, "--batch-size", 2) == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    assert "1 of 4 pictures were skipped" in shown.err and "broken.jpg" in shown.err


def test_the_command_prints_json_of_regions(folder, pictures, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"1": [[0, 0, 50, 50], [10, 10, 100, 70]]}), encoding="utf-8")
    options = ("--boxes", boxes, "--json", "--nucleus", "--count", 2, "--seed", 3)
    assert call(caption, pictures, "--model", folder, *options) == 0
    record = json.loads(capsys.readouterr().out)
    assert [item["box"] for item in record["pictures"]] == [[0, 0, 50, 50], [10, 10, 100, 70]]
    assert all(len(item["captions"]) == 2 for item in record["pictures"])
    assert record["failures"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.jpg"], "nowhere.jpg"),
        (["PICTURES", "--max-length", "0"], "max length"),
        (["PICTURES", "--max-length", "99"], "at most 23 words"),
        (["PICTURES", "--beam", "2", "--count", "3"], "beams"),
        (["PICTURES", "--greedy", "--count", "2"], "greedy"),
        (["PICTURES", "--nucleus", "2"], "mass"),
        (["PICTURES", "--batch-size", "0"], "batch size"),
        (["PICTURES", "--boxes", "nowhere.json"], "no such file"),
        (["PICTURES", "--tower", "conv"], "another image tower"),
    ],
)
def test_bad_input_is_one_line(folder, pictures, words, message):
    words = [str(pictures) if word == "PICTURES" else word for word in words]
    with pytest.raises(InputError, match=message) as caught:
        call(caption, *words, "--model", folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[1]", "{}", "{", '{"1": 3}', '{"7": [[0, 0, 5, 5]]}', '{"1": [[0, 0, 5]]}']
)
def test_bad_boxes_are_refused(folder, pictures, tmp_path, text):
    path = tmp_path / "boxes.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        call(caption, pictures, "--model", folder, "--boxes", path)


def test_a_model_that_writes_no_captions_is_refused(dual, pictures):
    with pytest.raises(InputError, match="writes captions"):
        call(caption, pictures, "--model", dual)


def test_captions_are_evaluated_from_pictures_and_from_files(
    folder, pictures, captions, tmp_path, capsys
):
    written = tmp_path / "said.json"
    task = ("--task", "caption", "--captions", captions, "--tokenizer", "plain")
    options = ("--model", folder, "--images", pictures, "--write", written, "--json")
    assert call(evaluate, *task, *options) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["pictures"] == 3 and 0 <= first["BLEU-4"] <= 1
    assert call(evaluate, *task, "--predictions", written, "--json") == 0
    assert json.loads(capsys.readouterr().out)["CIDEr"] == first["CIDEr"]
    assert call(evaluate, *task, "--predictions", written) == 0
    assert "BLEU-4" in capsys.readouterr().out
    sheet = tmp_path / "sheet.png"
    shown = ("--predictions", written, "--images", pictures, "--sheet", sheet)
    assert call(evaluate, *task, *shown, "--sheet-count", 2) == 0
    assert PIL.Image.open(sheet).size[0] > 500
    with pytest.raises(InputError, match="needs --images"):
        call(evaluate, *task, "--predictions", written, "--sheet", sheet)


def test_retrieval_is_evaluated(dual, pictures, captions, capsys):
    task = ("--task", "retrieval", "--captions", captions, "--split", "dev", "--model", dual)
    assert call(evaluate, *task, "--images", pictures, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["image_to_text"]["r10"] == 100.0
    assert record["rsum"] == pytest.approx(6 * record["mean_recall"])
    assert call(evaluate, *task, "--images", pictures) == 0
    assert "mR" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--split", "dev"],
        ["--model", "MODEL"],
        ["--model", "MODEL", "--images", "PICTURES", "--features", "x"],
        ["--model", "MODEL", "--images", "PICTURES", "--split", "test"],
        ["--model", "MODEL", "--images", "PICTURES", "--batch-size", "0"],
        ["--predictions", "CAPTIONS", "--split", "nothing"],
    ],
)
def test_evaluation_without_what_it_needs_is_refused(folder, pictures, captions, words):
    names = {"MODEL": folder, "PICTURES": pictures, "CAPTIONS": captions}
    words = [names.get(word, word) for word in words]
    with pytest.raises(InputError):
        call(evaluate, "--task", "caption", "--captions", captions, *words)


def test_pictures_missing_from_the_source_are_named(folder, pictures, captions, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    (few / "0.png").write_bytes((pictures / "0.png").read_bytes())
    words = ("--task", "caption", "--captions", captions, "--model", folder, "--images", few)
    with pytest.raises(InputError, match=r"2 of 3 pictures .* 1\.png, 2\.png"):
        call(evaluate, *words)


def test_a_contact_sheet_shows_every_picture():
    red = PIL.Image.new("RGB", (300, 200), "red")
    items = [SheetItem(red, "a red wall", ("a wall",), "1")] * 3
    sheet = contact_sheet(items, columns=2, side=60, text_width=100)
    pixels = np.asarray(sheet)
    assert (pixels == (255, 0, 0)).all(axis=-1).sum() == 3 * 60 * 40
    with pytest.raises(InputError):
        contact_sheet([])


def build_cache(place: Path, pictures: Path) -> Path:
    tower = PatchTower()
    names = sorted(path.name for path in pictures.glob("*.png"))
    FeatureCache.build(place, PictureSource.open(pictures), names, tower)
    return place


def test_a_consensus_never_uses_the_pictures_that_are_measured(
    folder, pictures, captions, tmp_path, capsys
):
    cache = build_cache(tmp_path / "cache", pictures)
    lines = captions.read_text(encoding="utf-8").splitlines()
    known, asked = tmp_path / "known.jsonl", tmp_path / "asked.jsonl"
    known.write_text("\n".join(lines[:2]), encoding="utf-8")
    asked.write_text(lines[2], encoding="utf-8")
    task = ("--task", "caption", "--model", folder, "--tokenizer", "plain", "--count", 3)
    chosen = ("--consensus", known, "--features", cache)
    assert call(evaluate, *task, "--captions", asked, *chosen, "--json") == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 1
    with pytest.raises(InputError, match="2 of the pictures that are measured"):
        call(evaluate, *task, "--captions", captions, *chosen)
    with pytest.raises(InputError, match="needs --features"):
        call(evaluate, *task, "--captions", asked, "--images", pictures, "--consensus", known)


def test_the_caption_command_chooses_by_consensus(folder, pictures, captions, tmp_path, capsys):
    cache = build_cache(tmp_path / "cache", pictures)
    lines = captions.read_text(encoding="utf-8").splitlines()
    known = tmp_path / "known.jsonl"
    known.write_text("\n".join(lines[:2]), encoding="utf-8")
    picture = pictures / "2.png"
    options = ("--model", folder, "--beam", 4, "--max-length", 6)
    chosen = ("--consensus", known, "--features", cache, "--neighbours", 2)

    assert call(caption, picture, *options, "--count", 4, "--json") == 0
    plain = json.loads(capsys.readouterr().out)["pictures"][0]["captions"]
    assert call(caption, picture, *options, *chosen, "--json") == 0
    ordered = json.loads(capsys.readouterr().out)["pictures"][0]["captions"]
    assert len(ordered) == 4
    assert {one["caption"] for one in ordered} == {one["caption"] for one in plain}

    captioner = Captioner.from_pretrained(folder)
    features = captioner.features([PIL.Image.open(picture).convert("RGB")])
    found = captioner.caption_features(features, CaptionSettings(beams=4, count=4, max_length=6))
    people = Consensus(
        plain_records(read_captions(known)), FeatureCache.open(cache).rows, neighbours=2
    )
    wanted = people.choose(features, found)[0]
    assert [one["caption"] for one in ordered] == [one.text for one in wanted]

    assert call(caption, picture, *options, *chosen) == 0
    assert capsys.readouterr().out == f"{picture}\t{wanted[0].text}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--consensus", "C"], "needs --features"),
        (["--features", "F"], "serves --consensus"),
        (["--consensus", "C", "--features", "F", "--boxes", "B"], "whole pictures"),
        (["--consensus", "C", "--features", "F", "--greedy"], "several captions"),
        (["--consensus", "C", "--features", "F", "--count", "1"], "several captions"),
    ],
)
def test_a_consensus_that_cannot_choose_is_refused(folder, pictures, captions, words, message):
    given = [str(captions) if word == "C" else word for word in words]
    with pytest.raises(InputError, match=message):
        call(caption, pictures, "--model", folder, *given)


def test_a_consensus_of_another_tower_or_other_pictures_is_refused(
    folder, pictures, captions, tmp_path
):
    other = FeatureCache.build(
        tmp_path / "other", PictureSource.open(pictures), ["0.png"], PatchTower(64)
    )
    part = FeatureCache.build(
        tmp_path / "part", PictureSource.open(pictures), ["0.png"], PatchTower()
    )
    for cache, message in ((other, "tower"), (part, "2 of 3 pictures")):
        words = ("--consensus", captions, "--features", cache.path)
        with pytest.raises(InputError, match=message):
            call(caption, pictures, "--model", folder, *words)
