"""`find COLLECTION QUESTION`: answers over a whole indexed collection."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("collection", type=Path, help="an index, or the folder that was indexed")
    parser.add_argument("question")
    parser.add_argument("--limit", type=int, default=20, help="pictures to list (default: 20)")
    parser.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Find and print."""
    from gqa_reasoner.collection.questions import Collection
    from gqa_reasoner.pipeline import Reasoner

    folder = arguments.collection
    if (folder / ".gqa-reasoner").is_dir():
        folder = folder / ".gqa-reasoner"
    reasoner = Reasoner.from_pretrained()
    collection = Collection(
        folder, parser=reasoner.parser, ontology=reasoner.ontology, store=reasoner.store
    )
    found = collection.find(arguments.question, limit=arguments.limit)
    if arguments.json:
        print(json.dumps(found.to_json(), ensure_ascii=False))
        return 0
    counted = ", ".join(f"{name} {value:g}" for name, value in found.counts.items())
    print(f"{found.answer}  (by {found.method}{'; ' + counted if counted else ''})")
    for image in found.images:
        seen = ", ".join(f"{item['name']} {item['weight']:.2f}" for item in image["boxes"][:3])
        print(f"  {image['score']:.2f}  {image['image_id']}{'  ' + seen if seen else ''}")
    for note in found.notes:
        print(f"  note: {note}")
    return 0
