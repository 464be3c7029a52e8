"""`gqa-reasoner submit`: write a leaderboard file, or explain what is wrong with one."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--questions", type=Path, required=True, metavar="Q", help="submission questions")
    add("--predictions", type=Path, metavar="P", help="predictions to write")
    add("--output", type=Path, metavar="OUT", help="file to write (default: submission.json.gz)")
    add("--vocabulary", type=Path, metavar="V", help="allowed answers: list, object, or questions")
    add("--normalize", action="store_true", help="lower-case predictions, drop blanks and dots")
    add("--dry-run", type=Path, metavar="FILE", help="only list what is wrong with FILE")
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when problems were found and listed."""
    from eval.errors import InputError
    from eval.predictions import read_predictions
    from eval.submission import (
        check_submission,
        read_submission_questions,
        read_vocabulary,
        write_submission,
    )

    if (arguments.dry_run is None) == (arguments.predictions is None):
        raise InputError("give --predictions P (to write a file) or --dry-run FILE (to check one)")
    questions = read_submission_questions(arguments.questions)
    vocabulary = read_vocabulary(arguments.vocabulary) if arguments.vocabulary else None
    notes = questions.what_is_scored()
    if vocabulary is None:
        notes.append("vocabulary: not checked (give --vocabulary V)")
    result: dict[str, object] = {}
    if arguments.dry_run is None:
        output = arguments.output or Path("submission.json.gz")
        predictions = read_predictions(arguments.predictions, normalize=arguments.normalize)
        written = write_submission(predictions, questions, output)
        commonest = ", ".join(f"{answer} {count}" for answer, count in written.commonest)
        notes += [
            f"wrote {written.path}: {written.questions} answers, {written.size} bytes, "
            f"SHA-256 {written.sha256}",
            f"{written.distinct_answers} different answers; commonest: {commonest}",
        ]
        result = {"path": str(written.path), "sha256": written.sha256, "size": written.size}
    checked = arguments.dry_run or output
    problems = check_submission(checked, questions, vocabulary)
    if arguments.json:
        result |= {"notes": notes, "count": problems.count, "problems": problems.lines}
        print(json.dumps(result, ensure_ascii=False))
    else:
        print("\n".join(notes))
        print(f"{checked}: {problems.count} problems" if problems.count else f"{checked}: valid")
    if problems.count and not arguments.json:
        print(problems.text(), file=sys.stderr)
    return 1 if problems.count else 0
