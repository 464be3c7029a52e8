"""`vlp finetune --task retrieval|captioning`: train a model, or a recipe anew, for a task."""

from __future__ import annotations

import argparse
from pathlib import Path

from gqa_reasoner.commands.vlp.training_options import add_training_arguments, run_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--recipe", metavar="NAME", help="see vlp list (default: that of --model)")
    parser.add_argument("--task", choices=("retrieval", "captioning"), required=True)
    parser.add_argument("--model", type=Path, metavar="DIR",
                        help="of vlp pretrain (default: start untrained)")  # fmt: skip
    add_training_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train; 0 done, 1 stopped by a loss that is not finite."""
    from detectors.errors import InputError
    from gqa_reasoner.vlp.checkpoint import read_config

    name = arguments.recipe
    if name is None:
        if arguments.model is None:
            raise InputError("vlp finetune: expected --recipe or --model")
        name = read_config(arguments.model).recipe
    return run_training(arguments, name, arguments.task, start=arguments.model)
