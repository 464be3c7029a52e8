"""How well questions are parsed: exact match by type, length and novelty, by cross-validation."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from detectors.errors import InputError
from gqa_reasoner.data.questions import Question
from gqa_reasoner.program.parser import ParseResult, ProgramParser
from gqa_reasoner.program.parsing.learning import Example, canonical_draft, loose_draft
from gqa_reasoner.program.parsing.lexicon import Entry
from gqa_reasoner.program.parsing.vocabulary import OntologyVocabulary
from gqa_reasoner.program.steps import Program, validate

__all__ = ["Tally", "cross_validate", "fold_of", "format_table"]


def fold_of(image_id: str, folds: int) -> int:
    """The fold of a picture: all questions of one picture share it."""
    return int(hashlib.sha1(f"fold {image_id}".encode()).hexdigest(), 16) % folds


def _draft(program: Program) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    return tuple((step.operation, step.argument, step.dependencies) for step in program.steps)


def _is_valid(program: Program) -> bool:
    try:
        validate(program)
    except InputError:
        return False
    return True


class Tally:
    """Counts of exact matches per slice of the records."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.failures: list[dict[str, Any]] = []

    def add(
        self, record: Question, example: Example, result: ParseResult, seen: bool, source: str = ""
    ) -> None:
        """Count one record."""
        drafts = [_draft(scored.program) for scored in result.programs]
        best = drafts[0] if drafts else ()
        outcome = {
            "exact": bool(drafts) and canonical_draft(best) == example.target,
            "strict": bool(drafts) and best == tuple(example.draft),
            "order_free": bool(drafts) and loose_draft(best) == example.loose,
            "among_five": any(canonical_draft(draft) == example.target for draft in drafts),
            "well_formed": bool(drafts) and _is_valid(result.programs[0].program),
        }
        types = record.types or {}
        slices = [
            "all",
            f"structural {types.get('structural')}",
            f"detailed {types.get('detailed')}",
            f"steps {len(example.draft)}",
            f"text {'seen' if seen else 'unseen'} in training",
        ]
        if source:
            slices.append(f"file {source}")
        for name in slices:
            row = self._counts[name]
            row["records"] += 1
            for key, value in outcome.items():
                row[key] += value
        if not outcome["exact"]:
            self.failures.append(
                {
                    "question": record.question,
                    "detailed": types.get("detailed"),
                    "gold": [list(step[:2]) for step in example.draft],
                    "parsed": [list(step[:2]) for step in best],
                    "rank": next(
                        (
                            place
                            for place, draft in enumerate(drafts)
                            if canonical_draft(draft) == example.target
                        ),
                        None,
                    ),
                }
            )

    def rows(self) -> dict[str, dict[str, float]]:
        """Slice → records and shares."""
        return {
            name: {
                "records": row["records"],
                **{
                    key: round(row[key] / row["records"], 4)
                    for key in ("exact", "strict", "order_free", "among_five", "well_formed")
                },
            }
            for name, row in sorted(self._counts.items())
        }


def cross_validate(
    records: Sequence[Question],
    examples: Sequence[Example],
    generated: Sequence[Example],
    vocabulary: OntologyVocabulary,
    *,
    folds: int,
    rounds: int,
    penalty: float,
    background: Sequence[Entry] = (),
    rewordings: Sequence[Example] = (),
    parser_of: Callable[[list[Example]], ProgramParser] | None = None,
) -> dict[str, Any]:
    """Train on all pictures but a fold's, measure on the fold; all folds in one table.

    Args:
        records, examples: the real records, aligned.
        generated: pairs that every fold trains on as well.
        background: lexicon entries of `train`, the same for every fold.
        rewordings: paraphrases of the examples; a fold sees those of its training pictures.
        folds: number of folds; pictures are spread by the hash of their id.
        parser_of: makes a parser of training examples; the project's own training if None.
    """
    from gqa_reasoner.training.parser import train

    places = [fold_of(record.image_id, folds) for record in records]
    tally = Tally()
    programs: dict[str, Any] = {}
    for fold in range(folds):
        learning = [e for e, place in zip(examples, places, strict=True) if place != fold]
        texts = {example.question for example in learning}
        groups = {example.group for example in learning}
        others = [example for example in rewordings if example.group in groups]
        if parser_of is None:
            learner = train(
                [*learning, *generated, *others],
                vocabulary,
                rounds=rounds,
                penalty=penalty,
                background=background,
            )
            parser = ProgramParser(learner.lexicon, learner.learned(), vocabulary)
        else:
            parser = parser_of([*learning, *generated, *others])
        for record, example, place in zip(records, examples, places, strict=True):
            if place == fold:
                result = parser.parse(record.question)
                tally.add(record, example, result, record.question in texts)
                if result.programs:
                    best = result.programs[0]
                    semantic = best.program.to_semantic()
                    programs[record.id] = {"semantic": semantic, "score": best.score}
        print(f"fold {fold + 1}/{folds}: {tally.rows()['all']}", file=sys.stderr)
    return {
        "folds": folds,
        "rows": tally.rows(),
        "failures": tally.failures,
        "programs": programs,
    }


def format_table(report: dict[str, Any], detailed: bool = False) -> str:
    """The report as a Markdown table."""
    lines = [
        "| records | n | exact | strict | and/or order free | among 5 | well-formed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in report["rows"].items():
        if name.startswith("detailed") and not detailed:
            continue
        shares = " | ".join(
            f"{row[key]:.3f}"
            for key in ("exact", "strict", "order_free", "among_five", "well_formed")
        )
        lines.append(f"| {name} | {row['records']} | {shares} |")
    return "\n".join(lines)
