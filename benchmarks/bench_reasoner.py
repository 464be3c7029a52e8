"""Accuracy of the reasoner from pixels (or annotations), by question type and by contribution.

    python benchmarks/bench_reasoner.py --data DIR --output OUT.json
        [--detector-weights DIR | --oracle] [--weights DIR] [--images N] [--cache DIR]

DIR holds images/, sceneGraphs.json and questions.json. The contribution table switches sources
off at prediction time; the model was trained with each of them missing now and then.
`OUT.json` has every figure, `OUT.failures.json` every wrong answer with its program and notes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from detectors.scene import Scene
from gqa_reasoner.data.questions import Question, iterate_questions
from gqa_reasoner.data.scene_graphs import read_scene_graphs
from gqa_reasoner.model.batch import Batch, collate, drop_sources
from gqa_reasoner.model.expanded_graph import Sources
from gqa_reasoner.model.inference import Prepared, answer_prepared
from gqa_reasoner.model.prepare_many import Preparer, Tools
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.training.scene_cache import read_scene_shard, write_scene_shard

GROUP = 50
ROWS = {
    "mixture": Sources(),
    "no guidance": Sources(guidance=False),
    "no edge bias": Sources(edges=False),
    "no context": Sources(triples=False, queries=False),
    "no executed answer as input": Sources(executed=False),
}
BARE = Sources(program=False, guidance=False, executed=False, triples=False, queries=False)


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--detector-weights", type=Path)
    parser.add_argument("--oracle", action="store_true", help="annotations instead of pixels")
    parser.add_argument("--weights", type=Path, help="reasoner; default: the shipped ones")
    parser.add_argument("--images", type=int, help="the first N pictures only")
    parser.add_argument("--cache", type=Path, help="keeps the detected scenes")
    parser.add_argument("--expansion", default="triples")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


def scenes_of(arguments: argparse.Namespace, ids: Sequence[str]) -> Iterator[list[Scene]]:
    """Scenes in groups: annotated, cached or detected."""
    graphs = read_scene_graphs(arguments.data / "sceneGraphs.json") if arguments.oracle else {}
    detector = None
    for start in range(0, len(ids), GROUP):
        part = list(ids[start : start + GROUP])
        if arguments.oracle:
            yield [graphs[image_id] for image_id in part]
            continue
        path = arguments.cache / f"{start // GROUP:05d}.npz" if arguments.cache else None
        if path is not None and path.is_file():
            yield read_scene_shard(path)
            continue
        if detector is None:
            from detectors.default import RegionDetector

            detector = RegionDetector.from_pretrained(arguments.detector_weights)
        images = [arguments.data / "images" / f"{image_id}.jpg" for image_id in part]
        scenes = detector.detect(images, part)
        if path is not None:
            write_scene_shard(path, scenes)
        yield scenes


def contribution(model: ReasonerModel, items: Sequence[Prepared]) -> dict[str, list[str]]:
    """Answers of every row of the contribution table."""
    result: dict[str, list[str]] = defaultdict(list)
    names = model.vocabulary.answers
    for start in range(0, len(items), 128):
        part = items[start : start + 128]
        batch = collate(
            [item.question for item in part],
            [item.scene for item in part],
            feature_size=model.config.feature_size,
        )
        with torch.inference_mode():
            for row, sources in ROWS.items():
                result[row] += mixed_answers(model, without(batch, sources), part)
            neural = model(batch).logits.argmax(-1).tolist()
            bare = model(without(batch, BARE)).logits.argmax(-1).tolist()
        result["neural only"] += [names[i] for i in neural]
        result["neural only, question and objects alone"] += [names[i] for i in bare]
        result["executed program only"] += [next(iter(item.executed), "") for item in part]
    return result


def without(batch: Batch, sources: Sources) -> Batch:
    batch = drop_sources(batch, [sources] * len(batch))
    if not sources.edges:
        silent = batch.edges._replace(weight=torch.zeros_like(batch.edges.weight))
        batch = replace(batch, edges=silent)
    return batch


def mixed_answers(model: ReasonerModel, batch: Batch, items: Sequence[Prepared]) -> list[str]:
    """The mixture's answers, executed ones outside the vocabulary included."""
    mixed = model.mixture(model(batch).logits, batch.executed, batch.executed_share, batch.signals)
    best = mixed.combined.max(-1)
    answers = []
    for row, item in enumerate(items):
        answer, score = model.vocabulary.answers[int(best.indices[row])], float(best.values[row])
        for place, name in enumerate(list(item.executed)[: mixed.executed.shape[1]]):
            share = float(mixed.gate[row] * mixed.executed[row, place])
            if item.question.executed[place] < 0 and share > score:
                answer, score = name, share
        answers.append(answer)
    return answers


