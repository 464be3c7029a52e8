"""`ontology build`: induce an ontology from GQA-format questions and scene graphs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="learn categories and attribute types from programs")
    build.add_argument("--questions", type=Path, nargs="+", required=True, metavar="Q")
    build.add_argument("--scene-graphs", type=Path, nargs="+", required=True, metavar="G")
    build.add_argument("--output", type=Path, required=True, metavar="O", help="JSON file to write")
    build.add_argument(
        "--from-nothing",
        action="store_true",
        help="do not start from the shipped ontology",
    )
    build.add_argument(
        "--min-count", type=int, default=1, metavar="N", help="drop facts taught less often"
    )
    build.add_argument("--json", action="store_true", help="print the summary as JSON")
    show = actions.add_parser("show", help="categories, attribute types and forms of a name")
    show.add_argument("name")
    show.add_argument("--ontology", type=Path, metavar="FILE", help="default: the shipped one")
    show.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run `ontology build` or `ontology show`."""
    return _build(arguments) if arguments.action == "build" else _show(arguments)


def _build(arguments: argparse.Namespace) -> int:
    from gqa_reasoner.data.questions import iterate_questions
    from gqa_reasoner.data.scene_graphs import iterate_scene_graphs
    from knowledge.ontology import Ontology

    def scenes() -> Iterator[Any]:
        for path in arguments.scene_graphs:
            yield from iterate_scene_graphs(path, on_problem="repair")

    def questions() -> Iterator[Any]:
        for path in arguments.questions:
            yield from iterate_questions(path)

    base = None if arguments.from_nothing else Ontology.default()
    ontology = Ontology.induce(questions(), scenes(), base=base, min_count=arguments.min_count)
    ontology.save(arguments.output)
    summary = {
        "output": str(arguments.output),
        "names": len(ontology.names()),
        "attributes": len(ontology.tables.attribute_types),
        "attribute_types": len(ontology.all_attribute_types()),
        "memberships_taught": len(ontology.evidence.memberships),
        "attribute_facts_taught": len(ontology.evidence.attribute_types),
    }
    if arguments.json:
        print(json.dumps(summary))
    else:
        print("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in summary.items()))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from knowledge.ontology import Ontology

    ontology = Ontology.load(arguments.ontology) if arguments.ontology else Ontology.default()
    name = arguments.name
    record = {
        "name": name,
        "canonical": ontology.canonical(name),
        "known": ontology.knows(name) or bool(ontology.attribute_types(name)),
        "singular": ontology.singular(name),
        "plural": ontology.plural(ontology.singular(name)),
        "synonyms": list(ontology.synonyms(name)),
        "categories": list(ontology.categories(name)),
        "attribute_types": list(ontology.attribute_types(name)),
        "members": list(ontology.members(name)),
    }
    if arguments.json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        for key, value in record.items():
            text = ", ".join(value) if isinstance(value, list) else str(value)
            print(f"{key.replace('_', ' ')}: {text}")
    return 0
