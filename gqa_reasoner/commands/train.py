"""`gqa-reasoner train --stage STAGE …`: hands over to `gqa_reasoner.training.STAGE`."""

from __future__ import annotations

import argparse
import importlib

STAGES = ("detector", "parser", "reasoner")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--stage NAME` takes the rest of the line: the options of that stage."""
    parser.add_argument(
        "--stage",
        nargs=argparse.REMAINDER,
        required=True,
        metavar=f"{{{','.join(STAGES)}}} ...",
        help="what to train, followed by its options; `--stage NAME --help` lists them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train the chosen stage: its module has `add_arguments(parser)` and `run(arguments)`."""
    stage, *options = arguments.stage or [""]
    chooser = argparse.ArgumentParser(prog="gqa-reasoner train")
    if stage not in STAGES:
        chooser.error(f"argument --stage: expected one of {', '.join(STAGES)}, got {stage!r}")
    module = importlib.import_module(f"gqa_reasoner.training.{stage}")
    parser = argparse.ArgumentParser(prog=f"gqa-reasoner train --stage {stage}")
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(options)))
