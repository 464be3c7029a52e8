"""`gqa-reasoner tinygqa`: renders the embedded synthetic world."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `generate` and `classes`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    generate = actions.add_parser("generate", help="draw pictures and their scene graphs")
    generate.add_argument("--images", type=int, required=True, help="how many pictures")
    generate.add_argument("--seed", type=int, default=0, help="same seed, same pictures")
    generate.add_argument("--output", type=Path, required=True, help="folder to write to")
    generate.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    _add_font(generate)
    generate.add_argument("--json", action="store_true", help="print what was written as JSON")
    classes = actions.add_parser("classes", help="list classes, categories and attributes")
    classes.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_font(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--font",
        type=Path,
        help="NotoColorEmoji.ttf (default: $GQA_REASONER_EMOJI_FONT or the system's)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit status."""
    if arguments.action == "classes":
        return _classes(arguments.json)
    from gqa_reasoner.tinygqa.generate import generate

    result = generate(
        arguments.output,
        arguments.images,
        arguments.seed,
        workers=arguments.workers,
        font=arguments.font,
    )
    if arguments.json:
        print(
            json.dumps(
                {
                    "images": str(result.images),
                    "scene_graphs": str(result.scene_graphs),
                    "drawn": result.drawn,
                    "kept": result.kept,
                }
            )
        )
    else:
        print(f"{result.drawn} pictures drawn, {result.kept} kept: {result.scene_graphs}")
    return 0


def _classes(as_json: bool) -> int:
    from gqa_reasoner.tinygqa.catalogue import catalogue

    rows = [
        {"name": row.name, "category": row.category, "attributes": list(row.attributes())}
        for row in catalogue().values()
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            print(row["name"], row["category"], ", ".join(row["attributes"]), sep="\t")
    return 0
