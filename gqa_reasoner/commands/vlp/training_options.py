"""Options that `vlp pretrain` and `vlp finetune` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gqa_reasoner.vlp.assemble import Sources


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the shared options."""
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE",
                        help="Karpathy or COCO JSON, JSON lines or CSV")  # fmt: skip
    parser.add_argument("--split", help="only records of this split")
    parser.add_argument("--images", type=Path, metavar="PLACE", help="folder, .zip or .tar")
    parser.add_argument("--tower", metavar="SPEC",
                        help="frozen image tower: mobilenet:DIR, clip:DIR, patches")  # fmt: skip
    parser.add_argument("--features", type=Path, metavar="CACHE",
                        help="features kept by vlp features, instead of pictures")  # fmt: skip
    parser.add_argument("--pieces", type=Path, metavar="FILE",
                        help="word pieces (default: learned from the captions)")  # fmt: skip
    parser.add_argument("--guide", type=Path, metavar="MODEL",
                        help="dual encoder whose scores choose hard negatives")  # fmt: skip
    parser.add_argument("--warm", type=Path, metavar="MODEL",
                        help="take over the fitting weights of another model")  # fmt: skip
    parser.add_argument("--published", type=Path, metavar="DIR",
                        help="start from a ViLT or VisualBERT checkpoint")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="YAML",
                        help="training configuration; unknown keys are refused")  # fmt: skip
    parser.add_argument("--steps", type=int, help="overrides the configuration")
    parser.add_argument("--batch-size", type=int, help="overrides the configuration")
    parser.add_argument("--seed", type=int, help="overrides the configuration")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR",
                        help="checkpoint, metrics.jsonl, tensorboard and model/")  # fmt: skip
    parser.add_argument("--resume", action="store_true",
                        help="go on from OUTPUT's checkpoint, if there is one")  # fmt: skip
    parser.add_argument("--stop-after", type=int, metavar="STEP",
                        help="stop with a checkpoint after this step")  # fmt: skip


def run_training(
    arguments: argparse.Namespace, recipe_name: str, objective: str | None, **sources: Any
) -> int:
    """Read the configuration, assemble the run, train."""
    from gqa_reasoner.vlp.assemble import assemble
    from gqa_reasoner.vlp.recipe import load_recipe
    from gqa_reasoner.vlp.training_config import read_training_config

    recipe = load_recipe(recipe_name)
    config = read_training_config(
        arguments.config,
        objective=objective,
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        guided=True if arguments.guide is not None else None,
    )
    trainer = assemble(_sources(arguments, **sources), recipe, config)
    return trainer.run(resume=arguments.resume, stop_after=arguments.stop_after)


def _sources(arguments: argparse.Namespace, **others: Any) -> Sources:
    from gqa_reasoner.vlp.assemble import Sources

    names = (
        "captions",
        "output",
        "split",
        "images",
        "tower",
        "features",
        "pieces",
        "guide",
        "warm",
        "published",
    )
    return Sources(**{name: getattr(arguments, name) for name in names}, **others)
