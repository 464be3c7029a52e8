"""Exact match of the parser on the hand-written, held-out paraphrases.

    python benchmarks/parser_paraphrases.py [--weights DIR] [--show]

`tests/program/paraphrases.txt` holds sentences written by hand for programs of GQA's shapes before
the parser was run on any of them; none is trained on. Questions with an odd number (counted from 1)
are the open half, which may be read when mending the parser (`--show` lists its misses); of the
even ones, the closed half, only totals are printed.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gqa_reasoner.program.parser import ProgramParser
from gqa_reasoner.program.parsing.learning import canonical_draft, loose_draft
from gqa_reasoner.program.steps import Program

__all__ = ["Paraphrase", "is_exact", "read_paraphrases"]

FILE = Path(__file__).resolve().parents[1] / "tests" / "program" / "paraphrases.txt"


class Paraphrase(NamedTuple):
    """A question, its program and kind; `number` counts the questions from 1."""

    number: int
    kind: str
    question: str
    program: Program


def read_paraphrases(path: Path = FILE) -> Iterator[Paraphrase]:
    """The sentences of the file with the programs they stand under."""
    kind, program, number = "", None, 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            kind = line[2:]
        elif line.startswith("= "):
            text = line[2:].replace(" -> ", "->").replace(": [", ":  [")
            program = Program.from_semantic_str(text)
        elif line.strip() and program is not None:
            number += 1
            yield Paraphrase(number, kind, line.strip(), program)


def draft_of(program: Program) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """Steps as (operation, argument, dependencies), white space normalized."""
    return tuple((s.operation, s.argument.strip(), s.dependencies) for s in program.steps)


def is_exact(parsed: Program, wanted: Program, *, loose: bool = False) -> bool:
    """Equal programs; alternatives in either order, with `loose` also the two halves."""
    form = loose_draft if loose else canonical_draft
    return form(draft_of(parsed)) == form(draft_of(wanted))


def main() -> None:
    """Parse, compare, print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--weights", type=Path)
    options.add_argument("--show", action="store_true", help="the open half's misses")
    arguments = options.parse_args()
    parser = ProgramParser.from_pretrained(arguments.weights)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for one in read_paraphrases():
        result = parser.parse(one.question)
        best = result.programs[0].program if result.programs else None
        exact = best is not None and is_exact(best, one.program)
        free = best is not None and is_exact(best, one.program, loose=True)
        for name in ("all", ("closed", "open")[one.number % 2], one.kind):
            row = counts[name]
            for place, one_more in enumerate((True, exact, free, best is not None)):
                row[place] += int(one_more)
        if arguments.show and one.number % 2 and not free:
            print(f"- {one.question}\n    {best.to_display() if best else result.failure}")
    print("| sentences | n | exact | and/or order free | with a program |")
    print("| --- | --- | --- | --- | --- |")
    for name, (n, *found) in counts.items():
        print(f"| {name} | {n} | " + " | ".join(f"{share / n:.3f}" for share in found) + " |")


if __name__ == "__main__":
    main()
