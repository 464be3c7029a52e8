"""`vlp words`: plain captions and a list of whole words, for training captioners."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--captions", type=Path, required=True, help="caption file")
    parser.add_argument("--split", help="only records of this split")
    parser.add_argument(
        "--least", type=int, default=4, help="occurrences that make a word known (default: 4)"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="captions.jsonl and words.json"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, write, say how many."""
    from gqa_reasoner.vlp.captioning.words import plain_records, whole_words
    from gqa_reasoner.vlp.data.records import read_captions, write_captions

    records = plain_records(read_captions(arguments.captions, split=arguments.split))
    texts = [text for record in records for text in record.captions]
    words = whole_words(texts, arguments.least)
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_captions(arguments.output / "captions.jsonl", records)
    words.save(arguments.output / "words.json")
    unknown = sum(words.encode(text).count(words.unknown) for text in texts)
    total = sum(len(text.split()) for text in texts)
    print(
        f"{len(records)} pictures, {len(texts)} captions, {len(words)} words "
        f"({unknown} of {total} in the captions unknown)"
    )
    return 0
