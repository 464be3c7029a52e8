"""`vlp pretrain` and `vlp finetune` from files, and bad input as one line and exit 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gqa_reasoner.cli import main
from gqa_reasoner.vlp.checkpoint import load_model, read_config

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (240,) * 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve plain pictures, their captions and scenes, a small configuration."""
    (tmp_path / "images").mkdir()
    lines, scenes = [], []
    for number in range(12):
        name = list(COLOURS)[number % 4]
        noise = np.random.default_rng(number).integers(0, 15, (64, 64, 3))
        pixels = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        captions = [f"a {name} square .", f"everything is {name} here ."]
        lines.append({"image": f"{number}.png", "captions": captions, "split": "train"})
        item = {"name": "square", "score": 0.9, "box": [0, 0, 64, 64], "attributes": {}}
        scenes.append(
            {"image_id": str(number), "width": 64, "height": 64, "objects": [item],
             "relations": []}
        )  # fmt: skip
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "scenes.json").write_text(json.dumps(scenes))
    (tmp_path / "config.yaml").write_text(
        "steps: 6\nbatch_size: 4\nwarmup_steps: 1\nvocabulary: 80\ncheckpoint_every: 2\n"
        "log_every: 1\nsizes: {width: 32, heads: 2, hidden: 48, space: 16}\n"
    )
    return tmp_path


def _command(folder: Path, action: str, output: str, *more: str) -> list[str]:
    return [
        "vlp", action,
        "--captions", str(folder / "captions.jsonl"),
        "--images", str(folder / "images"),
        "--tower", "patches:64",
        "--config", str(folder / "config.yaml"),
        "--output", str(folder / output),
        *more,
    ]  # fmt: skip


def _weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_pretrain_resume_and_finetune(folder: Path) -> None:
    whole = _command(folder, "pretrain", "whole", "--recipe", "vilt")
    assert main(whole) == 0
    config = read_config(folder / "whole" / "model")
    assert (config.recipe, config.grid, config.sizes.width) == ("vilt", (2, 2), 32)
    parts = _command(folder, "pretrain", "parts", "--recipe", "vilt")
    assert main([*parts, "--stop-after", "3"]) == 0
    assert main([*parts, "--resume"]) == 0
    assert _weights(folder / "whole") == _weights(folder / "parts")
    start = str(folder / "whole" / "model")
    tuned = _command(folder, "finetune", "tuned", "--task", "retrieval", "--model", start)
    assert main(tuned) == 0
    model, _ = load_model(folder / "tuned" / "model", recipe="vilt")
    assert model.match is not None
    steps = [json.loads(x)["step"] for x in (folder / "tuned" / "metrics.jsonl").open()]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_tag_anchors_and_classes_without_a_classifier(folder: Path) -> None:
    command = _command(
        folder, "pretrain", "u", "--recipe", "u_visualbert", "--scenes", str(folder / "scenes.json")
    )
    assert main(command) == 0
    record = json.loads((folder / "u" / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"masked_words", "masked_class"} <= set(record)


def test_a_guide_and_warm_weights_are_taken(folder: Path) -> None:
    assert main(_command(folder, "pretrain", "clip", "--recipe", "clip")) == 0
    clip = str(folder / "clip" / "model")
    command = _command(folder, "finetune", "guided", "--recipe", "vilt", "--task", "retrieval")
    assert main([*command, "--guide", clip, "--warm", clip]) == 0
    assert (folder / "guided" / "model" / "config.json").is_file()


def _refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    capsys.readouterr()
    assert main(command) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("gqa-reasoner")]
    assert len(lines) == 1
    return lines[0]


def test_bad_input_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = _refused(capsys, _command(folder, "pretrain", "x", "--recipe", "vlbert"))
    assert "expected one of clip, m3p" in line
    line = _refused(capsys, _command(folder, "pretrain", "x", "--recipe", "u_visualbert"))
    assert "--scenes" in line
    line = _refused(capsys, _command(folder, "pretrain", "x", "--recipe", "m3p"))
    assert "language" in line
    assert "lexicon" in line
    line = _refused(capsys, _command(folder, "finetune", "x", "--task", "retrieval"))
    assert "--recipe or --model" in line
    line = _refused(
        capsys, _command(folder, "finetune", "x", "--recipe", "clip", "--task", "captioning")
    )
    assert "cannot write captions" in line
    command = _command(folder, "pretrain", "x", "--recipe", "clip")
    command[command.index("patches:64")] = "conv"
    assert "frozen towers" in _refused(capsys, command)
    (folder / "config.yaml").write_text("stepz: 3\n")
    line = _refused(capsys, _command(folder, "pretrain", "x", "--recipe", "clip"))
    assert "stepz" in line


def test_captions_that_cannot_be_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "captions.jsonl"
    text = path.read_text()
    path.write_text(text + json.dumps({"image": "99.png", "captions": ["a cat"]}) + "\n")
    line = _refused(capsys, _command(folder, "pretrain", "x", "--recipe", "clip"))
    assert "99.png" in line
    path.write_text(text + json.dumps({"image": "3.png", "captions": [" "]}) + "\n")
    line = _refused(capsys, _command(folder, "pretrain", "x", "--recipe", "clip"))
    assert "empty" in line or "twice" in line


def test_a_model_of_another_recipe_or_tower_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_command(folder, "pretrain", "clip", "--recipe", "clip")) == 0
    clip = str(folder / "clip" / "model")
    command = _command(folder, "finetune", "x", "--task", "retrieval", "--model", clip)
    line = _refused(capsys, [*command, "--recipe", "vilt"])
    assert "expected a model of recipe 'vilt', got one of 'clip'" in line
    command = _command(folder, "finetune", "y", "--task", "retrieval", "--model", clip)
    command[command.index("patches:64")] = "patches:96"
    assert "another image tower" in _refused(capsys, command)
