"""`vlp reward`: fine-tune a captioner by the CIDEr of captions it draws."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--model", type=Path, required=True, help="of vlp finetune")
    parser.add_argument("--captions", type=Path, required=True, help="of vlp words")
    parser.add_argument("--split", help="only records of this split")
    parser.add_argument("--features", type=Path, required=True, help="feature cache")
    parser.add_argument("--held-out", type=int, default=300, help="last pictures, to choose by")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=16, help="pictures per step")
    parser.add_argument("--samples", type=int, default=5, help="captions drawn per picture")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--validate-every", type=int, default=100)
    parser.add_argument("--checkpoint-every", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR",
                        help="checkpoint, metrics.jsonl and model/")  # fmt: skip
    parser.add_argument("--resume", action="store_true",
                        help="go on from OUTPUT's checkpoint, if there is one")  # fmt: skip
    parser.add_argument("--stop-after", type=int, metavar="STEP",
                        help="stop with a checkpoint after this step")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train, print the best held-out figures."""
    import torch

    from detectors.errors import InputError
    from gqa_reasoner.vlp.captioning.reward import RewardConfig, RewardTrainer
    from gqa_reasoner.vlp.captioning.words import plain_records
    from gqa_reasoner.vlp.checkpoint import load_model
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import read_captions

    torch.set_num_threads(1)
    config = RewardConfig(
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        samples=arguments.samples,
        learning_rate=arguments.learning_rate,
        validate_every=arguments.validate_every,
        checkpoint_every=arguments.checkpoint_every,
        seed=arguments.seed,
    )
    records = plain_records(read_captions(arguments.captions, split=arguments.split))
    held = arguments.held_out
    if not 0 < held < len(records):
        raise InputError(f"reward: held out: expected 1 to {len(records) - 1}, got {held}")
    model, pieces = load_model(arguments.model)
    if model.config.plan != "encoder_decoder":
        raise InputError(
            f"{arguments.model}: expected a model that writes captions, got recipe "
            f"{model.config.recipe!r}"
        )
    cache = FeatureCache.open(arguments.features, model.config.fingerprint or None)
    trainer = RewardTrainer(model, pieces, records[:-held], records[-held:], cache.rows, config)
    found = trainer.run(arguments.output, resume=arguments.resume, stop_after=arguments.stop_after)
    print(json.dumps(found))
    return 0
