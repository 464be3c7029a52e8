"""`gqa-reasoner evaluate`: score predictions with GQA's official figures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--questions", type=Path, required=True, metavar="Q", help="questions file or folder")
    add("--predictions", type=Path, required=True, metavar="P", help="prediction file")
    add("--choices", type=Path, metavar="C", help="choices file (validity and plausibility)")
    add("--attention", type=Path, metavar="A", help="attention file (grounding)")
    add("--scene-graphs", type=Path, metavar="S", help="scene graphs (grounding, report)")
    add("--map-size", type=int, default=7, metavar="G", help="cells per side of attention maps")
    add(
        "--official",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="only the official figures; --no-official adds the corrected grounding",
    )
    add(
        "--missing",
        choices=("error", "wrong"),
        default="error",
        help="unpredicted questions stop the scoring, or count wrong",
    )
    add("--normalize", action="store_true", help="lower-case predictions, drop blanks and dots")
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Score and print; the table goes to stdout."""
    from tqdm import tqdm

    from eval.errors import InputError
    from eval.gqa import score_gqa
    from eval.gqa_text import scores_text
    from eval.grounding import GroundingScorer

    if (arguments.attention is None) != (arguments.scene_graphs is None) and arguments.attention:
        raise InputError("--attention needs --scene-graphs as well")
    grounding = GroundingScorer(arguments.map_size) if arguments.attention else None
    with tqdm(unit=" questions", disable=None, file=sys.stderr) as bar:
        scores = score_gqa(
            arguments.questions,
            arguments.predictions,
            choices=arguments.choices,
            missing=arguments.missing,
            normalize=arguments.normalize,
            observe=None if grounding is None else grounding.observe,
            progress=bar.update,
        )
    if grounding is not None:
        grounding.score(arguments.attention, arguments.scene_graphs)
        official, corrected = grounding.figures()
        scores.set_grounding(official, None if arguments.official else corrected)
    if arguments.json:
        print(json.dumps(scores.to_json(), ensure_ascii=False))
    else:
        print(scores_text(scores))
    return 0
