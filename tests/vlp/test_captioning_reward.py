"""Training by reward."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.commands.vlp import reward as command
from gqa_reasoner.training.checkpoints import load_checkpoint
from gqa_reasoner.vlp.captioning.reward import (
    CiderReward,
    RewardConfig,
    RewardTrainer,
    policy_loss,
)
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.data.records import CaptionRecord
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import Sizes
from gqa_reasoner.vlp.text import WordPieces

WORDS = ["a", "dog", "runs", "cat", "sleeps", "on", "grass", "bed"]


def test_the_reward_prefers_what_people_say_and_whole_captions():
    reward = CiderReward([["a dog runs on grass", "a dog runs"], ["a cat sleeps on a bed"]])
    right, cut, wrong, empty = reward(
        [0, 0, 0, 0], ["a dog runs on grass", "a dog runs on", "a cat sleeps", ""]
    )
    assert right > cut > wrong >= 0
    assert empty < right


def test_the_loss_weighs_words_by_how_much_better_than_the_others_their_sample_is():
    logs = torch.tensor([-1.0, -2.0, -3.0, -4.0, -5.0], requires_grad=True)
    rewards = torch.tensor([[1.0, 0.0]])
    loss = policy_loss(logs, rewards, torch.tensor([[2, 3]]))
    # advantages +1 and -1: -(1 * (-1 - 2) - 1 * (-3 - 4 - 5)) / 5
    assert float(loss.detach()) == pytest.approx(-(-3 + 12) / 5)
    loss.backward()
    assert logs.grad.tolist() == pytest.approx([-0.2, -0.2, 0.2, 0.2, 0.2])


def trainer(steps: int = 40) -> RewardTrainer:
    torch.manual_seed(0)
    pieces = WordPieces(WORDS)
    config = ModelConfig(
        recipe="toy",
        plan="encoder_decoder",
        vision="grid",
        sizes=Sizes(layers=1, width=16, heads=2, hidden=24, text_length=12),
        losses=("next_token",),
        vocabulary=len(pieces),
        tower_width=6,
        grid=(1, 2),
    )
    records = [
        CaptionRecord("0", "0.jpg", ("a dog runs", "a dog runs on grass")),
        CaptionRecord("1", "1.jpg", ("a cat sleeps", "a cat sleeps on a bed")),
    ]
    values = {"0.jpg": torch.ones(2, 6), "1.jpg": torch.linspace(-1, 1, 12).view(2, 6)}
    return RewardTrainer(
        VisionLanguageModel(config),
        pieces,
        records,
        records,
        lambda names: torch.stack([values[name] for name in names]),
        RewardConfig(
            steps=steps,
            batch_size=2,
            samples=8,
            learning_rate=1e-2,
            max_length=5,
            validate_every=20,
            average_decay=0.5,
        ),
    )


def test_rewards_rise_and_the_best_weights_are_kept(tmp_path):
    run = trainer(80)
    first = np.mean([run.train_step() for _ in range(3)])
    while run.step < 80:
        last = run.train_step()
    assert last > 1.5 * first
    again = trainer(20)
    best = again.run(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 20]
    assert best["CIDEr"] == max(line["CIDEr"] for line in lines)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_a_run_is_repeatable():
    ways = []
    for _ in range(2):
        run = trainer()
        ways.append([run.train_step() for _ in range(3)])
    assert ways[0] == ways[1]


def test_an_interrupted_run_resumes_exactly(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert trainer().run(whole)["step"] in (0, 20, 40)
    for stop in (7, 20, 31):  # one of them where it is validated
        trainer().run(parts, resume=True, stop_after=stop)
        assert load_checkpoint(parts / "checkpoint.pt")["step"] == stop
    ended = trainer()
    assert ended.run(parts, resume=True) == trainer().run(tmp_path / "again")
    for name in ("metrics.jsonl", "model/model.safetensors"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    first, second = (load_checkpoint(at / "checkpoint.pt") for at in (whole, parts))
    for name in ("model", "average"):
        for key, value in first[name].items():
            assert torch.equal(value, second[name][key]), key


def test_a_run_without_resume_begins_anew(tmp_path):
    trainer().run(tmp_path, stop_after=30)
    begun = trainer()
    begun.run(tmp_path, stop_after=5)
    assert begun.step == 5
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0]


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    trainer().run(tmp_path, stop_after=2)
    with pytest.raises(InputError, match="made with steps 40, this run has 80"):
        trainer(80).run(tmp_path, resume=True)


@pytest.mark.parametrize("words", [{"steps": 0}, {"samples": 1}, {"learning_rate": 0.0}])
def test_configurations_out_of_range_are_refused(words):
    with pytest.raises(InputError):
        RewardConfig(**words)


def test_the_command_refuses_held_out_pictures_that_are_everything(tmp_path):
    path = tmp_path / "captions.jsonl"
    path.write_text('{"image": "7.jpg", "captions": ["a dog"]}', encoding="utf-8")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = ["--model", "m", "--captions", str(path), "--features", "f", "--output", str(tmp_path)]
    with pytest.raises(InputError, match="held out"):
        command.run(parser.parse_args(given))
