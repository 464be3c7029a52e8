from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detectors.default import RegionDetector
from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.training.detector_data import (
    DetectorData,
    build_vocabulary,
    mirrored_name,
    read_scenes,
)
from gqa_reasoner.training.detector_loop import (
    DetectorTraining,
    DetectorTrainingConfig,
    read_config,
)
from gqa_reasoner.training.schedule import learning_rate
from tests.detectors.toy import TINY, draw_world

CONFIG = {
    "steps": 6,
    "batch_size": 4,
    "warmup_steps": 2,
    "minimum_name_count": 1,
    "threads": 1,
    "precision": "float32",
    "checkpoint_every": 2,
    "log_every": 1,
    "evaluate_every": 4,
    "evaluation_images": 4,
    "model": {**TINY, "image_size": [64, 96]},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_world(tmp_path_factory.mktemp("toy") / "world", 10)


@pytest.fixture
def options(world: Path, tmp_path: Path) -> list[str]:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(CONFIG, default=list))
    return [
        "train", "--stage", "detector", "--data", str(world), "--validation", str(world),
        "--config", str(path), "--seed", "3",
    ]  # fmt: skip


def curve(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record["loss"] for record in map(json.loads, lines) if "loss" in record]


def test_a_stopped_run_resumes_on_the_same_curve_and_exports(
    options: list[str], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*options, "--output", str(whole)]) == 0
    assert main([*options, "--output", str(parts), "--stop-after", "3"]) == 0
    assert not (parts / "weights").exists()
    assert main([*options, "--output", str(parts), "--resume"]) == 0
    assert len(curve(whole)) == 6
    assert curve(whole) == curve(parts)
    first = (whole / "weights" / "model.safetensors").read_bytes()
    assert first == (parts / "weights" / "model.safetensors").read_bytes()
    card = (whole / "weights" / "README.md").read_text()
    assert "train --stage detector --data" in card
    detector = RegionDetector.from_pretrained(whole / "weights")
    assert set(detector.vocabulary.attributes) == {"blue", "red"}


