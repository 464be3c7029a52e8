"""`questions generate`: GQA-form questions and choices for anybody's scene graphs."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.data.questions import Question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `questions`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    generate = actions.add_parser("generate", help="write questions.json and choices.json")
    generate.add_argument("--scene-graphs", type=Path, required=True, help="GQA scene graphs")
    generate.add_argument("--output", type=Path, required=True, help="folder to write to")
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--per-image", type=int, default=20, help="questions wanted per picture")
    generate.add_argument("--ontology", type=Path, help="ontology file; the shipped one by default")
    generate.add_argument(
        "--knowledge",
        default="default",
        help="triples for knowledge questions: a file, 'default' (shipped) or 'none'",
    )
    generate.add_argument(
        "--unbalanced", action="store_true", help="keep answers as frequent as they come"
    )
    generate.add_argument(
        "--counting", action="store_true", help='also ask "how many", which GQA does not'
    )
    generate.add_argument(
        "--on-problem", choices=("refuse", "repair"), default="refuse", help="damaged scene graphs"
    )


class _Scenes:
    """A file of scene graphs that can be read again and again."""

    def __init__(self, path: Path, on_problem: str) -> None:
        self.path = path
        self.on_problem = on_problem

    def __iter__(self) -> Iterator[Scene]:
        from gqa_reasoner.data.scene_graphs import iterate_scene_graphs

        return iterate_scene_graphs(self.path, on_problem=self.on_problem)  # type: ignore[arg-type]


def run(arguments: argparse.Namespace) -> int:
    """Generate and write; the summary goes to stderr."""
    from tqdm import tqdm

    from gqa_reasoner.data.questions import write_json_items
    from gqa_reasoner.questions.engine import Engine, knowledge_parts
    from knowledge.ontology import Ontology

    ontology = Ontology.load(arguments.ontology) if arguments.ontology else Ontology.default()
    store = _store(arguments.knowledge)
    check, families = knowledge_parts(ontology, store, counting=arguments.counting)
    engine = Engine(
        ontology,
        seed=arguments.seed,
        check=check,
        families=families,
        balanced=not arguments.unbalanced,
    )
    scenes = _Scenes(arguments.scene_graphs, arguments.on_problem)
    engine.count(tqdm(scenes, desc="count", disable=None, file=sys.stderr))
    arguments.output.mkdir(parents=True, exist_ok=True)
    table: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", dir=arguments.output) as lines:

        def questions() -> Iterator[tuple[str, dict[str, object]]]:
            for scene in tqdm(scenes, desc="write", disable=None, file=sys.stderr):
                for question, choices in engine.records(scene, arguments.per_image):
                    lines.write(json.dumps([question.id, choices]) + "\n")
                    _count(table, question)
                    yield question.id, question.to_gqa()

        written = write_json_items(arguments.output / "questions.json", questions())
        lines.seek(0)
        items = (tuple(json.loads(line)) for line in lines)
        write_json_items(arguments.output / "choices.json", items)  # type: ignore[arg-type]
    _summary(table, written, engine.rejected)
    return 0


def _store(choice: str):  # type: ignore[no-untyped-def]  # a TripleStore or None
    from knowledge.store import TripleStore

    if choice == "none":
        return None
    return TripleStore.default() if choice == "default" else TripleStore.open(choice)


def _count(table: Counter[tuple[str, str]], question: Question) -> None:
    types = question.types or {}
    answer = question.answer if question.answer in ("yes", "no") else "open"
    table[str(types["structural"]), str(types["detailed"])] += 1
    table["answers", answer] += 1


def _summary(table: Counter[tuple[str, str]], written: int, rejected: int) -> None:
    print(f"{written} questions; {rejected} drafts refused by execution", file=sys.stderr)
    for (kind, name), count in sorted(table.items()):
        print(f"  {kind:<10} {name:<24} {count:>8}", file=sys.stderr)
