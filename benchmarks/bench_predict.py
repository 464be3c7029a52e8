"""Prediction from stored scenes: questions a second, file to file, and whether bfloat16 agrees.

    python benchmarks/bench_predict.py --questions Q --scenes DIR [--workers 2] [--limit N]
        [--json OUT]

Times `gqa-reasoner predict` as a process of its own, start and files included, and the processor
time of it and its workers; the same for one question, which is the start. Then predicts in float32
and in bfloat16 and counts equal answers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from gqa_reasoner.data.questions import Question, iterate_questions, write_questions
from gqa_reasoner.model.inference import Prepared, answer_prepared
from gqa_reasoner.model.prepare_many import Preparer, Tools
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.pipeline import Reasoner
from gqa_reasoner.scenes import SceneSource


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int, help="the first N questions only")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def timed(questions: Path, scenes: Path, workers: int) -> dict[str, float]:
    """Seconds of one run of the command: on the clock and on the processors."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "gqa_reasoner", "predict", "--questions", str(questions),
             "--scenes", str(scenes), "--workers", str(workers),
             "--output", str(Path(folder) / "out.json")],
            check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        elapsed = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return {"seconds": round(elapsed, 2), "processor seconds": round(used, 2)}


def answers(model: ReasonerModel, items: Sequence[Prepared]) -> tuple[list[str], float]:
    """Answers in order, and the processor milliseconds of a question in the model."""
    order = sorted(range(len(items)), key=lambda i: len(items[i].question.kind))
    found = [""] * len(items)
    started = time.process_time()
    for start in range(0, len(order), 128):
        part = order[start : start + 128]
        for place, verdict in zip(
            part, answer_prepared(model, [items[i] for i in part]), strict=True
        ):
            found[place] = verdict.answer
    return found, 1e3 * (time.process_time() - started) / len(items)


def main(words: Sequence[str] | None = None) -> int:
    arguments = arguments_of(words)
    torch.set_num_threads(1)
    source = SceneSource(Reasoner.from_pretrained(), stored=arguments.scenes)
    asked: list[Question] = [
        q for q in iterate_questions(arguments.questions) if q.image_id in source
    ][: arguments.limit]
    with tempfile.TemporaryDirectory() as folder:
        path, one = Path(folder) / "questions.json", Path(folder) / "one.json"
        write_questions(path, asked)
        write_questions(one, asked[:1])
        start = timed(one, arguments.scenes, arguments.workers)
        report: dict[str, object] = {"questions": len(asked), "workers": arguments.workers}
        report |= timed(path, arguments.scenes, arguments.workers)
    report["seconds to start, for one question"] = start["seconds"]
    report["questions a second after the start"] = round(
        len(asked) / (float(str(report["seconds"])) - start["seconds"]), 1
    )
    report["questions a second"] = round(len(asked) / float(str(report["seconds"])), 1)
    report["processor ms a question"] = round(
        1e3 * float(str(report["processor seconds"])) / len(asked), 3
    )
    model = ReasonerModel.from_pretrained()
    started = time.process_time()
    items = Preparer(model.vocabulary, Tools.default(), source).prepare(asked)
    prepared = time.process_time() - started
    report["preparation, processor ms a question"] = round(1e3 * prepared / len(asked), 3)
    both = {}
    for name, half in (("float32", False), ("bfloat16", True)):
        ready = ReasonerModel.from_pretrained().for_prediction(bfloat16=half)
        answers(ready, items[:256])
        both[name], spent = answers(ready, items)
        report[f"model in {name}, processor ms a question"] = round(spent, 3)
    same = sum(a == b for a, b in zip(both["float32"], both["bfloat16"], strict=True))
    report["same answers in bfloat16"] = round(same / len(asked), 5)
    for name, found in both.items():
        right = sum(a == q.answer for a, q in zip(found, asked, strict=True))
        report[f"accuracy in {name}"] = round(right / len(asked), 4)
    report["load average"] = list(os.getloadavg())
    print(json.dumps(report, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
