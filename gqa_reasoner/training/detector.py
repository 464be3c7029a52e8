"""`gqa-reasoner train --stage detector`: the region detector from scene graphs and pictures."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the detector stage."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR",
                        help="sceneGraphs.json and images/ to train on")  # fmt: skip
    parser.add_argument("--validation", type=Path, metavar="DIR",
                        help="the same for validation during and after training")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR",
                        help="checkpoint, metrics.jsonl and the exported weights")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="YAML",
                        help="training configuration; unknown keys are refused")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="overrides the configuration")
    parser.add_argument("--images", type=int, metavar="N", help="use the first N pictures only")
    parser.add_argument("--resume", action="store_true",
                        help="go on from OUTPUT's checkpoint, if there is one")  # fmt: skip
    parser.add_argument("--stop-after", type=int, metavar="STEP",
                        help="stop with a checkpoint after this step")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate and export; 0 done, 1 stopped by a loss that is not finite."""
    from gqa_reasoner.training.detector_loop import DetectorTraining, read_config

    config = read_config(arguments.config)
    training = DetectorTraining(
        config,
        data=arguments.data,
        validation=arguments.validation,
        output=arguments.output,
        seed=arguments.seed,
        steps=arguments.steps,
        image_limit=arguments.images,
        command=command_line(arguments),
    )
    return training.run(resume=arguments.resume, stop_after=arguments.stop_after)


def command_line(arguments: argparse.Namespace) -> str:
    """The command that repeats this run, for the model card."""
    words = ["gqa-reasoner", "train", "--stage", "detector"]
    for name in ("data", "validation", "output", "config", "seed", "steps", "images"):
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)