def kind_of(question: Question, by: str) -> str:
    types = question.types or {}
    if by == "answer":
        return "open" if types.get("structural") == "query" else "binary"
    return str(types.get(by))


def accuracy_by(questions: Sequence[Question], answers: Sequence[str], by: str) -> dict[str, Any]:
    total, right = Counter[str](), Counter[str]()
    for question, answer in zip(questions, answers, strict=True):
        total[kind_of(question, by)] += 1
        right[kind_of(question, by)] += answer == question.answer
    return {key: [round(right[key] / n, 4), n] for key, n in total.most_common()}


def main(words: Sequence[str] | None = None) -> int:
    arguments = arguments_of(words)
    torch.set_num_threads(arguments.threads)
    model = ReasonerModel.from_pretrained(arguments.weights)
    tools = Tools.default(arguments.expansion)
    by_image: dict[str, list[Question]] = defaultdict(list)
    for question in iterate_questions(arguments.data / "questions.json"):
        by_image[question.image_id].append(question)
    ids = list(by_image)[: arguments.images]
    questions: list[Question] = []
    answers: dict[str, list[str]] = defaultdict(list)
    failures: list[dict[str, Any]] = []
    unparsed, seconds = 0, Counter[str]()
    groups = scenes_of(arguments, ids)
    for _ in tqdm(range(0, len(ids), GROUP), unit="group", disable=None):
        started = time.perf_counter()
        scenes = {scene.image_id: scene for scene in next(groups)}
        seconds["scenes"] += time.perf_counter() - started
        part = [question for image_id in scenes for question in by_image[image_id]]
        started = time.perf_counter()
        prepared = Preparer(model.vocabulary, tools, scenes).prepare(part)
        seconds["parse, execute, expand, encode"] += time.perf_counter() - started
        started = time.perf_counter()
        verdicts = [r for s in range(0, len(prepared), 64)
                    for r in answer_prepared(model, prepared[s : s + 64])]  # fmt: skip
        seconds["model"] += time.perf_counter() - started
        rows = {"reasoner": [item.answer for item in verdicts], **contribution(model, prepared)}
        for name, values in rows.items():
            answers[name] += values
        for place, (question, verdict) in enumerate(zip(part, verdicts, strict=True)):
            unparsed += prepared[place].parse_failure is not None
            if verdict.answer != question.answer:
                failures.append(failure_of(question, verdict, prepared[place]))
        questions += part
    report = report_of(questions, answers, unparsed, dict(seconds))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    arguments.output.with_suffix(".failures.json").write_text(json.dumps(failures, indent=0))
    print(text_of(report))
    return 0


def failure_of(question: Question, verdict: Any, prepared: Prepared) -> dict[str, Any]:
    return {
        "image": question.image_id,
        "question": question.question,
        "gold": question.answer,
        "answer": verdict.answer,
        "executed": next(iter(verdict.executed), None),
        "neural": next(iter(verdict.neural), None),
        "executor_weight": verdict.executor_weight,
        "detailed": kind_of(question, "detailed"),
        "structural": kind_of(question, "structural"),
        "program": question.semantic_str,
        "unparsed": prepared.parse_failure,
    }


def report_of(
    questions: Sequence[Question],
    answers: dict[str, list[str]],
    unparsed: int,
    seconds: dict[str, float],
) -> dict[str, Any]:
    gold = [question.answer for question in questions]
    summary = {}
    for name, found in answers.items():
        right = [a == g for a, g in zip(found, gold, strict=True)]
        groups = accuracy_by(questions, found, "answer")
        summary[name] = {
            "accuracy": round(sum(right) / max(len(right), 1), 4),
            "binary": groups.get("binary", [None])[0],
            "open": groups.get("open", [None])[0],
        }
    return {
        "questions": len(questions),
        "unparsed": unparsed,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "contribution": summary,
        "by": {
            by: {
                name: accuracy_by(questions, answers[name], by)
                for name in ("reasoner", "executed program only", "neural only")
            }
            for by in ("structural", "semantic", "detailed")
        },
    }


def text_of(report: dict[str, Any]) -> str:
    lines = [f"{report['questions']} questions, {report['unparsed']} unparsed; {report['seconds']}"]
    lines += ["", "| row | accuracy | binary | open |", "| --- | --- | --- | --- |"]
    for name, row in report["contribution"].items():
        lines.append(f"| {name} | {row['accuracy']} | {row['binary']} | {row['open']} |")
    for by, table in report["by"].items():
        lines += ["", f"| {by} | questions | reasoner | executed | neural |",
                  "| --- | --- | --- | --- | --- |"]  # fmt: skip
        for key, (share, count) in table["reasoner"].items():
            others = [table[n][key][0] for n in ("executed program only", "neural only")]
            lines.append(f"| {key} | {count} | {share} | {others[0]} | {others[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
