"""`gqa-reasoner evaluate`: score predictions with the official figures of their data set."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eval.gqa import GQAScores

DATASETS = ("gqa", "gqa-ood", "vqa-v2", "nlvr", "captions", "retrieval")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--dataset", choices=DATASETS, default="gqa", help="whose figures (default: gqa)")
    add(
        "--questions",
        type=Path,
        metavar="Q",
        help="questions file or folder (captions: the references; nlvr: the examples)",
    )
    add(
        "--predictions",
        type=Path,
        required=True,
        metavar="P",
        help="prediction file (retrieval: .npz with similarity and image_of_text)",
    )
    add("--choices", type=Path, metavar="C", help="choices file (validity and plausibility)")
    add("--attention", type=Path, metavar="A", help="attention file (grounding)")
    add("--scene-graphs", type=Path, metavar="S", help="scene graphs (grounding, report)")
    add("--map-size", type=int, default=7, metavar="G", help="cells per side of attention maps")
    add(
        "--official",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="only the official grounding; --no-official adds the corrected one",
    )
    add(
        "--missing",
        choices=("error", "wrong"),
        default="error",
        help="unpredicted questions stop the scoring, or count wrong",
    )
    add("--normalize", action="store_true", help="lower-case predictions, drop blanks and dots")
    add("--against", type=Path, metavar="OTHER", help="compare with other predictions")
    add("--intervals", action="store_true", help="bootstrap intervals over pictures")
    add("--confusion", action="store_true", help="the commonest mistakes per group")
    add("--report", type=Path, metavar="OUT.html", help="write a self-contained page")
    add("--images", type=Path, metavar="DIR", help="pictures by image id, for the report")
    add("--traces", type=Path, metavar="T", help="`ask --json` answers by question id, for it")
    add("--head", type=Path, metavar="H", help="gqa-ood: questions with frequent answers")
    add("--tail", type=Path, metavar="T", help="gqa-ood: questions with rare answers")
    add("--tokenizer", choices=("auto", "ptb", "plain", "none"), default="auto", help="captions")
    add("--folds", type=int, default=1, metavar="K", help="retrieval: 5 is COCO's 1K protocol")
    add("--seed", type=int, default=0, help="of the bootstrap and of the report's examples")
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Score and print; the table goes to stdout."""
    from eval.errors import InputError

    if arguments.dataset != "gqa":
        from eval.datasets import score_dataset, text_of

        if arguments.report or arguments.against:
            raise InputError("--report and --against are there for --dataset gqa")
        result = score_dataset(arguments.dataset, vars(arguments))
        print(json.dumps(result, ensure_ascii=False) if arguments.json else text_of(result))
        return 0
    if arguments.questions is None:
        raise InputError("--questions Q is needed")
    if arguments.attention and not arguments.scene_graphs:
        raise InputError("--attention needs --scene-graphs as well")
    scores = _score(arguments, arguments.predictions)
    if arguments.attention:
        _add_grounding(arguments, scores)
    result, text = _describe(arguments, scores)
    print(json.dumps(result, ensure_ascii=False) if arguments.json else text)
    return 0


def _score(arguments: argparse.Namespace, predictions: Path) -> GQAScores:
    from tqdm import tqdm

    from eval.gqa import score_gqa

    with tqdm(unit=" questions", disable=None, file=sys.stderr) as bar:
        return score_gqa(
            arguments.questions,
            predictions,
            choices=arguments.choices,
            missing=arguments.missing,
            normalize=arguments.normalize,
            progress=bar.update,
        )


def _add_grounding(arguments: argparse.Namespace, scores: GQAScores) -> None:
    """Read the questions once more, for the objects that they name."""
    from eval.gqa_table import question_batches
    from eval.grounding import GroundingScorer

    grounding = GroundingScorer(arguments.map_size)
    for _, batch in question_batches(arguments.questions):
        for identifier, record in batch.items():
            if record["isBalanced"]:
                grounding.observe(identifier, record)
    grounding.score(arguments.attention, arguments.scene_graphs)
    official, corrected = grounding.figures()
    scores.set_grounding(official, None if arguments.official else corrected)


def _describe(arguments: argparse.Namespace, scores: GQAScores) -> tuple[dict[str, Any], str]:
    """The JSON and the text of everything asked for; writes the report."""
    from eval.compare import accuracy_intervals, compare
    from eval.confusion import confusion_json, confusion_text, group_confusions
    from eval.gqa_text import scores_text

    result, parts = scores.to_json(), []
    intervals = None
    if arguments.intervals or arguments.report:
        found = accuracy_intervals(scores, seed=arguments.seed)
        intervals = {name: (interval.low, interval.high) for name, interval in found.items()}
        result["intervals"] = {name: list(pair) for name, pair in intervals.items()}
    parts.append(scores_text(scores, intervals))
    comparison = None
    if arguments.against:
        other = _score(arguments, arguments.against)
        comparison = compare(scores, other, seed=arguments.seed)
        result["against"] = comparison.to_json()
        parts.append(comparison.text())
    if arguments.confusion:
        groups = group_confusions(scores.table)
        result["confusion"] = confusion_json(groups)
        parts.append(confusion_text(groups))
    if arguments.report:
        from eval.report import ReportSources, write_report

        sources = ReportSources(
            arguments.questions, arguments.scene_graphs, arguments.images, arguments.traces
        )
        write_report(arguments.report, scores, sources, comparison=comparison, seed=arguments.seed)
        result["report"] = str(arguments.report)
        parts.append(f"\nReport: {arguments.report}")
    return result, "\n".join(parts)
