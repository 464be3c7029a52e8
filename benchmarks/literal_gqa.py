"""The peer of the benchmark: GQA's figures computed the plain way, as the definitions read.

Everything is loaded with `json`, every score is appended to a list, and the lists are averaged at
the end. Written from the description of the metrics (issue 7); no code of others.

Usage: python benchmarks/literal_gqa.py QUESTIONS PREDICTIONS [CHOICES]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path


def mean(values: list[float]) -> float:
    return float(sum(values)) / len(values) if values else 0.0


def words_of(question: dict) -> int:
    return len(question["question"].split())


def steps_of(question: dict) -> int:
    left_out = ["exist", "query: name", "choose name"]
    texts = [f"{step['operation']}: {step['argument']}" for step in question["semantic"]]
    return len([text for text in texts if not any(part in text for part in left_out)])


def inside(answer: str, group: list[str], question: dict) -> bool:
    if "Common" in question["types"]["detailed"]:
        group = ["color", "material", "shape"]
    return answer in group


def chi_square(gold: dict, predicted: dict) -> float:
    total, weight = 0.0, 0
    for group in gold:
        score, count = 0.0, 0
        for answer in gold[group]:
            expected = gold[group][answer]
            observed = predicted[group].get(answer, 0)
            score += (observed - expected) ** 2 / expected
            count += expected
        total += score * count
        weight += count
    return total / weight


def literal_scores(
    questions: dict, predictions: dict, choices: dict | None, progress: bool = False
) -> dict[str, object]:
    """Every figure of the official table, in its units; absent figures are 0 as there."""
    scores: dict[str, list] = defaultdict(list)
    kinds = ("structural", "semantic", "detailed", "steps", "words")
    per: dict[str, dict] = {kind: defaultdict(list) for kind in kinds}
    gold_counts: dict = defaultdict(lambda: defaultdict(int))
    predicted_counts: dict = defaultdict(lambda: defaultdict(int))
    items = questions.items()
    if progress:
        from tqdm import tqdm

        items = tqdm(items)
    for identifier, question in items:
        gold = question["answer"]
        predicted = predictions[identifier]
        correct = predicted == gold
        score = float(1 if correct else 0)
        words = words_of(question)
        steps = steps_of(question)
        if not question["isBalanced"]:
            continue
        scores["accuracy"].append(score)
        per["words"][words].append(score)
        per["steps"][steps].append(score)
        per["structural"][question["types"]["structural"]].append(score)
        per["semantic"][question["types"]["semantic"]].append(score)
        per["detailed"][question["types"]["detailed"]].append(score)
        scores["open" if question["types"]["structural"] == "query" else "binary"].append(score)
        if choices is not None:
            valid = inside(predicted, choices[identifier]["valid"], question)
            scores["validity"].append(float(1 if valid else 0))
            plausible = inside(predicted, choices[identifier]["plausible"], question)
            scores["plausibility"].append(float(1 if plausible else 0))
        group = question["groups"]["global"]
        if group is not None:
            gold_counts[group][gold] += 1
            predicted_counts[group][predicted] += 1
        others = [other for other in question["entailed"] if other != identifier]
        if correct and len(others) > 0:
            inner = []
            for other in others:
                if other in questions:  # the official script stops here with a KeyError
                    inner.append(float(predictions[other] == questions[other]["answer"]))
            if inner:
                scores["consistency"].append(mean(inner))
    names = ("binary", "open", "accuracy", "consistency", "validity", "plausibility")
    figures: dict[str, object] = {name: mean(scores[name]) * 100 for name in names}
    figures["distribution"] = chi_square(gold_counts, predicted_counts) / 100 if gold_counts else 0
    for kind, groups in per.items():
        figures[kind] = {name: mean(values) * 100 for name, values in groups.items()}
    return figures


def main() -> None:
    started = time.perf_counter()
    questions = json.loads(Path(sys.argv[1]).read_text())
    choices = json.loads(Path(sys.argv[3]).read_text()) if len(sys.argv) > 3 else None
    records = json.loads(Path(sys.argv[2]).read_text())
    predictions = {record["questionId"]: record["prediction"] for record in records}
    figures = literal_scores(questions, predictions, choices, progress=True)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "figures": figures}))


if __name__ == "__main__":
    main()
