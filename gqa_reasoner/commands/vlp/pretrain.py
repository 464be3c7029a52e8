"""`vlp pretrain --recipe NAME`: train a recipe with its own losses on pictures and captions."""

from __future__ import annotations

import argparse
from pathlib import Path

from gqa_reasoner.commands.vlp.training_options import add_training_arguments, run_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--recipe", required=True, metavar="NAME",
                        help="see vlp list; or a YAML file of the same form")  # fmt: skip
    add_training_arguments(parser)
    parser.add_argument("--scenes", type=Path, metavar="FILE",
                        help="what detect --json found, for recipes with tag anchors")  # fmt: skip
    parser.add_argument("--lexicons", type=Path, metavar="FILE",
                        help="translations of words, for code-switching")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train; 0 done, 1 stopped by a loss that is not finite."""
    return run_training(
        arguments,
        arguments.recipe,
        "pretrain",
        scenes=arguments.scenes,
        lexicons=arguments.lexicons,
    )
