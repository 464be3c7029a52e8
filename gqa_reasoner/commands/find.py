"""`find COLLECTION QUESTION`: answers over a whole indexed collection."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("collection", type=Path, help="an index, or the folder that was indexed")
    add("question")
    add("--limit", type=int,
        help=f"pictures to list (default: {_SHOWN}; with --json all that fit)")  # fmt: skip
    add("--encoder", type=Path, metavar="MODEL",
        help="the dual encoder of the index, where it has moved")  # fmt: skip
    add("--reranker", type=Path, metavar="MODEL",
        help="a one- or two-stream model that reorders the best of a visual search")  # fmt: skip
    add("--detector", help="for a question about one picture (default: that of the index)")
    add("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Find and print."""
    from gqa_reasoner.collection.setup import open_for_questions

    collection = open_for_questions(
        arguments.collection,
        detector=arguments.detector,
        encoder=arguments.encoder,
        reranker=arguments.reranker,
    )
    limit = arguments.limit
    if limit is None and not arguments.json:
        limit = _SHOWN
    found = collection.find(arguments.question, limit=limit)
    if arguments.json:
        print(json.dumps(found.to_json(), ensure_ascii=False))
        return 0
    counted = ", ".join(f"{name} {value:g}" for name, value in found.counts.items())
    print(f"{found.answer}  (by {found.method}{'; ' + counted if counted else ''})")
    for image in found.images:
        seen = ", ".join(f"{item['name']} {item['weight']:.2f}" for item in image["boxes"][:3])
        gone = "  (file is gone)" if image["missing"] else ""
        print(f"  {image['score']:.2f}  {image['image_id']}{'  ' + seen if seen else ''}{gone}")
    for note in found.notes:
        print(f"  note: {note}")
    return 0
