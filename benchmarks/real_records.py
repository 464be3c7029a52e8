"""Accuracy on real GQA questions over real scene graphs that the reasoner was not trained on.

    python benchmarks/real_records.py --weights DIR --scene-graphs G… --questions Q…
        --training-questions Q… [--training-scene-graphs G…] [--json OUT]

Rows: the trained reasoner (mixture), its neural side, the executed program alone (parsed; and the
gold one where the record has it), and the answer prior: the commonest training answer of
questions whose program ends in the same operation. Scenes are the annotated graphs. `otherAnswers`
of a record, where it has them, are counted in a column of their own. Questions of pictures that
occur in the training files are refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.data.questions import Question, iterate_questions
from gqa_reasoner.data.scene_graphs import read_scene_graphs
from gqa_reasoner.model.inference import Prepared, answer_prepared
from gqa_reasoner.model.prepare_many import Preparer, Tools
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.program.steps import Program


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    for name in ("scene-graphs", "questions", "training-questions"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True)
    parser.add_argument("--training-scene-graphs", type=Path, nargs="+", default=())
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def known_questions(files: Iterable[Path], graphs: dict[str, Scene]) -> list[Question]:
    """Each question once; the first record that has it wins."""
    found: dict[str, Question] = {}
    for path in files:
        for question in iterate_questions(path):
            if question.image_id in graphs:
                found.setdefault(question.id, question)
    return list(found.values())


def kind_of(program: Program | None) -> str:
    """The last operation, with what it asks for where that is a kind of thing."""
    if program is None or not program.steps:
        return "not parsed"
    last = program.steps[-1]
    return f"query {last.argument}" if last.operation == "query" else last.operation


def given_or_parsed(question: Question, parsed: Any) -> Program | None:
    if question.semantic:
        return Program.from_semantic(question.semantic)
    return parsed.programs[0].program if parsed.programs else None


def priors(questions: Sequence[Question], tools: Tools) -> dict[str, str]:
    """The commonest answer per kind, and of all questions under ''."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    parses = tools.parser.parse_batch([q.question for q in questions])
    for question, parsed in zip(questions, parses, strict=True):
        if question.answer is not None:
            counts[kind_of(given_or_parsed(question, parsed))][question.answer] += 1
            counts[""][question.answer] += 1
    return {kind: min(c, key=lambda a: (-c[a], a)) for kind, c in counts.items()}


def first(item: Prepared) -> str:
    return next(iter(item.executed), "")


def answers_of(
    model: ReasonerModel, tools: Tools, graphs: dict[str, Scene], questions: Sequence[Question],
    training: Sequence[Question],
) -> dict[str, list[str | None]]:  # fmt: skip
    prepared = Preparer(model.vocabulary, tools, graphs).prepare(questions)
    verdicts = answer_prepared(model, prepared)
    gold = [
        Program.from_semantic(q.semantic).without_object_ids() if q.semantic else None
        for q in questions
    ]
    executed_gold: list[str | None] = []
    for question, program in zip(questions, gold, strict=True):
        if program is None:
            executed_gold.append(None)
            continue
        context = tools.expand(graphs[question.image_id], question.question)
        found = tools.execute(program, graphs[question.image_id], context)
        executed_gold.append(found.answer)
    table = priors(training, tools)
    parses = tools.parser.parse_batch([q.question for q in questions])
    kinds = [kind_of(given_or_parsed(q, p)) for q, p in zip(questions, parses, strict=True)]
    return {
        "reasoner (mixture)": [v.answer for v in verdicts],
        "neural side": [next(iter(v.neural)) for v in verdicts],
        "executed program, parsed": [first(item) for item in prepared],
        "executed program, gold": executed_gold,
        "answer prior of the question's kind": [table.get(k, table[""]) for k in kinds],
        "answer prior of all": [table[""]] * len(questions),
    }


def score(questions: Sequence[Question], answers: Sequence[str | None]) -> dict[str, Any]:
    pairs = [(q, a) for q, a in zip(questions, answers, strict=True) if a is not None]
    accepted = [{q.answer, *(q.extra.get("otherAnswers") or ())} for q, _ in pairs]
    count = max(len(pairs), 1)
    return {
        "questions": len(pairs),
        "accuracy": round(sum(a == q.answer for q, a in pairs) / count, 4),
        "with otherAnswers": round(
            sum(a in names for (_, a), names in zip(pairs, accepted, strict=True)) / count, 4
        ),
    }


def main(words: Sequence[str] | None = None) -> int:
    arguments = arguments_of(words)
    torch.set_num_threads(1)
    graphs: dict[str, Scene] = {}
    for path in arguments.scene_graphs:
        graphs.update(read_scene_graphs(path))
    questions = known_questions(arguments.questions, graphs)
    seen = {i for path in arguments.training_scene_graphs for i in read_scene_graphs(path)}
    training = [q for path in arguments.training_questions for q in iterate_questions(path)]
    if arguments.training_scene_graphs:
        training = [q for q in training if q.image_id in seen]
    overlap = sorted({q.image_id for q in training} & {q.image_id for q in questions})
    if overlap:
        raise InputError(f"--questions: picture {overlap[0]!r} occurs in the training files")
    model, tools = ReasonerModel.from_pretrained(arguments.weights), Tools.default()
    answers = answers_of(model, tools, graphs, questions, training)
    report = {name: score(questions, found) for name, found in answers.items()}
    print("| row | questions | accuracy | with otherAnswers |\n| --- | --- | --- | --- |")
    for name, row in report.items():
        print(f"| {name} | {row['questions']} | {row['accuracy']} | {row['with otherAnswers']} |")
    if arguments.json:
        rows = [
            {"id": q.id, "question": q.question, "gold": q.answer,
             **{name: found[n] for name, found in answers.items()}}
            for n, q in enumerate(questions)
        ]  # fmt: skip
        arguments.json.write_text(json.dumps({"table": report, "questions": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"real_records: {error}")
