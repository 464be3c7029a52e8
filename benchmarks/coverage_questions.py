"""Which share of real GQA records the parser's training pairs cover, in shape and in wording.

    python benchmarks/coverage_questions.py --questions Q.json [Q2.json ...] [--pairs N] [--list 20]

Shape: operations, dependencies, relation directions, negation and queried types of the program.
Wording: the question with names, relations and values of its program replaced by placeholders.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path
from typing import Any

from gqa_reasoner.data.questions import iterate_questions
from gqa_reasoner.program.steps import Program
from gqa_reasoner.questions.english import finite_predicate, pluralize, singularize
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.synthetic import question_program_pairs
from knowledge.ontology import Ontology

_SPOKEN = {"wood": "wooden", "metal": "metallic", "small": "little", "large": "big"}
_KEPT = frozenset(("on", "in", "at", "of", "with", "by"))
_POINTING = frozenset(("he", "she", "this", "person", "place", "scene", ""))


def shape(program: Program) -> str:
    """The program without names, predicates and values."""
    parts = []
    for step in program.steps:
        operation, argument, detail = step.operation, step.argument.strip(), ""
        if operation in ("query", "same", "different"):
            detail = argument
        elif operation in ("relate", "verify rel", "choose rel"):
            name, predicate, role = argument.rsplit(",", 2)
            kind = predicate if predicate.startswith("same") else "relation"
            detail = f"{'_' if name == '_' else 'name'},{kind},{role.strip()}"
        elif "not(" in argument:
            detail = "not"
        parts.append(f"{operation}:{detail}{list(step.dependencies)}")
    return ">".join(parts)


class Wordings:
    """Questions with the words of their programs taken out."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def _names(self, name: str) -> set[str]:
        canonical = self.lexicon.ontology.canonical(name)
        found = {name, canonical, *self.lexicon.ontology.synonyms(name)}
        found |= {phrase for phrase, _ in self.lexicon.counted(name)}
        return found | {pluralize(word) for word in found} | {singularize(name)}

    def wording(self, question: str, program: Program) -> str:
        """The placeholders are N (names), P (relations) and A (values)."""
        names: set[str] = set()
        relations: set[str] = set()
        values: set[str] = set()
        for step in program.steps:
            operation, argument = step.operation, step.argument.strip()
            if operation == "select":
                names |= self._names(argument)
            elif operation in ("relate", "verify rel", "choose rel"):
                name, predicates, _ = argument.rsplit(",", 2)
                names |= self._names(name)
                for predicate in predicates.split("|"):
                    finite = (finite_predicate(predicate, plural) for plural in (True, False))
                    relations |= {predicate, *filter(None, finite)}
            elif operation.startswith(("filter", "verify", "choose")):
                for word in re.sub(r"^not\((.*)\)$", r"\1", argument).split("|"):
                    if operation == "choose name":
                        names |= self._names(word)
                    else:
                        values |= {word, _SPOKEN.get(word, word)}
        text = f" {question.lower().rstrip('?').replace(',', ' ,')} "
        for group, mark in ((names - _POINTING, "N"), (relations - _KEPT, "P"), (values, "A")):
            for word in sorted(group, key=len, reverse=True):
                text = text.replace(f" {word} ", f" {mark} ").replace(f" {word}'s ", f" {mark}'s ")
        text = re.sub(r"\b(picture|image|photo|photograph)\b", "PICTURE", text)
        return " ".join(re.sub(r"\ban\b", "a", text).split())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=Path, nargs="+", required=True)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--list", type=int, default=0, help="print so many uncovered of each kind")
    arguments = parser.parse_args()
    ontology = Ontology.default()
    wordings = Wordings(Lexicon(ontology))
    real: dict[str, Counter[str]] = {"shapes": Counter(), "wordings": Counter()}
    example: dict[str, str] = {}
    for path in arguments.questions:
        for question in iterate_questions(path):
            if question.semantic is None:
                continue
            record: Any = Program.from_semantic(question.semantic).without_object_ids()
            keys = {
                "shapes": shape(record),
                "wordings": wordings.wording(question.question, record),
            }
            for kind, key in keys.items():
                real[kind][key] += 1
                example.setdefault(key, question.question)
    made: dict[str, set[str]] = {"shapes": set(), "wordings": set()}
    for text, program in question_program_pairs(arguments.seed, arguments.pairs, ontology):
        made["shapes"].add(shape(program))
        made["wordings"].add(wordings.wording(text, program))
    for kind, table in real.items():
        covered = [key for key in table if key in made[kind]]
        share = sum(table[key] for key in covered) / max(sum(table.values()), 1)
        print(f"{kind}: {len(covered)} of {len(table)} distinct, {share:.4f} of the records")
        missing = [key for key, _ in table.most_common() if key not in made[kind]]
        for key in missing[: arguments.list]:
            print(f"  {table[key]}  {example[key]}")


if __name__ == "__main__":
    main()
