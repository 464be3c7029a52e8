"""What each part of the reasoner contributes: a model trained anew without it, per row and seed.

    python -m benchmarks.bench_contribution --train DIR --data DIR --store DIR --output DIR
        --config configs/reasoner_ablation.yaml [--minutes 1] [--seeds 0 1 2] [--rows NAME…]

TRAIN and DATA hold images/, sceneGraphs.json and questions.json of different pictures; STORE has
the detected scenes of DATA's pictures (`predict --scenes`). Every row is trained for the same
processor minutes on the same pictures and questions and asked the same questions. It may be killed
at any time: started again it goes on from the last checkpoint of the run it was in. Written to
OUTPUT: a folder per run, table.md and table.json. Open questions are GQA's structural type
`query`, binary ones all others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench_peers import encode, spread, test_questions, verdicts
from detectors.errors import InputError
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.training.encoded_store import Shard, read_shard, write_shard
from gqa_reasoner.training.reasoner_config import ReasonerTrainingConfig, read_config
from gqa_reasoner.training.reasoner_run import train_reasoner

DETECTOR = Path(__file__).parents[1] / "gqa_reasoner" / "weights" / "detector"
FIGURES = ("accuracy", "binary", "open")
NEURAL = ("program", "guidance", "executed")
CONTEXT = ("triples", "queries")


@dataclass(frozen=True)
class Row:
    """What one row of the table is trained without."""

    title: str
    without: tuple[str, ...] = ()
    mixture: bool = True
    expansion: str = "triples"
    trained_as: str | None = None
    """A row whose training is the same: the mixture is fitted when the trunk is done."""


ROWS = {
    "full": Row("full model"),
    "guidance": Row("no program guidance", ("guidance",)),
    "edges": Row("no edge bias", ("edges",)),
    "context": Row("no context for the trunk", CONTEXT),
    "expansion": Row("no context at all, the executor goes without as well", expansion="none"),
    "executed": Row("executed answer not among the inputs", ("executed",)),
    "mixture": Row("no executor mixture", mixture=False, trained_as="full"),
    "execution": Row("neither of the two: no executed answer", ("executed",), mixture=False),
    "neural": Row("neural only (no program, guidance, executed answer)", NEURAL, mixture=False),
    "bare": Row("neural only, question and objects alone", (*NEURAL, *CONTEXT), mixture=False),
}
SYMBOLIC = "symbolic only (executed program, no training)"


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("train", "data", "store", "output", "config"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--scenes", type=Path, help="keeps TRAIN's detected scenes")
    parser.add_argument("--detector-weights", type=Path, default=DETECTOR)
    parser.add_argument("--minutes", type=float, default=1.0, help="processor time of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    return parser.parse_args(words)


def config_of(row: Row, arguments: argparse.Namespace) -> ReasonerTrainingConfig:
    config = read_config(arguments.config)
    model = replace(config.model, without=row.without, executor_mixture=row.mixture)
    return replace(config, minutes=arguments.minutes, expansion=row.expansion, model=model)


def train(row: Row, arguments: argparse.Namespace, folder: Path, seed: int) -> None:
    """One run, or what is left of it.

    Raises:
        InputError: the loss stopped being finite.
    """
    status = train_reasoner(
        config_of(row, arguments), data=arguments.train, output=folder, seed=seed, resume=True,
        detector_weights=arguments.detector_weights, scenes=arguments.scenes,
        cache=arguments.output / "cache" / row.expansion,
    )  # fmt: skip
    if status:
        raise InputError(f"{folder}: training stopped with status {status}")


def test_of(row: Row, arguments: argparse.Namespace) -> Shard:
    """The test questions with this row's context, encoded once."""
    path = arguments.output / f"test-{row.expansion}.npz"
    if not path.is_file():
        words = (arguments.output / "cache" / row.expansion / "vocabulary.json").read_text()
        vocabulary = ReasonerVocabulary.from_json(json.loads(words))
        asked, _ = test_questions(arguments.data)
        write_shard(path, encode(arguments.store, vocabulary, asked, expansion=row.expansion))
    return read_shard(path)


def figures_of(right: torch.Tensor, opened: torch.Tensor) -> dict[str, float]:
    parts = (right, right[~opened], right[opened])
    return {n: float(p.float().mean()) for n, p in zip(FIGURES, parts, strict=True)}


def measured(row: Row, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Figures of one finished run, kept beside it."""
    path = folder / "test.json"
    if not path.is_file():
        shard = test_of(row, arguments)
        _, structural = test_questions(arguments.data)
        opened = torch.tensor([structural[e.question_id] == "query" for e in shard.examples])
        sides = verdicts(ReasonerModel.from_pretrained(folder / "weights"), shard)
        record = {name: figures_of(right, opened) for name, right in sides.items()}
        steps = json.loads((folder / "summary.json").read_text())["steps"]
        path.write_text(json.dumps({"steps": steps, "questions": len(opened), **record}) + "\n")
    return json.loads(path.read_text())


def table_of(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = ["| row | seeds | steps | accuracy | binary | open |", "| --- " * 6 + "|"]

    def line(title: str, items: list[dict[str, Any]], side: str, steps: str, seeds: str) -> None:
        cells = [spread([item[side][name] for item in items]) for name in FIGURES]
        lines.append(f"| {title} | {seeds} | {steps} | {' | '.join(cells)} |")

    for name, items in found.items():
        steps = sorted(item["steps"] for item in items)
        side = ", neural side" if ROWS[name].trained_as else ""
        line(ROWS[name].title, items, side, f"{steps[0]}–{steps[-1]}", str(len(items)))
        if name == "full":
            line("— its neural side", items, ", neural side", "", "")
    for name in ("full", "expansion"):
        if name in found:
            title = SYMBOLIC + (", no context" if name == "expansion" else "")
            line(title, found[name][:1], ", executed program alone", "–", "–")
    return lines


def main(words: Sequence[str] | None = None) -> int:
    arguments = arguments_of(words)
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in arguments.seeds:
        for name in arguments.rows:
            row = ROWS[name]
            folder = arguments.output / f"{row.trained_as or name}-{seed}"
            if not (folder / "summary.json").is_file():
                train(ROWS[row.trained_as or name], arguments, folder, seed)
            found.setdefault(name, []).append(measured(row, arguments, folder))
            lines = table_of(found)
            (arguments.output / "table.md").write_text("\n".join(lines) + "\n")
            (arguments.output / "table.json").write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"bench_contribution: {error}")
