"""The `gqa-reasoner` command: finds the command's module, runs it, turns bad input into exit 2."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from gqa_reasoner import __version__

COMMANDS: dict[str, str] = {
    "demo": "answer questions about the shipped pictures with the shipped weights",
    "ask": "answer one question about one picture, with reasons",
    "detect": "find objects, attributes and relations in pictures",
    "extract": "write region features of a whole folder, resumable",
    "features": "read, convert and compare region-feature files",
    "parse": "turn questions into programs",
    "execute": "run programs on scene graphs",
    "questions": "generate questions from scene graphs",
    "knowledge": "build and search triple stores; expand a scene and a question",
    "ontology": "induce an ontology from questions and scene graphs",
    "tinygqa": "render the embedded synthetic world",
    "train": "train the detector, the parser or the reasoner",
    "predict": "write predictions for a split in the GQA form",
    "evaluate": "score predictions with GQA's official metrics",
    "submit": "write and validate a leaderboard file",
    "ablate": "compare sources of context expansion",
    "vlp": "the vision-language family: recipes, training, search and captions",
    "index": "make or update the index of a picture collection",
    "find": "answer a question over an indexed collection",
    "serve": "open a web page over an indexed collection",
}
"""Command name to its help line; `commands/NAME.py` holds the command."""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The argument parser; only `command`'s own module is imported, so start-up stays fast."""
    parser = argparse.ArgumentParser(
        prog="gqa-reasoner",
        description="Visual question answering with reasons.",
        epilog="Exit status: 0 done, 1 finished with listed failures, 2 bad usage or bad input.",
    )
    parser.add_argument("--version", action="version", version=f"gqa-reasoner {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:])
        if name == command:
            module = importlib.import_module(f"gqa_reasoner.commands.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (2 for bad usage or bad input)."""
    from detectors.errors import InputError as SceneInputError
    from eval.errors import InputError as EvaluationInputError

    words = list(sys.argv[1:] if arguments is None else arguments)
    command = next((word for word in words if word in COMMANDS), None)
    try:
        parsed = build_parser(command).parse_args(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return int(parsed.run(parsed))
    except (SceneInputError, EvaluationInputError) as error:
        print(f"gqa-reasoner {parsed.command}: {error}", file=sys.stderr)
        return 2
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        print(f"gqa-reasoner {parsed.command}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"gqa-reasoner {parsed.command}: interrupted", file=sys.stderr)
        return 130
