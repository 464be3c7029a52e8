"""`vlp lexicon`: bilingual lexicons out of Multi30k's translated lines, for code-switching."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--multi30k", type=Path, required=True, help="folder with train.en.gz, …")
    parser.add_argument("--languages", nargs="+", default=["de", "fr", "cs"])
    parser.add_argument("--without", type=Path, metavar="FILE",
                        help="caption file whose pictures' lines are left out")  # fmt: skip
    parser.add_argument("--without-split", action="append", metavar="SPLIT",
                        help="only those of this split; may be repeated")  # fmt: skip
    parser.add_argument("--least-score", type=float, default=0.1)
    parser.add_argument("--output", type=Path, required=True, help="JSON file")


def run(arguments: argparse.Namespace) -> int:
    """Induce and write."""
    from gqa_reasoner.vlp.data.lexicon import induce_lexicon, read_multi30k, write_lexicons
    from gqa_reasoner.vlp.data.records import read_captions

    without: set[str] = set()
    if arguments.without:
        for split in arguments.without_split or [None]:
            without |= {item.image for item in read_captions(arguments.without, split=split)}
    lexicons = {}
    for language in arguments.languages:
        pairs = read_multi30k(arguments.multi30k, language, without=without)
        lexicons[language] = induce_lexicon(pairs, least_score=arguments.least_score)
        print(f"{language}: {len(lexicons[language])} words, {len(pairs)} lines", file=sys.stderr)
    write_lexicons(arguments.output, lexicons)
    return 0
