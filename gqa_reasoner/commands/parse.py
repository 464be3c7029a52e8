"""`gqa-reasoner parse`: questions → programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gqa_reasoner.program.parser import ParseResult

_LISTED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("text", nargs="*", metavar="QUESTION", help="a question to parse and print")
    add(
        "--questions",
        type=Path,
        metavar="Q",
        help="GQA questions (JSON file or folder), or a text file with one question per line",
    )
    add("--output", type=Path, metavar="OUT", help="programs by question id, as JSON")
    add("--weights", type=Path, metavar="DIR", help="parser weights; default: the shipped ones")
    add("--top-k", type=int, default=1, metavar="K", help="programs per question (default 1)")
    add(
        "--tokenizer",
        choices=("plain", "spacy"),
        default="plain",
        help="plain: the parser's own (default); spacy: tokens and lemmas by spaCy",
    )
    add("--pipeline", metavar="NAME", help="an installed spaCy pipeline for --tokenizer spacy")
    add("--json", action="store_true", help="print the programs as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Parse; 1 where some questions have no program."""
    from detectors.errors import InputError
    from gqa_reasoner.program.parser import ProgramParser

    if bool(arguments.text) == bool(arguments.questions):
        raise InputError("parse: expected either QUESTION or --questions")
    if arguments.questions and not arguments.output and not arguments.json:
        raise InputError("parse: --questions needs --output or --json")
    if arguments.top_k < 1:
        raise InputError(f"parse: --top-k: expected at least 1, got {arguments.top_k}")
    parser = ProgramParser.from_pretrained(
        arguments.weights, tokenizer=arguments.tokenizer, pipeline=arguments.pipeline
    )
    if arguments.text:
        pairs: Any = enumerate(arguments.text)
    else:
        from tqdm import tqdm

        pairs = tqdm(_pairs(arguments.questions), unit=" questions", disable=None, file=sys.stderr)
    failures: list[str] = []
    records: dict[str, Any] = {}

    def parsed() -> Iterator[tuple[str, Any]]:
        for question_id, question in pairs:
            record = _record(parser.parse(question, arguments.top_k))
            if "failure" in record:
                failures.append(f"question {question_id}: {record['failure']}")
            yield str(question_id), record

    if arguments.output:
        from gqa_reasoner.data.questions import write_json_items

        write_json_items(arguments.output, parsed())
    else:
        records = dict(parsed())
        if arguments.json:
            print(json.dumps(records, ensure_ascii=False, indent=1))
        else:
            _print_programs(records)
    for line in failures[:_LISTED]:
        print(line, file=sys.stderr)
    if len(failures) > _LISTED:
        print(f"... and {len(failures) - _LISTED} more", file=sys.stderr)
    return 1 if failures else 0


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """(id, question) of a GQA file or folder, or of a text file's lines (id: line number)."""
    if path.is_dir() or path.suffix == ".json":
        from gqa_reasoner.data.questions import iterate_questions

        for record in iterate_questions(path):
            yield record.id, record.question
        return
    from detectors.errors import InputError

    with path.open(encoding="utf-8") as stream:
        try:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield str(number), line.strip()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: expected UTF-8 text: {error.reason}") from error


def _record(result: ParseResult) -> dict[str, Any]:
    """A result as the JSON contract of `parse` has it."""
    from detectors.errors import InputError

    if result.failure is not None:
        partial = result.failure.partial
        record: dict[str, Any] = {"failure": result.failure.reason}
        if partial is not None:
            record["partial"] = partial.to_semantic()
        return record
    candidates = []
    for scored in result.programs:
        try:
            text = scored.program.to_semantic_str()
        except InputError as error:
            return {"failure": str(error)}
        candidates.append(
            {
                "semantic": scored.program.to_semantic(),
                "semanticStr": text,
                "score": round(scored.score, 6),
            }
        )
    return candidates[0] | ({"others": candidates[1:]} if len(candidates) > 1 else {})


def _print_programs(records: dict[str, Any]) -> None:
    from gqa_reasoner.program.steps import Program

    for record in records.values():
        if "failure" in record:
            continue
        for candidate in (record, *record.get("others", ())):
            display = Program.from_semantic(candidate["semantic"]).to_display()
            print(f"{candidate['score']:.3f}  {display}")
