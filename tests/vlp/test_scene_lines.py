"""Scenes of a caption file's pictures: written once, gone on with, and read by pre-training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from detectors.errors import InputError
from detectors.scene import Scene, SceneObject
from gqa_reasoner.cli import main
from gqa_reasoner.vlp.assemble import read_scenes
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.data.records import CaptionRecord
from gqa_reasoner.vlp.data.scene_lines import write_scene_lines

SETTINGS = {"detector": "made", "threshold": 0.3}


class MadeDetector:
    """Finds one object whose name is the picture's; stops where it is told to."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.stop_at, self.seen = stop_at, []

    def detect(self, images: Sequence[Any], ids: Sequence[str]) -> list[Scene]:
        if self.stop_at in ids:
            raise KeyboardInterrupt
        self.seen += ids
        return [
            Scene(name, *image.size, [SceneObject("0", f"thing{name}", 0.5, (0, 0, 8, 6))])
            for image, name in zip(images, ids, strict=True)
        ]


@pytest.fixture
def source(tmp_path: Path) -> PictureSource:
    (tmp_path / "images").mkdir()
    for number in range(7):
        pixels = np.full((16, 20, 3), 30 * number, dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    return PictureSource.open(tmp_path / "images")


def records(*numbers: int) -> list[CaptionRecord]:
    return [CaptionRecord(str(n), f"{n}.png", ("a thing",)) for n in numbers or range(7)]


def test_an_interrupted_file_is_gone_on_with(source: PictureSource, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    write_scene_lines(whole, source, records(), MadeDetector, SETTINGS, batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        write_scene_lines(
            parts, source, records(), lambda: MadeDetector("4"), SETTINGS, batch_size=2
        )
    assert len(parts.read_text().splitlines()) == 4
    with parts.open("a") as stream:
        stream.write('{"image_id": "4", "wid')  # killed while writing
    second = MadeDetector()
    report = write_scene_lines(parts, source, records(), lambda: second, SETTINGS, batch_size=2)
    assert second.seen == ["4", "5", "6"]
    assert (report.scenes, report.new, report.objects) == (7, 3, 7)
    assert parts.read_bytes() == whole.read_bytes()
    again = write_scene_lines(
        parts, source, records(), lambda: pytest.fail("nothing was left to do"), SETTINGS
    )
    assert (again.scenes, again.new) == (7, 0)
    scenes = read_scenes(parts)
    assert scenes["3"].objects[0].name == "thing3"
    assert (scenes["3"].width, scenes["3"].height) == (20, 16)


def test_other_settings_and_damaged_lines_are_refused(
    source: PictureSource, tmp_path: Path
) -> None:
    output = tmp_path / "scenes.jsonl"
    write_scene_lines(output, source, records(0, 1), MadeDetector, SETTINGS)
    with pytest.raises(InputError, match="made with"):
        write_scene_lines(output, source, records(), MadeDetector, {**SETTINGS, "threshold": 0.5})
    output.write_text('{"image_id": "0"}\n')
    with pytest.raises(InputError, match="line 1: not a scene"):
        write_scene_lines(output, source, records(), MadeDetector, SETTINGS)
    with pytest.raises(InputError, match=r"1 of 2 pictures .*9\.png"):
        write_scene_lines(tmp_path / "o", source, records(0, 9), MadeDetector, SETTINGS)


def test_unreadable_pictures_are_listed(source: PictureSource, tmp_path: Path) -> None:
    (tmp_path / "images" / "2.png").write_bytes(b"nothing")
    report = write_scene_lines(tmp_path / "scenes.jsonl", source, records(), MadeDetector, SETTINGS)
    assert report.scenes == 6 and len(report.failures) == 1 and "2.png" in report.failures[0]


def test_the_command_feeds_pre_training(
    source: PictureSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = tmp_path / "captions.jsonl"
    lines = [{"image": f"{n}.png", "captions": ["a grey thing ."]} for n in range(7)]
    captions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    graphs = {
        str(n): {
            "width": 20,
            "height": 16,
            "objects": {"1": {"name": "thing", "x": 1, "y": 2, "w": 8, "h": 6,
                              "attributes": [], "relations": []}},
        }
        for n in range(7)
    }  # fmt: skip
    oracle = tmp_path / "graphs.json"
    oracle.write_text(json.dumps(graphs))
    common = ["--captions", str(captions), "--images", str(source.path)]
    output = tmp_path / "scenes.jsonl"
    made = ["vlp", "scenes", *common, "--detector", f"oracle:{oracle}", "--output", str(output)]
    assert main(made) == 0
    assert "7 scenes (7 new), 7 objects, 0 unreadable" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text(
        "steps: 1\nbatch_size: 4\nvocabulary: 60\nsizes: {width: 32, heads: 2, hidden: 48}\n"
    )
    trained = ["vlp", "pretrain", "--recipe", "u_visualbert", *common, "--tower", "patches:64",
               "--scenes", str(output), "--config", str(tmp_path / "config.yaml"),
               "--output", str(tmp_path / "run")]  # fmt: skip
    assert main(trained) == 0
    assert main([*made, "--threshold", "0.9"]) == 2
    assert main([*made, "--batch-size", "0"]) == 2
