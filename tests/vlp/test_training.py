"""Every recipe learns, a killed run resumes exactly, and bad runs stop with one line."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.training.schedule import learning_rate
from gqa_reasoner.vlp.checkpoint import load_model
from gqa_reasoner.vlp.objectives import Guide, retrieval_loss
from gqa_reasoner.vlp.optimizer import FRESH
from gqa_reasoner.vlp.recipe import list_recipes, load_recipe
from gqa_reasoner.vlp.training import Trainer
from gqa_reasoner.vlp.training_config import TrainingConfig, read_training_config

from . import small


def _measured(trainer: Trainer) -> dict[str, float]:
    """Losses on fixed batches without dropout, the alignment of true pairs alone."""
    totals: dict[str, float] = {}
    trainer.model.eval()
    for seed in range(4):
        rows = list(range(16 * (seed % 2), 16 * (seed % 2) + 16))
        with torch.no_grad():
            _, parts = trainer.losses(trainer.model, trainer.corpus, rows, 1000 + seed)
        for name, value in parts.items():
            totals[name] = totals.get(name, 0.0) + value / 4
    return totals


@pytest.mark.parametrize("name", list_recipes())
def test_each_loss_of_each_recipe_falls(name: str, tmp_path: Path) -> None:
    trainer = small.trainer(name, tmp_path, steps=300)
    before = after = _measured(trainer)
    assert set(before) == set(load_recipe(name).losses)
    while trainer.step < 300 and not all(_fell(before[loss], after[loss]) for loss in before):
        for _ in range(30):
            trainer.train_step()
        after = _measured(trainer)
    for loss, value in after.items():
        assert _fell(before[loss], value), f"{loss}: {before[loss]:.4f} -> {value:.4f}"


def _fell(before: float, after: float) -> bool:
    """By 2 % at least; the alignment, a difference of costs, falls below nothing."""
    return after < before - 0.02 * abs(before)


@pytest.mark.parametrize("name", ["soho", "unicoder_vl", "m3p"])
def test_cells_may_be_sampled_under_every_loss(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    config = TrainingConfig(batch_size=16, precision="float32")
    model = small.model(recipe, sampled_cells=4)
    trainer = Trainer(
        config, recipe, model, small.corpus(recipe), tmp_path, classes=small.classes()
    )
    assert set(trainer.train_step()) == {*recipe.losses, "loss"}


@pytest.mark.parametrize("name", ["clip", "vilt", "vilbert"])
def test_fine_tuning_finds_the_pictures(name: str, tmp_path: Path) -> None:
    trainer = small.trainer(name, tmp_path, objective="retrieval", negatives=2, steps=80)
    for _ in range(80):
        trainer.train_step()
    model = trainer.model.eval()
    batch = trainer.corpus.batch(list(range(8)), torch.Generator().manual_seed(0))
    with torch.no_grad():
        if name == "clip":
            scores = (
                model.encode_text(batch.ids, batch.mask) @ model.encode_images(batch.features).T
            )
        else:
            scores = torch.stack(
                [
                    model.match_score(
                        batch.ids[i : i + 1].expand(8, -1),
                        batch.mask[i : i + 1].expand(8, -1),
                        batch.features,
                    )
                    for i in range(8)
                ]
            )
    assert (scores.argmax(dim=1) == torch.arange(8)).float().mean() >= 0.75


def test_captions_are_learned(tmp_path: Path) -> None:
    trainer = small.trainer("xgpt", tmp_path, objective="captioning", steps=60)
    first = trainer.train_step()["next_token"]
    for _ in range(59):
        last = trainer.train_step()["next_token"]
    assert last < 0.6 * first


def test_two_runs_of_one_seed_are_equal_and_of_two_seeds_are_not(tmp_path: Path) -> None:
    ends = []
    for number, seed in enumerate((0, 0, 1)):
        trainer = small.trainer("vilt", tmp_path / str(number), seed=seed, steps=5)
        assert trainer.run() == 0
        ends.append(trainer.model.state_dict())
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    assert any(not torch.equal(ends[0][key], ends[2][key]) for key in ends[0])


@pytest.mark.parametrize("name", ["soho", "m3p"])
def test_a_resumed_run_ends_with_the_same_weights(name: str, tmp_path: Path) -> None:
    whole = small.trainer(name, tmp_path / "whole", steps=8, checkpoint_every=3)
    whole.run()
    first = small.trainer(name, tmp_path / "parts", steps=8, checkpoint_every=3)
    first.run(stop_after=5)
    second = small.trainer(name, tmp_path / "parts", steps=8, checkpoint_every=3)
    second.run(resume=True)
    for key, value in whole.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[key]), key
    lines = [
        [json.loads(line)["step"] for line in (tmp_path / run / "metrics.jsonl").open()]
        for run in ("whole", "parts")
    ]
    assert lines[1][-1] == lines[0][-1] == 8
    model, _ = load_model(tmp_path / "parts" / "model")
    assert model.config.recipe == name


_SCRIPT = """
import sys
from pathlib import Path
from tests.vlp import small
trainer = small.trainer("clip", Path(sys.argv[1]), steps=150, checkpoint_every=5)
trainer.run(resume="--resume" in sys.argv)
"""


def test_a_killed_run_resumes_exactly(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _SCRIPT, *words]
        return subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.DEVNULL)

    killed = start(str(tmp_path / "killed"))
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    deadline = time.monotonic() + 60
    while not checkpoint.is_file() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() != 0, "the run ended before it was killed"
    assert not (tmp_path / "killed" / "model").exists()
    assert start(str(tmp_path / "killed"), "--resume").wait() == 0
    assert start(str(tmp_path / "whole")).wait() == 0
    first = (tmp_path / "killed" / "model" / "model.safetensors").read_bytes()
    second = (tmp_path / "whole" / "model" / "model.safetensors").read_bytes()
    assert first == second


def test_another_run_s_checkpoint_is_refused(tmp_path: Path) -> None:
    small.trainer("clip", tmp_path, steps=4).run(stop_after=2)
    with pytest.raises(InputError, match="made with recipe 'clip', this run has 'vilt'"):
        small.trainer("vilt", tmp_path, steps=4).run(resume=True)
    with pytest.raises(InputError, match="made with seed 0, this run has 3"):
        small.trainer("clip", tmp_path, steps=4, seed=3).run(resume=True)


def test_a_checkpoint_older_than_a_setting_resumes_at_its_default(tmp_path: Path) -> None:
    trainer = small.trainer("clip", tmp_path, steps=4)
    state = trainer.state()
    del state["config"]["word_dropout"]
    trainer.restore(state, "checkpoint")
    other = small.trainer("clip", tmp_path, steps=4, word_dropout=0.1)
    with pytest.raises(InputError, match=r"made with word_dropout 0\.0, this run has 0\.1"):
        other.restore(state, "checkpoint")


def test_a_loss_that_is_not_finite_stops_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = small.trainer("clip", tmp_path, steps=6, checkpoint_every=1)
    rows = trainer.corpus.features.rows
    trainer.corpus.features.rows = lambda names: (
        rows(names) * (math.nan if trainer.step >= 3 else 1.0)
    )
    assert trainer.run() == 1
    assert "step 4: the loss is nan; stopped" in capsys.readouterr().err
    assert torch.isfinite(trainer.model.log_scale)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


def test_the_best_weights_on_held_out_pictures_are_kept(tmp_path: Path) -> None:
    recipe = load_recipe("clip")
    config = TrainingConfig(
        steps=6, batch_size=8, validate_every=2, warmup_steps=1, precision="float32"
    )
    trainer = Trainer(
        config, recipe, small.model(recipe), small.corpus(recipe, 24), tmp_path,
        held_out=small.corpus(recipe, 16),
    )  # fmt: skip
    trainer.run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    held = [line["held_out_loss"] for line in lines if "held_out_loss" in line]
    assert len(held) == 3
    assert trainer.best == min(held)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_a_guide_chooses_hard_negatives_and_groups(tmp_path: Path) -> None:
    recipe = load_recipe("vilt")
    kinds = torch.eye(8)[torch.arange(32) % 8]
    images = torch.nn.functional.normalize(kinds + 0.01 * torch.arange(32)[:, None], dim=1)
    guide = Guide(images, images[:, None].expand(-1, 2, -1), scale=50.0)
    config = TrainingConfig(
        objective="retrieval", guided=True, group=4, batch_size=16, precision="float32"
    )
    trainer = Trainer(
        config, recipe, small.model(recipe), small.corpus(recipe), tmp_path, guide=guide
    )
    rows = trainer.order(0)
    leaders, near = rows[0], rows[1:4]
    assert {row % 8 for row in near} == {leaders % 8}
    batch = trainer.corpus.batch(rows, torch.Generator().manual_seed(0))
    loss = retrieval_loss(
        trainer.model, batch, torch.Generator().manual_seed(0), negatives=1, guide=guide
    )
    assert torch.isfinite(loss)


def test_learning_rate_warms_up_and_falls() -> None:
    config = TrainingConfig(steps=110, warmup_steps=10, learning_rate=1.0)
    assert learning_rate(config, 0) == pytest.approx(0.1)
    assert learning_rate(config, 10) == pytest.approx(1.0)
    assert learning_rate(config, 60) == pytest.approx(0.02 + 0.98 * 0.5)
    assert learning_rate(config, 110) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stepz: 3", "unknown keys"),
        ("steps: many", "expected int"),
        ("steps: 0", "at least 1"),
        ("negatives: -1", "at least 0"),
        ("start_share: 1.5", "expected 0 to 1"),
        ("objective: dance", "expected one of pretrain"),
        ("precision: half", "expected auto"),
        ("steps: [", "not YAML"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=line):
        read_training_config(path)


def test_tasks_must_fit_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write captions"):
        small.trainer("clip", tmp_path, objective="captioning")
    with pytest.raises(InputError, match="cannot search"):
        small.trainer("xgpt", tmp_path, objective="retrieval")
    with pytest.raises(InputError, match="expected a guide"):
        small.trainer("vilt", tmp_path, objective="retrieval", guided=True)


@pytest.mark.parametrize("name", ["unicoder_vl", "vilbert", "soho", "m3p", "clip"])
def test_a_share_of_nothing_trains_fresh_heads_only(name: str, tmp_path: Path) -> None:
    trainer = small.trainer(name, tmp_path, start_share=0.0)
    before = {key: value.clone() for key, value in trainer.model.named_parameters()}
    for _ in range(3):
        trainer.train_step()
    changed = {
        key
        for key, value in trainer.model.named_parameters()
        if not torch.equal(value, before[key])
    }
    assert changed == {key for key in before if key.startswith(FRESH)}
    assert bool(changed) == (name != "clip")


def test_a_share_slows_down_by_that_much(tmp_path: Path) -> None:
    moved = []
    for share in (1.0, 0.1):
        trainer = small.trainer("vilt", tmp_path, start_share=share)
        before = trainer.model.text_embedding.words.weight.clone()
        trainer.train_step()
        moved.append((trainer.model.text_embedding.words.weight - before).abs().max().item())
    assert moved[1] == pytest.approx(0.1 * moved[0], rel=1e-3)


def test_ranking_all_of_the_batch_is_the_mean_of_both_directions(tmp_path: Path) -> None:
    trainer = small.trainer("vilt", tmp_path)
    corpus = small.corpus(load_recipe("vilt"), captions_per_image=2)
    batch = corpus.batch([0, 1, 2], torch.Generator().manual_seed(0))
    model = trainer.model.eval()
    with torch.no_grad():
        loss = retrieval_loss(model, batch, torch.Generator(), negatives=0)
        scores = torch.stack(
            [model.match_score(batch.ids, batch.mask, batch.features[[k] * 6]) for k in range(3)],
            dim=1,
        )
    total = 0.0
    for text, picture in enumerate(batch.owner.tolist()):
        row = scores[text]
        total += float(row.logsumexp(0) - row[picture]) / 12
        others = [k for k in range(6) if k == text or batch.owner[k] != picture]
        column = scores[others, picture]
        total += float(column.logsumexp(0) - scores[text, picture]) / 12
    assert float(loss) == pytest.approx(total, rel=1e-4)
