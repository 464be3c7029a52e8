"""What decides where the annotation fits several answers: rules tried on GQA's ambiguous questions.

    python benchmarks/tied_answers.py --questions FILES… --scene-graphs FILES… [--list]

For every question the program (its own, else the parser's) is executed on the scene graph without
object ids; the objects that fit equally are the candidates, and each rule picks one. Questions of
the same picture with the same program but different recorded answers cannot all be right under any
rule: the best possible count is printed beside the rules'.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from detectors.scene import SceneObject
from gqa_reasoner.data.questions import iterate_questions
from gqa_reasoner.data.scene_graphs import read_scene_graphs
from gqa_reasoner.program.executor import execute
from gqa_reasoner.program.parser import ProgramParser
from gqa_reasoner.program.steps import Program
from knowledge.ontology import Ontology

Candidates = list[tuple[SceneObject, str]]
"""Objects that fit, in the graph's order, each with the answer it gives."""


def area(item: SceneObject) -> float:
    """Of the box, square pixels."""
    return (item.box[2] - item.box[0]) * (item.box[3] - item.box[1])


def _commonest(found: Candidates) -> str:
    return Counter(answer for _, answer in found).most_common(1)[0][0]


def _rarest(found: Candidates) -> str:
    counts = Counter(answer for _, answer in found)
    least = min(counts.values())
    return max((one for one in found if counts[one[1]] == least), key=lambda one: area(one[0]))[1]


RULES: dict[str, Callable[[Candidates], str]] = {
    "commonest answer, then first in the graph": _commonest,
    "first in the graph": lambda found: found[0][1],
    "last in the graph": lambda found: found[-1][1],
    "largest box": lambda found: max(found, key=lambda one: area(one[0]))[1],
    "smallest box": lambda found: min(found, key=lambda one: area(one[0]))[1],
    "most attributes": lambda found: max(found, key=lambda one: len(one[0].attributes))[1],
    "fewest attributes": lambda found: min(found, key=lambda one: len(one[0].attributes))[1],
    "an answer that one object alone gives, then the largest": _rarest,
}


def main() -> None:
    """Execute, apply the rules, print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--questions", type=Path, nargs="+", required=True)
    options.add_argument("--scene-graphs", type=Path, nargs="+", required=True)
    options.add_argument("--weights", type=Path)
    options.add_argument("--list", action="store_true", help="each question without a program")
    arguments = options.parse_args()
    scenes = {}
    for path in arguments.scene_graphs:
        scenes.update(read_scene_graphs(path))
    parser, ontology = ProgramParser.from_pretrained(arguments.weights), Ontology.default()
    right: dict[str, Counter[str]] = defaultdict(Counter)
    golds: dict[tuple[str, str], list[str]] = defaultdict(list)
    seen: set[str] = set()
    for path in arguments.questions:
        for record in iterate_questions(path):
            if record.image_id not in scenes or record.id in seen:
                continue
            seen.add(record.id)
            kind = "with program" if record.semantic else "without program"
            program = (
                Program.from_semantic(record.semantic).without_object_ids()
                if record.semantic
                else parser.parse(record.question, 1).best.program
            )
            scene = scenes[record.image_id]
            execution = execute(program, scene, ontology, mode="hard")
            right[kind]["questions"] += 1
            right[kind]["executor"] += execution.answer == record.answer
            golds[record.image_id, program.to_semantic_str()].append(str(record.answer))
            found = _candidates(program, execution, scene.objects)
            answers = {name: rule(found) if found else "" for name, rule in RULES.items()}
            for name, answer in answers.items():
                if not found:
                    answer = execution.answer
                right[kind][name] += answer == record.answer
            if arguments.list and not record.semantic:
                print(
                    f"{record.id} {record.question} {record.answer} | executor {execution.answer}"
                )
    possible = sum(max(Counter(answers).values()) for answers in golds.values())
    for kind, counts in right.items():
        print(kind, counts.pop("questions"), "questions")
        for name, count in counts.items():
            print(f"  {count:3d}  {name}")
    print(f"at most {possible} of {len(seen)} under any rule (same picture and program)")


def _candidates(program, execution, objects) -> Candidates:  # type: ignore[no-untyped-def]
    """Objects that fit the last description, with what each answers; [] for other questions."""
    last = program.steps[-1]
    if last.operation != "query" or not last.dependencies:
        return []
    weights = np.asarray(execution.step_weights[last.dependencies[0]])
    fitting = [objects[int(place)] for place in np.flatnonzero(weights > 0)]
    if last.argument.strip() == "name":
        return [(item, item.name) for item in fitting]
    given = execution.answer_distribution
    pairs = [
        (item, next((word for word in item.attributes if word in given), "")) for item in fitting
    ]
    return [pair for pair in pairs if pair[1]]


if __name__ == "__main__":
    main()