def test_another_seed_cannot_resume_and_unknown_keys_are_refused(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main([*options, "--output", out, "--stop-after", "2"]) == 0
    assert main([*options, "--output", out, "--resume", "--seed", "4"]) == 2
    assert "another seed" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("stepz: 3\n")
    assert main([*options, "--output", out]) == 2
    assert "unknown keys ['stepz']" in capsys.readouterr().err


def training(world: Path, output: Path) -> DetectorTraining:
    path = output / "config.yaml"
    output.mkdir(exist_ok=True)
    path.write_text(json.dumps(CONFIG, default=list))
    return DetectorTraining(read_config(path), data=world, validation=None, output=output, seed=0)


def test_a_loss_that_is_not_finite_stops_with_the_last_good_checkpoint(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = training(world, tmp_path / "run")
    plain = run.model.losses
    calls = []

    def broken(*arguments: object) -> dict[str, torch.Tensor]:
        calls.append(1)
        losses = plain(*arguments)  # type: ignore[arg-type]
        return {k: v * math.nan for k, v in losses.items()} if len(calls) == 4 else losses

    run.model.losses = broken  # type: ignore[method-assign]
    assert run.run() == 1
    assert "stopped" in capsys.readouterr().err
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    assert all(torch.isfinite(p).all() for p in run.model.parameters())


def test_training_on_one_batch_learns_the_classes(world: Path, tmp_path: Path) -> None:
    run = training(world, tmp_path / "run")
    run.config = replace(run.config, steps=60, learning_rate=5e-3, batch_size=10)
    losses = [sum(run.train_step().values()) for _ in range(60)]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_mirroring_swaps_left_and_right_everywhere(world: Path, tmp_path: Path) -> None:
    scenes = read_scenes(world / "sceneGraphs.json")
    names = build_vocabulary(scenes, minimum_count=1, facts=("location", "weather"))
    assert names.scene_attributes == {"location": ("indoors",)}
    data = DetectorData(world, scenes, names, (64, 96), tmp_path / "cache")
    plain, truth = data.batch([0], [False])
    turned, mirrored = data.batch([0], [True])
    assert torch.equal(turned.flip(-1), plain)
    left = names.predicates.index("to the left of")
    right = names.predicates.index("to the right of")
    assert truth.relations[0, 0, 1].argmax() == left
    assert mirrored.relations[0, 0, 1].argmax() == right
    assert torch.allclose(mirrored.boxes[0, :, 0], 96 - truth.boxes[0, :, 2])
    assert mirrored_name("facing left") == "facing right"


def test_boxes_are_cut_at_the_border_and_empty_ones_left_out(world: Path, tmp_path: Path) -> None:
    scene = read_scenes(world / "sceneGraphs.json", 1)[0]
    names = build_vocabulary([scene], minimum_count=1, facts=())
    first, second = scene.objects
    scene.objects = [replace(first, box=(-10, 5, 200, 30)), replace(second, box=(97, 0, 120, 9))]
    data = DetectorData(world, [scene], names, (64, 96), tmp_path / "cache")
    _, truth = data.batch([0], [False])
    assert truth.boxes[0].tolist() == [[0, 5, 96, 30]]
    assert not truth.relations.any()


def test_pixels_are_decoded_once_and_again_when_the_data_changes(
    world: Path, tmp_path: Path
) -> None:
    scenes = read_scenes(world / "sceneGraphs.json")
    names = build_vocabulary(scenes, minimum_count=1, facts=())
    cache = tmp_path / "cache"
    DetectorData(world, scenes, names, (64, 96), cache)
    first = (cache / "pixels.npy").stat().st_mtime_ns
    DetectorData(world, scenes, names, (64, 96), cache)
    assert (cache / "pixels.npy").stat().st_mtime_ns == first
    assert len(DetectorData(world, scenes[:4], names, (32, 48), cache).pixels) == 4


def test_every_picture_is_seen_once_an_epoch(world: Path, tmp_path: Path) -> None:
    run = training(world, tmp_path / "run")
    run.config = replace(run.config, batch_size=5)
    seen = [int(row) for step in range(2) for row in run.order(step)]
    assert sorted(seen) == list(range(10))


def test_learning_rate_warms_up_and_falls() -> None:
    config = DetectorTrainingConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    assert learning_rate(config, 0) == pytest.approx(0.1)
    assert learning_rate(config, 10) == pytest.approx(1.0)
    assert learning_rate(config, 99) < 0.02


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), ("{", "ends early"), ("{}", "expected image ids")],
)
def test_unreadable_scene_graphs_are_refused(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "sceneGraphs.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_scenes(path)


HEADS = {k: v for k, v in CONFIG.items() if k != "model"} | {
    "trained_parts": ["attributes", "relations"]
}


@pytest.fixture
def started(options: list[str], tmp_path: Path) -> list[str]:
    """Options of a run that begins with the weights of a short one and trains two heads."""
    assert main([*options, "--output", str(tmp_path / "first")]) == 0
    heads = tmp_path / "heads.yaml"
    heads.write_text(json.dumps(HEADS))
    return [*options, "--start", str(tmp_path / "first" / "weights"), "--config", str(heads)]


def test_only_the_named_parts_learn_and_the_others_stay_bit_by_bit(
    started: list[str], tmp_path: Path
) -> None:
    assert main([*started, "--output", str(tmp_path / "second")]) == 0
    old = RegionDetector.from_pretrained(tmp_path / "first" / "weights")
    new = RegionDetector.from_pretrained(tmp_path / "second" / "weights")
    before = old.model.state_dict()
    for name, value in new.model.state_dict().items():
        learns = name.startswith(("attributes.", "relations."))
        assert torch.equal(value, before[name]) != learns, name
    kept = ("vocabulary", "class_temperature", "score_threshold", "feature_size")
    for key in kept:
        assert getattr(new.config, key) == getattr(old.config, key), key
    card = (tmp_path / "second" / "weights" / "README.md").read_text()
    assert "attributes, relations" in card
    assert f"--start {tmp_path / 'first' / 'weights'}" in card


def test_a_run_of_some_parts_resumes_exactly(started: list[str], tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*started, "--output", str(whole)]) == 0
    assert main([*started, "--output", str(parts), "--stop-after", "3"]) == 0
    assert main([*started, "--output", str(parts), "--resume"]) == 0
    assert curve(whole) == curve(parts)
    first = (whole / "weights" / "model.safetensors").read_bytes()
    assert first == (parts / "weights" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("change", "start", "words"),
    [
        ({"trained_parts": ["atributes"]}, True, "trained_parts: unknown ['atributes']"),
        ({}, False, "trained_parts: needs weights to start from"),
        ({"model": {"feature_size": 8}}, True, "model: the sizes come from the weights"),
    ],
)
def test_what_cannot_be_started_is_refused(
    options: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    start: bool,
    words: str,
) -> None:
    heads = tmp_path / "heads.yaml"
    heads.write_text(json.dumps(HEADS | change))
    more = ["--start", str(tmp_path / "absent")] if start else []
    out = ["--output", str(tmp_path / "out")]
    assert main([*options, "--config", str(heads), *more, *out]) == 2
    assert words in capsys.readouterr().err


def test_visual_genome_files_train_too(world: Path, tmp_path: Path, options: list[str]) -> None:
    genome = tmp_path / "genome"
    (genome / "VG_100K_2").mkdir(parents=True)
    records = []
    for scene in read_scenes(world / "sceneGraphs.json"):
        picture = world / "images" / f"{scene.image_id}.png"
        (genome / "VG_100K_2" / picture.name).write_bytes(picture.read_bytes())
        record = scene.to_gqa()
        objects = [
            {"object_id": int(key), "names": [item.pop("name")], **item}
            for key, item in record["objects"].items()
        ]
        relations = [
            {"subject_id": int(r.subject), "predicate": r.predicate, "object_id": int(r.object)}
            for r in scene.relations
        ]
        records.append(
            {"image_id": int(scene.image_id), "objects": objects, "relationships": relations}
        )
    (genome / "scene_graphs.json").write_text(json.dumps(records))
    out = tmp_path / "out"
    assert main([*options, "--data", str(genome), "--steps", "2", "--output", str(out)]) == 0
    names = RegionDetector.from_pretrained(out / "weights").vocabulary
    assert names.predicates == ("to the left of", "to the right of")
    assert names.attributes == ("blue", "red")
