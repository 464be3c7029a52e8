from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.tinygqa.generate import generate


def _files(folder: Path) -> dict[str, bytes]:
    names = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in names}


def test_the_number_of_workers_changes_no_byte(tmp_path: Path, font: Path) -> None:
    generate(tmp_path / "one", 6, 3, workers=1, font=font, progress=False)
    generate(tmp_path / "two", 6, 3, workers=2, font=font, progress=False)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_an_interrupted_run_is_resumed(tmp_path: Path, font: Path) -> None:
    generate(tmp_path, 4, 3, font=font, progress=False)
    before = _files(tmp_path)
    (tmp_path / "images" / "tiny3_000002.jpg").unlink()
    (tmp_path / "sceneGraphs.json").unlink()
    result = generate(tmp_path, 4, 3, font=font, progress=False)
    assert (result.drawn, result.kept) == (1, 3)
    assert _files(tmp_path) == before


def test_pictures_of_another_recipe_are_drawn_again(tmp_path: Path, font: Path) -> None:
    generate(tmp_path, 2, 3, font=font, progress=False)
    (tmp_path / "tinygqa.json").write_text('{"recipe": "older"}\n')
    assert generate(tmp_path, 2, 3, font=font, progress=False).drawn == 2


def test_a_longer_run_begins_with_the_shorter_one(tmp_path: Path, font: Path) -> None:
    generate(tmp_path / "short", 2, 3, font=font, progress=False)
    generate(tmp_path / "long", 4, 3, font=font, progress=False)
    short, long = (
        json.loads((tmp_path / name / "sceneGraphs.json").read_text()) for name in ("short", "long")
    )
    assert short.items() <= long.items()
    with Image.open(tmp_path / "long" / "images" / "tiny3_000003.jpg") as picture:
        assert picture.format == "JPEG" and picture.size == (320, 240)


@pytest.mark.parametrize(("images", "seed", "workers"), [(0, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_impossible_numbers_are_refused(
    tmp_path: Path, images: int, seed: int, workers: int
) -> None:
    with pytest.raises(InputError, match="tinygqa"):
        generate(tmp_path, images, seed, workers=workers, progress=False)


def test_the_command_reports_a_missing_font_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tinygqa", "generate", "--images", "1", "--output", str(tmp_path / "out")]
    assert main([*words, "--font", str(tmp_path / "absent.ttf")]) == 2
    error = capsys.readouterr().err.strip()
    assert "apt-get install fonts-noto-color-emoji" in error and "\n" not in error


def test_the_command_lists_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tinygqa", "classes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name", "category", "attributes"} <= set(rows[0])
