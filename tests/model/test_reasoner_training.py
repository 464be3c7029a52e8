from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.data.questions import write_json_items, write_questions
from gqa_reasoner.model.encode import encode_scene
from gqa_reasoner.model.prepare_many import Tools
from gqa_reasoner.model.reasoner import ReasonerConfig, ReasonerModel
from gqa_reasoner.training import reasoner_loop
from gqa_reasoner.training.encoded_store import read_shard, write_shard
from gqa_reasoner.training.reasoner_config import (
    ReasonerTrainingConfig,
    read_config,
)
from gqa_reasoner.training.reasoner_run import train_reasoner
from gqa_reasoner.training.scene_cache import read_scene_shard, write_scene_shard
from gqa_reasoner.training.schedule import learning_rate
from knowledge.ontology import Ontology
from tests.model.worlds import WorldParser, color_question, scene_of

CONFIG = ReasonerTrainingConfig(
    steps=8,
    batch_size=4,
    warmup_steps=2,
    log_every=1,
    checkpoint_every=4,
    evaluate_every=4,
    mixture_steps=5,
    pictures_per_shard=3,
    threads=1,
    held_out=0.25,
    minimum_answer_count=1,
    model=ReasonerConfig(width=16, heads=2, layers=1, hidden=16),
)


@pytest.fixture(autouse=True)
def world_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    ontology = Ontology.default()
    tools = Tools(WorldParser(), ontology, expansion="none")
    monkeypatch.setattr(Tools, "default", classmethod(lambda cls, *a, **k: tools))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    scenes = [scene_of(seed, dense=False, detector="oracle") for seed in range(12)]
    write_json_items(folder / "sceneGraphs.json", ((s.image_id, s.to_gqa()) for s in scenes))
    questions = [color_question(s, n, f"{s.image_id}-{n}") for s in scenes for n in range(3)]
    write_questions(folder / "questions.json", questions)
    return folder


def run(data: Path, output: Path, **options: Any) -> int:
    config = options.pop("config", CONFIG)
    return train_reasoner(config, data=data, detector_weights=None, output=output, **options)


def curve(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_same_seed_same_curve_and_a_resumed_run_repeats_it(data: Path, tmp_path: Path) -> None:
    assert run(data, tmp_path / "a", seed=3) == 0
    assert run(data, tmp_path / "b", seed=3, stop_after=4) == 0
    assert not (tmp_path / "b" / "weights").exists()
    assert run(data, tmp_path / "b", seed=3, resume=True) == 0
    assert run(data, tmp_path / "c", seed=4) == 0
    assert curve(tmp_path / "a") == curve(tmp_path / "b") != curve(tmp_path / "c")
    weights = [
        (tmp_path / name / "weights" / "model.safetensors").read_bytes() for name in ("a", "b")
    ]
    assert weights[0] == weights[1]
    model = ReasonerModel.from_pretrained(tmp_path / "a" / "weights")
    assert model.vocabulary.detectors == ("oracle",)
    assert "held-out" in (tmp_path / "a" / "weights" / "README.md").read_text()


def test_a_resume_with_another_configuration_is_refused(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "run", stop_after=4)
    with pytest.raises(InputError, match="batch_size"):
        run(data, tmp_path / "run", config=replace(CONFIG, batch_size=5), resume=True)
    with pytest.raises(InputError, match="seed"):
        run(data, tmp_path / "run", seed=1)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = reasoner_loop.masked_ids
    calls: list[int] = []

    def poisoned(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return real(logits, labels) * (float("nan") if len(calls) == 6 else 1.0)

    monkeypatch.setattr(reasoner_loop, "masked_ids", poisoned)
    assert run(data, tmp_path / "run") == 1
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4
    assert all(bool(torch.isfinite(v).all()) for v in state["model"].values())
    assert "not finite" in capsys.readouterr().err


def test_it_learns_this_little_world(data: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=150, learning_rate=5e-3, evaluate_every=150, log_every=50,
                     source_dropout=0.0, average_decay=0.9)  # fmt: skip
    run(data, tmp_path / "run", config=config)
    lines = curve(tmp_path / "run")
    assert lines[-2]["accuracy"] > 0.9
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["executed"] == 1.0 and summary["mixture"] == 1.0


def test_preparing_is_done_once(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    run(data, output, prepare_only=True)
    shards = sorted((output / "cache" / "encoded").glob("*.npz"))
    assert len(shards) == 4
    before = [path.stat().st_mtime_ns for path in shards]
    shards[1].unlink()
    run(data, output, prepare_only=True)
    after = [path.stat().st_mtime_ns for path in shards]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True]


def test_missing_answers_and_pictures_are_one_clear_line(tmp_path: Path, data: Path) -> None:
    write_questions(data / "questions.json", [])
    with pytest.raises(InputError, match="no question is about"):
        run(data, tmp_path / "run")


def test_scene_shards_read_back_equal(tmp_path: Path) -> None:
    scenes = [scene_of(1), scene_of(2, count=0), scene_of(3, dense=False)]
    path = tmp_path / "0.npz"
    write_scene_shard(path, scenes)
    for first, second in zip(scenes, read_scene_shard(path), strict=True):
        assert first.objects == second.objects and first.relations == second.relations
        assert first.vocabulary == second.vocabulary and first.detector == second.detector
        if first.features is not None:
            np.testing.assert_allclose(first.features, second.features, atol=1e-2)
            assert second.features.dtype == np.float32
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="not a readable shard"):
        read_scene_shard(path)


def test_encoded_shards_read_back_equal(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "run", prepare_only=True)
    path = tmp_path / "run" / "cache" / "encoded" / "00000.npz"
    shard = read_shard(path)
    vocabulary = json.loads((tmp_path / "run" / "cache" / "vocabulary.json").read_text())
    from gqa_reasoner.model.vocabulary import ReasonerVocabulary

    dense = encode_scene(scene_of(5), ReasonerVocabulary.from_json(vocabulary), None)
    shard.scenes.append(dense)
    write_shard(tmp_path / "copy.npz", shard)
    again = read_shard(tmp_path / "copy.npz")
    assert len(again.examples) == len(shard.examples) == 9
    assert again.scenes[0].features is None and again.scenes[-1].features.shape == (4, 6)
    for first, second in zip(shard.examples, again.examples, strict=True):
        assert first[1:] == second[1:]
        for left, right in zip(first.question, second.question, strict=True):
            if isinstance(left, tuple):
                assert all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))
            else:
                assert np.array_equal(left, right)


def test_configuration_refuses_unknown_keys_and_bad_values(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("steps: 12\nmodel:\n  width: 32\n")
    assert read_config(path).model.width == 32 and read_config(path).steps == 12
    assert read_config(None) == ReasonerTrainingConfig()
    for text, word in (
        ("colour: 1", "colour"),
        ("steps: 0", "steps"),
        ("held_out: 2", "held_out"),
        ("model: {depth: 1}", "depth"),
        ("steps: [", "YAML"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=word):
            read_config(path)
    with pytest.raises(InputError, match="no such file"):
        read_config(tmp_path / "none.yaml")


def test_learning_rate_warms_up_and_falls() -> None:
    config = ReasonerTrainingConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0
    assert rates[100] == pytest.approx(config.final_learning_rate_share)
