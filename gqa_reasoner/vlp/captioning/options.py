"""Decoding and consensus options of the commands that write captions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from gqa_reasoner.vlp.captioning.captioner import CaptionSettings
    from gqa_reasoner.vlp.captioning.consensus import Consensus

__all__ = [
    "add_consensus_arguments",
    "add_decoding_arguments",
    "decoding_settings",
    "open_consensus",
]


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
    if getattr(arguments, "consensus", None) is not None:
        if arguments.count is None and not arguments.greedy:
            given["count"] = arguments.beam or 5
        if arguments.greedy or given["count"] < 2:
            raise InputError(
                "--consensus chooses among several captions: expected --beam or --nucleus and a "
                "--count of at least 2"
            )
    settings = {name: value for name, value in given.items() if value is not None}
    if arguments.greedy:
        settings["method"] = "greedy"
    elif arguments.nucleus is not None:
        settings["method"] = "nucleus"
    elif arguments.beam is None and arguments.count is not None:
        settings["beams"] = max(5, arguments.count)
    return CaptionSettings(**settings)


def add_consensus_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--consensus` and its relatives; the command has a `--features` of its own."""
    group = parser.add_argument_group("consensus")
    group.add_argument(
        "--consensus",
        type=Path,
        metavar="CAPTIONS",
        help="choose among --count captions (default: all of the beam) by what people say of the "
        "nearest of these pictures (training captions of vlp words, their features in --features)",
    )
    group.add_argument(
        "--neighbours", type=int, default=7, help="pictures that are asked (default: 7)"
    )
    group.add_argument(
        "--consensus-weight",
        type=float,
        default=0.05,
        help="of the model's own score beside the agreement (default: 0.05)",
    )


def open_consensus(
    arguments: argparse.Namespace, fingerprint: str, measured: Collection[str] = ()
) -> Consensus | None:
    """The consensus that the options ask for, or None.

    Args:
        fingerprint: of the captioner's tower.
        measured: ids of pictures that are scored and may not be asked.

    Raises:
        InputError: no features, features of another tower or without the pictures, or captions
            of pictures that are measured.
    """
    if arguments.consensus is None:
        return None
    from gqa_reasoner.vlp.captioning.consensus import Consensus
    from gqa_reasoner.vlp.captioning.words import plain_records
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import read_captions

    if arguments.features is None:
        raise InputError("--consensus needs --features with its pictures")
    known = plain_records(read_captions(arguments.consensus))
    both = [record.image_id for record in known if record.image_id in measured]
    if both:
        raise InputError(
            f"{arguments.consensus}: holds {len(both)} of the pictures that are measured: "
            f"{', '.join(both[:3])}"
        )
    cache = FeatureCache.open(arguments.features, fingerprint or None)
    absent = [record.image for record in known if record.image not in cache]
    if absent:
        raise InputError(
            f"{arguments.features}: {len(absent)} of {len(known)} pictures of "
            f"{arguments.consensus} are not there: {', '.join(absent[:3])}"
        )
    return Consensus(
        known, cache.rows, neighbours=arguments.neighbours, weight=arguments.consensus_weight
    )
