"""`vlp …`: the vision-language family. An action is a module here, imported when asked for."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any

ACTIONS = {
    "list": ("list_recipes", "the recipes of the family"),
    "features": ("features", "compute a frozen tower's features of pictures, resumable"),
    "scenes": ("scenes", "what a detector finds in pictures, for recipes with tags; resumable"),
    "words": ("words", "plain captions and a list of whole words, for captioners"),
    "lexicon": ("lexicon", "bilingual lexicons from translated captions"),
    "start": ("start", "a model from the closed-form solution, to use or to train on"),
    "pretrain": ("pretrain", "train a recipe with its own losses"),
    "finetune": ("finetune", "train a model for search or for captions"),
    "reward": ("reward", "fine-tune a captioner by the CIDEr of captions it draws"),
    "retrieve": ("retrieve", "index pictures or captions and search them"),
    "caption": ("caption", "say what is on pictures"),
    "evaluate": ("evaluate", "a model's figures on a caption file"),
}
"""Action to its module and help line."""


class _LazyParser(argparse.ArgumentParser):
    """Declares an action's options when that action is parsed, not before."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        module = self.get_default("module")
        if module and not self.get_default("run_action"):
            loaded = importlib.import_module(f"gqa_reasoner.commands.vlp.{module}")
            loaded.add_arguments(self)
            self.set_defaults(run_action=loaded.run)
        return super().parse_known_args(args, namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=_LazyParser
    )
    for name, (module, text) in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:])
        action.set_defaults(module=module)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    return int(arguments.run_action(arguments))
