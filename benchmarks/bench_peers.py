"""The reasoner beside its peers: one table over runs of `train --stage reasoner --model NAME`.

    python benchmarks/bench_peers.py --data DIR --scenes DIR --weights REFERENCE --test TEST.npz
        --runs RUN… [--json OUT]

Each RUN is the output folder of a training; runs of one model differ in their seed. All have the
vocabulary of REFERENCE (a reasoner's weights), so the test questions of DIR, about the stored
scenes, are parsed, executed and encoded once into TEST.npz. The reasoner's row is its mixture;
its own answer is cut to the vocabulary, as the peers' are. Open questions are GQA's structural
type `query`, binary ones all others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from detectors.errors import InputError
from gqa_reasoner.data.questions import Question, iterate_questions
from gqa_reasoner.model.peers.base import Peer
from gqa_reasoner.model.prepare_many import Preparer, Tools
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.training.encoded_store import Example, Shard, read_shard, write_shard
from gqa_reasoner.training.reasoner_measure import collect_outputs
from gqa_reasoner.training.scene_cache import read_scene_shard


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("data", "scenes", "weights", "test"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--runs", type=Path, nargs="*", default=())
    parser.add_argument("--images", type=int, help="the first N pictures only")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def encode(
    store: Path,
    vocabulary: ReasonerVocabulary,
    questions: Mapping[str, list[Question]],
    *,
    images: int | None = None,
    expansion: str = "triples",
) -> Shard:
    """All test questions about the stored scenes, as the models read them."""
    tools = Tools.default(expansion)
    scenes, examples = [], []
    for path in tqdm(sorted(store.glob("*.npz")), disable=None):
        for scene in read_scene_shard(path):
            asked = questions.get(scene.image_id, [])
            if not asked or (images and len(scenes) >= images):
                continue
            prepared = Preparer(vocabulary, tools, {scene.image_id: scene}).prepare(asked)
            scenes.append(prepared[0].scene)
            examples += [
                Example(item.question, len(scenes) - 1,
                        vocabulary.answer_ids.get(question.answer or "", -1), -1, question.id)
                for item, question in zip(prepared, asked, strict=True)
            ]  # fmt: skip
    return Shard(scenes, examples)


def loaded(run: Path) -> ReasonerModel | Peer:
    folder = run / "weights"
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; has this run finished?")
    if "peer" in json.loads(path.read_text()):
        return Peer.from_pretrained(folder)
    return ReasonerModel.from_pretrained(folder)


def verdicts(model: ReasonerModel | Peer, shard: Shard) -> dict[str, torch.Tensor]:
    """Which examples are answered rightly, by row of the table."""
    outputs = collect_outputs(model, shard, shard.examples)
    answer = outputs["answer"]
    right = {"": (outputs["logits"].argmax(-1) == answer) & (answer >= 0)}
    if isinstance(model, ReasonerModel):
        with torch.inference_mode():
            mixed = model.mixture(*(outputs[n] for n in ("logits", "executed", "share", "signals")))
        right = {
            "": (mixed.combined.argmax(-1) == answer) & (answer >= 0),
            ", neural side": right[""],
            ", executed program alone": (outputs["executed"][:, 0] == answer) & (answer >= 0),
        }
    return right


def test_questions(data: Path) -> tuple[dict[str, list[Question]], dict[str, str]]:
    """The questions by picture, and their structural types by question id."""
    by_image: dict[str, list[Question]] = defaultdict(list)
    structural: dict[str, str] = {}
    for question in iterate_questions(data / "questions.json"):
        by_image[question.image_id].append(question)
        structural[question.id] = str((question.types or {}).get("structural"))
    return by_image, structural


def main(words: Sequence[str] | None = None) -> int:
    arguments = arguments_of(words)
    torch.set_num_threads(1)
    by_image, structural = test_questions(arguments.data)
    if not arguments.test.is_file():
        vocabulary = ReasonerModel.from_pretrained(arguments.weights).vocabulary
        write_shard(
            arguments.test,
            encode(arguments.scenes, vocabulary, by_image, images=arguments.images),
        )
    shard = read_shard(arguments.test)
    opened = torch.tensor([structural[e.question_id] == "query" for e in shard.examples])
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in arguments.runs:
        model = loaded(run)
        name = model.name if isinstance(model, Peer) else "reasoner"
        summary = json.loads((run / "summary.json").read_text())
        for part, right in verdicts(model, shard).items():
            rows[name + part].append({
                "run": str(run), "steps": summary["steps"],
                "parameters": sum(p.numel() for p in model.parameters()),
                "accuracy": float(right.float().mean()),
                "binary": float(right[~opened].float().mean()),
                "open": float(right[opened].float().mean()),
            })  # fmt: skip
    print(f"{len(shard.examples)} questions\n")
    print("| model | parameters | steps | seeds | accuracy | binary | open |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, items in rows.items():
        cells = [spread([item[key] for item in items]) for key in ("accuracy", "binary", "open")]
        steps = "–".join(str(n) for n in sorted({min(i["steps"] for i in items),
                                                 max(i["steps"] for i in items)}))  # fmt: skip
        print(f"| {name} | {items[0]['parameters']:,} | {steps} | {len(items)} | "
              f"{' | '.join(cells)} |")  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def spread(values: list[float]) -> str:
    """The mean, with the standard deviation over seeds where there are several."""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"bench_peers: {error}")
