"""How far the parser gets on questions that people wrote (VQA v2 text, outside GQA's language).

    python benchmarks/parse_vqa.py FILE.jsonl[.gz] [--count 2000] [--seed 0] [--show 50]

Prints the share of questions with an executable program, the reasons of the failures, and with
`--show` that many questions with their programs, drawn at random, for reading by hand.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np

from gqa_reasoner.program.parser import ProgramParser


def read_questions(path: Path) -> list[str]:
    """The question texts of a JSON-lines file, perhaps gzipped."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line)["question"] for line in data.decode().splitlines()]


def main() -> None:
    """Draw, parse, count, show."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", type=Path)
    options.add_argument("--count", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--weights", type=Path, help="default: the shipped parser")
    options.add_argument("--show", type=int, default=0)
    arguments = options.parse_args()
    questions = read_questions(arguments.file)
    generator = np.random.default_rng(arguments.seed)
    chosen = [questions[int(i)] for i in generator.permutation(len(questions))[: arguments.count]]
    parser = ProgramParser.from_pretrained(arguments.weights)
    results = [parser.parse(question, 1) for question in chosen]
    reasons: Counter[str] = Counter()
    openings: Counter[str] = Counter()
    for question, result in zip(chosen, results, strict=True):
        if result.failure is not None:
            reasons[result.failure.reason.split(":")[0][:60]] += 1
            openings[" ".join(question.lower().split()[:2])] += 1
    good = sum(result.failure is None for result in results)
    print(f"{good} of {len(chosen)} questions have a program ({good / len(chosen):.3f})")
    for reason, count in reasons.most_common(8):
        print(f"  {count}: {reason}")
    print("  commonest openings without a program:", openings.most_common(12))
    for question, result in list(zip(chosen, results, strict=True))[: arguments.show]:
        shown = (
            f"{result.programs[0].score:.2f} {result.programs[0].program.to_display()}"
            if result.programs
            else f"failure: {result.failure}"
        )
        print(f"- {question}\n    {shown}")


if __name__ == "__main__":
    main()
