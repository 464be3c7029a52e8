from __future__ import annotations

import json
from pathlib import Path

import PIL.Image
import pytest
import torch

from detectors.default import save_detector
from detectors.faster_rcnn import build_detector
from gqa_reasoner.cli import main
from tests.detectors.toy import draw_world, tiny_config


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    save_detector(build_detector(tiny_config(score_threshold=0.0)), folder, card="")
    return f"default:{folder}"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_world(tmp_path_factory.mktemp("world") / "w", 2) / "images"


def test_json_lists_one_scene_a_picture(
    spec: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(pictures / "0.png"), str(pictures / "1.png")]
    assert main(["detect", *paths, "--detector", spec, "--json"]) == 0
    scenes = json.loads(capsys.readouterr().out)
    assert [scene["image_id"] for scene in scenes] == ["0", "1"]
    for scene in scenes:
        assert (scene["width"], scene["height"]) == (96, 64)
        for item in scene["objects"]:
            assert {"name", "score", "box", "attributes"} <= set(item)


def test_text_names_objects_and_threshold_empties_the_scene(
    spec: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(pictures / "0.png"), "--detector", spec]) == 0
    assert "0 (96x64" in capsys.readouterr().out
    words = ["detect", str(pictures / "0.png"), "--detector", spec, "--threshold", "1", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)[0]["objects"] == []


def test_unreadable_pictures_are_listed_and_the_others_done(
    spec: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    good = str(pictures / "0.png")
    assert main(["detect", str(bad), good, "--detector", spec, "--json"]) == 1
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 1
    assert "bad.jpg: picture: the file is empty" in captured.err
    assert main(["detect", str(bad), "--detector", spec]) == 2
    assert main(["detect", good, "--detector", "nothing"]) == 2
    assert main(["detect", good, "--detector", spec, "--threshold", "7"]) == 2


def test_cmyk_and_upright_pictures_are_described(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tall.tif"
    PIL.Image.new("CMYK", (40, 100), (0, 200, 200, 0)).save(path)
    assert main(["detect", str(path), "--detector", spec, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["height"] == 100
