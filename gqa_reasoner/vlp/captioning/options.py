"""Decoding options of the commands that write captions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gqa_reasoner.vlp.captioning.captioner import CaptionSettings

__all__ = ["add_decoding_arguments", "decoding_settings"]


def add_decoding_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--beam` and its relatives."""
    group = parser.add_argument_group("decoding")
    way = group.add_mutually_exclusive_group()
    way.add_argument("--beam", type=int, metavar="K", help="beam search of width K (default: 5)")
    way.add_argument("--greedy", action="store_true", help="the likeliest word each time")
    way.add_argument(
        "--nucleus",
        type=float,
        nargs="?",
        const=0.9,
        metavar="P",
        help="draw from the likeliest words that together hold P (default: 0.9)",
    )
    group.add_argument("--count", type=int, help="captions per picture (default: 1)")
    group.add_argument("--min-length", type=int, help="fewest words (default: 1)")
    group.add_argument("--max-length", type=int, help="most words (default: 20)")
    group.add_argument(
        "--length-penalty",
        type=float,
        help="power of the length that a beam's log-probability is divided by (default: 1)",
    )
    group.add_argument("--no-repeat", type=int, metavar="N", help="no N words in a row twice")
    group.add_argument("--temperature", type=float, help="of the nucleus (default: 1)")
    group.add_argument("--seed", type=int, help="of the nucleus (default: 0)")


def decoding_settings(arguments: argparse.Namespace) -> CaptionSettings:
    """The settings that the options ask for.

    Raises:
        InputError: out of range.
    """
    from gqa_reasoner.vlp.captioning.captioner import CaptionSettings

    given: dict[str, Any] = {
        "beams": arguments.beam,
        "mass": arguments.nucleus,
        "count": arguments.count,
        "min_length": arguments.min_length,
        "max_length": arguments.max_length,
        "length_penalty": arguments.length_penalty,
        "no_repeat": arguments.no_repeat,
        "temperature": arguments.temperature,
        "seed": arguments.seed,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    if arguments.greedy:
        settings["method"] = "greedy"
    elif arguments.nucleus is not None:
        settings["method"] = "nucleus"
    elif arguments.beam is None and arguments.count is not None:
        settings["beams"] = max(5, arguments.count)
    return CaptionSettings(**settings)
