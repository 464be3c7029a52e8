"""`gqa-reasoner execute`: run programs on scene graphs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gqa_reasoner.program.batch import ProgramSource, Summary

_LISTED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--questions", type=Path, required=True, metavar="Q", help="questions file or folder")
    add("--scene-graphs", type=Path, nargs="+", required=True, metavar="G", help="graph files")
    add("--output", type=Path, required=True, metavar="OUT", help="predictions file to write")
    add(
        "--parsed",
        nargs="?",
        const="",
        metavar="FILE",
        help="parse the questions instead of reading their programs; with FILE, take the "
        "programs that `parse` wrote there",
    )
    add("--repair", action="store_true", help="repair faulty graphs instead of refusing them")
    add("--mode", choices=("hard", "soft"), default="hard", help="annotations as truth, or doubt")
    add("--no-object-ids", action="store_true", help="ignore the object ids of gold programs")
    add("--ontology", type=Path, metavar="FILE", help="default: the shipped one")
    add("--store", type=Path, metavar="FILE", help="triples for knowledge steps; default: shipped")
    add("--list-wrong", action="store_true", help="list wrong answers with what was missing")
    add("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Execute all questions; 1 where some could not be executed."""
    from tqdm import tqdm

    from gqa_reasoner.data.questions import iterate_questions
    from gqa_reasoner.data.scene_graphs import iterate_scene_graphs
    from gqa_reasoner.program.batch import execute_questions, write_predictions
    from gqa_reasoner.program.executor import Executor
    from knowledge.ontology import Ontology

    ontology = Ontology.load(arguments.ontology) if arguments.ontology else Ontology.default()
    problems: list[str] = []
    on_problem: Any = "repair" if arguments.repair else "refuse"
    scenes = {
        scene.image_id: scene
        for path in arguments.scene_graphs
        for scene in iterate_scene_graphs(path, on_problem=on_problem, problems=problems)
    }
    for problem in problems:
        print(f"repaired: {problem}", file=sys.stderr)
    executor = Executor(
        ontology,
        mode=arguments.mode,
        object_ids=False if arguments.no_object_ids else None,
        triples=_lazy_triples(arguments.store),
    )
    started = time.perf_counter()
    questions = tqdm(
        iterate_questions(arguments.questions), unit=" questions", disable=None, file=sys.stderr
    )
    outcomes = execute_questions(questions, scenes, executor, _program_source(arguments.parsed))
    summary = write_predictions(arguments.output, outcomes)
    _report(summary, time.perf_counter() - started, arguments, len(problems))
    return 1 if summary.failures or summary.without_graph else 0


def _program_source(parsed: str | None) -> ProgramSource:
    from gqa_reasoner.program.batch import gold_program, parsed_programs

    if parsed is None:
        return gold_program
    if parsed:
        return parsed_programs(Path(parsed))
    from detectors.errors import InputError
    from gqa_reasoner.program.parser import ProgramParser

    parser = ProgramParser.from_pretrained()

    def parse(question: Any) -> Any:
        result = parser.parse(question.question)
        if not result.programs:
            raise InputError(f"not parsed: {getattr(result.failure, 'reason', 'no program')}")
        return result.programs[0].program

    return parse


def _lazy_triples(path: Path | None) -> Callable[[str, str, str], bool]:
    """A look-up that opens the store when the first knowledge step asks."""
    stores: list[Any] = []

    def holds(head: str, relation: str, tail: str) -> bool:
        if not stores:
            from knowledge.store import TripleStore

            stores.append(TripleStore.open(path) if path else TripleStore.default())
        return stores[0].has(head, relation, tail)

    return holds


def _report(summary: Summary, seconds: float, arguments: argparse.Namespace, repaired: int) -> None:
    record = {
        "answered": summary.answered,
        "correct": summary.correct if summary.scored else None,
        "also_right": summary.also_right if summary.scored else None,
        "accuracy": None if summary.accuracy is None else round(summary.accuracy, 4),
        "without_graph": summary.without_graph,
        "not_executed": len(summary.failures),
        "graph_problems_repaired": repaired,
        "seconds": round(seconds, 2),
        "output": str(arguments.output),
    }
    for place, (question_id, reason) in enumerate(summary.failures.items()):
        if place == _LISTED:
            print(f"... and {len(summary.failures) - _LISTED} more", file=sys.stderr)
            break
        print(f"question {question_id}: {reason}", file=sys.stderr)
    if summary.without_graph:
        print(f"{summary.without_graph} questions have no scene graph", file=sys.stderr)
    if arguments.list_wrong:
        for item in summary.wrong:
            reason = "; ".join(item.notes) or "the annotation says so"
            print(f"wrong {item.question_id}: {item.expected} / {item.prediction}: {reason}")
    if arguments.json:
        print(json.dumps(record))
    else:
        print("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in record.items()))
