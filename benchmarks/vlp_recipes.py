"""All ten recipes at equal budget on Flickr8k: pre-train, fine-tune, rank; or print the table.

    python benchmarks/vlp_recipes.py run vilt --features CACHE --captions FILE --work DIR
    python benchmarks/vlp_recipes.py table --work DIR

The budget is processor time of one thread: `--pretrain-seconds` with the recipe's own losses, then
`--finetune-seconds` for search (captions for xgpt). Steps follow from the measured time of a
step, so that the learning rate ends at its end. All but xgpt start from the closed form over the
first `--fit` pictures and are fine-tuned on the others. Ranked are pools of 100 pictures with one
caption each, since one- and two-stream models must read every pair; dual encoders also rank the
whole split.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval.retrieval import score_retrieval
from eval.significance import paired_bootstrap
from gqa_reasoner.vlp.assemble import Sources, assemble
from gqa_reasoner.vlp.checkpoint import load_model, save_model
from gqa_reasoner.vlp.closed_form import start_in_closed_form
from gqa_reasoner.vlp.data.feature_cache import FeatureCache
from gqa_reasoner.vlp.data.records import read_captions, write_captions
from gqa_reasoner.vlp.recipe import load_recipe
from gqa_reasoner.vlp.training import Trainer
from gqa_reasoner.vlp.training_config import TrainingConfig

POOL = 100
RIDGE = 2.0
"""Chosen on held-out training pictures (docs/results/vlp_retrieval.md)."""
MINUS = "mR minus that of --against (95 %)"


def write_start(recipe: Any, sources: Sources, config: TrainingConfig, fit: int) -> float:
    """Save the closed form over the first `fit` pictures; returns its processor time."""
    made = assemble(sources, recipe, config)
    started = time.process_time()
    corpus = made.corpus
    start_in_closed_form(
        made.model, corpus.pieces, corpus.records[:fit], corpus.features, ridge=RIDGE
    )
    seconds = time.process_time() - started
    save_model(sources.output / "model", made.model, corpus.pieces)
    return round(seconds, 1)


def train(recipe: Any, sources: Sources, config: TrainingConfig, seconds: float) -> dict[str, Any]:
    """Measure a step, then train for `seconds` of processor time."""
    first = assemble(sources, recipe, config)
    start = {name: value.clone() for name, value in first.model.state_dict().items()}
    first.train_step()
    started = time.process_time()
    for _ in range(5):
        first.train_step()
    step = (time.process_time() - started) / 5
    steps = max(int(seconds / step), 10)
    config = replace(config, steps=steps, warmup_steps=max(steps // 10, 1))
    first.model.load_state_dict(start)
    trainer = Trainer(
        config, recipe, first.model, first.corpus, sources.output, classes=first.objective.classes
    )
    started = time.process_time()
    trainer.run()
    return {"steps": steps, "seconds": round(time.process_time() - started, 1)}


@torch.inference_mode()
def pool_scores(model: Any, pieces: Any, cache: Any, records: list[Any]) -> np.ndarray:
    """(pictures, texts) scores of one pool; the first caption of every picture."""
    ids, mask = pieces.batch([r.captions[0] for r in records], model.config.sizes.text_length)
    features = cache.rows([record.image for record in records])
    if model.config.plan == "dual":
        texts, images = model.encode_text(ids, mask), model.encode_images(features)
        return (images @ texts.T).numpy()
    text, vision = model.embed_text(ids), model.embed_images(features).tokens
    rows = []
    for place in range(len(records)):
        with torch.autocast("cpu", torch.bfloat16):
            count = len(records)
            length = int(mask[place].sum())
            one = text[place : place + 1, :length].expand(count, -1, -1)
            rows.append(model.match_tokens(one, mask[place : place + 1, :length].expand(
                count, -1), vision).float())  # fmt: skip
    return torch.stack(rows, dim=1).numpy()


@torch.inference_mode()
def full_scores(model: Any, pieces: Any, cache: Any, records: list[Any]) -> Any:
    """A dual encoder's figures over the whole split with all captions."""
    images, texts, owner = [], [], []
    for start in range(0, len(records), 100):
        part = records[start : start + 100]
        images.append(model.encode_images(cache.rows([record.image for record in part])))
        lines = [text for record in part for text in record.captions]
        owner += [start + n for n, record in enumerate(part) for _ in record.captions]
        ids, mask = pieces.batch(lines, model.config.sizes.text_length)
        texts.append(model.encode_text(ids, mask))
    return score_retrieval((torch.cat(images) @ torch.cat(texts).T).numpy(), np.array(owner))


def recalls(scores: Any) -> dict[str, float]:
    """R@1/5/10 both ways, in percent."""
    both = (("t2i", scores.text_to_image), ("i2t", scores.image_to_text))
    return {f"{name}_r{k}": getattr(way, f"r{k}") for name, way in both for k in (1, 5, 10)}


def pool_ranks(scores: np.ndarray) -> np.ndarray:
    """(N, 2) ranks from 1, text to image and image to text, of a square pool; ties against us."""
    right = scores.diagonal()
    own = np.eye(len(scores), dtype=bool)
    by_text = 1 + ((scores >= right[None]) & ~own).sum(axis=0)
    by_image = 1 + ((scores >= right[:, None]) & ~own).sum(axis=1)
    return np.stack([by_text, by_image], axis=1)


def hits(ranks: np.ndarray) -> np.ndarray:
    """(N,) mean of the six recalls at each picture, in percent."""
    return 100 * (ranks[:, :, None] <= np.array([1, 5, 10])).mean(axis=(1, 2))


def caption_scores(model: Any, pieces: Any, cache: Any, records: list[Any]) -> dict[str, float]:
    """BLEU-4 and CIDEr of beam 3."""
    from eval.captioning import score_captions
    from gqa_reasoner.vlp.captioning.captioner import Captioner, CaptionSettings

    captioner = Captioner(model, pieces)
    said = {}
    for start in range(0, len(records), 50):
        part = records[start : start + 50]
        features = cache.rows([record.image for record in part])
        found = captioner.caption_features(features, CaptionSettings(beams=3, length_penalty=0.7))
        said |= {record.image_id: one[0].text for record, one in zip(part, found, strict=True)}
    truth = {record.image_id: list(record.captions) for record in records}
    scores = score_captions(said, truth, tokenizer="plain", metrics=("BLEU-4", "CIDEr"))
    values = scores.to_json() if hasattr(scores, "to_json") else vars(scores)
    return json.loads(json.dumps(values, default=str))


def evaluate(arguments: Any, folder: Path) -> dict[str, Any]:
    """Rank the dev split."""
    model, pieces = load_model(folder)
    cache = FeatureCache.open(arguments.features)
    records = read_captions(arguments.captions, split="dev")
    result: dict[str, Any] = {}
    if model.config.plan == "encoder_decoder":
        return {"captions": caption_scores(model, pieces, cache, records)}
    if model.config.plan == "dual":
        result["full"] = recalls(full_scores(model, pieces, cache, records))
    order = np.random.default_rng(1).permutation(len(records))
    ranks = []
    for number in range(arguments.pools):
        chosen = [records[i] for i in order[number * POOL : (number + 1) * POOL]]
        ranks.append(pool_ranks(pool_scores(model, pieces, cache, chosen)))
    result["ranks"] = np.concatenate(ranks).tolist()
    return result


def run(arguments: argparse.Namespace) -> None:
    """One system."""
    torch.set_num_threads(1)
    recipe = load_recipe(arguments.recipe)
    name = arguments.name or recipe.name
    work = arguments.work / name
    work.mkdir(parents=True, exist_ok=True)
    sources = Sources(
        captions=arguments.captions, split="train", features=arguments.features,
        pieces=arguments.pieces, output=work / "start", scenes=arguments.scenes,
        lexicons=arguments.lexicons,
    )  # fmt: skip
    sizes = {
        "width": arguments.width,
        "hidden": 2 * arguments.width,
        "heads": arguments.width // 64,
        "layers": arguments.layers,
    }
    captioner, dual = recipe.plan == "encoder_decoder", recipe.plan == "dual"
    if dual:
        sizes["vision_layers"] = 0
    config = TrainingConfig(
        batch_size=arguments.batch_size, learning_rate=arguments.learning_rate, sizes=sizes,
        log_every=50, checkpoint_every=100_000, dropout=arguments.dropout,
        start_share=1.0 if captioner else arguments.start_share,
    )  # fmt: skip
    result: dict[str, Any] = {"recipe": recipe.name, "name": name, "width": arguments.width}
    folder = None
    if not captioner:
        result["closed_form_seconds"] = write_start(recipe, sources, config, arguments.fit)
        folder = work / "start" / "model"
    if arguments.pretrain_seconds > 0:
        own = replace(sources, start=folder, output=work / "pretrain")
        result["pretrain"] = train(recipe, own, config, arguments.pretrain_seconds)
        folder = work / "pretrain" / "model"
    if arguments.finetune_seconds > 0:
        config = replace(
            config, objective="captioning" if captioner else "retrieval", negatives=0,
            batch_size=arguments.batch_size if dual else arguments.finetune_batch_size,
            captions_per_image=arguments.captions_per_image if captioner else 1,
        )  # fmt: skip
        tuned = replace(sources, start=folder, output=work / "finetune")
        if not captioner:
            # The closed form ranks what it has seen nearly perfectly: nothing is left to learn.
            records = read_captions(arguments.captions, split="train")
            write_captions(work / "unseen.jsonl", records[arguments.fit :])
            tuned = replace(tuned, captions=work / "unseen.jsonl")
        result["finetune"] = train(recipe, tuned, config, arguments.finetune_seconds)
        folder = work / "finetune" / "model"
    started = time.process_time()
    result |= evaluate(arguments, folder)
    result["evaluation_seconds"] = round(time.process_time() - started, 1)
    (work / "result.json").write_text(json.dumps(result) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "ranks"}))


def table(arguments: argparse.Namespace) -> None:
    """The results as markdown, with paired bootstrap intervals against `--against`."""
    found = [json.loads(path.read_text()) for path in sorted(arguments.work.glob("*/result.json"))]
    ranked = {item["name"]: np.array(item["ranks"]) for item in found if "ranks" in item}
    base = ranked.get(arguments.against)
    print(f"| run | t→i R@1 | R@5 | R@10 | i→t R@1 | R@5 | R@10 | mR | {MINUS} | steps |")
    print("| --- " * 10 + "|")
    lines = []
    for item in found:
        parts = [str(item[key]["steps"]) for key in ("pretrain", "finetune") if key in item]
        steps = " + ".join(parts)
        if item["name"] in ranked:
            ranks = ranked[item["name"]]
            cells = [
                f"{100 * (ranks[:, way] <= k).mean():.1f}" for way in (0, 1) for k in (1, 5, 10)
            ]
            difference = ""
            if base is not None and item["name"] != arguments.against:
                between = paired_bootstrap(hits(ranks), hits(base))
                difference = f"{between.mean:+.1f} ({between.low:+.1f} to {between.high:+.1f})"
            shown = " | ".join([*cells, f"{hits(ranks).mean():.1f}", difference, steps])
            print(f"| {item['name']} | {shown} |")
        if "full" in item:
            values = " ".join(f"{key} {value:.1f}" for key, value in item["full"].items())
            lines.append(f"{item['name']}, all 1,000 pictures: {values}")
        if "captions" in item:
            scores = item["captions"]
            lines.append(
                f"{item['name']}: BLEU-4 {scores['BLEU-4']:.3f}, CIDEr {scores['CIDEr']:.3f} "
                f"({steps} steps)"
            )
    print("\n".join(["", *lines]))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    one = actions.add_parser("run")
    one.add_argument("recipe")
    one.add_argument("--name")
    one.add_argument("--features", type=Path, required=True)
    one.add_argument("--captions", type=Path, required=True)
    one.add_argument("--work", type=Path, required=True)
    one.add_argument("--pieces", type=Path)
    one.add_argument("--scenes", type=Path)
    one.add_argument("--lexicons", type=Path)
    one.add_argument("--pretrain-seconds", type=float, default=150)
    one.add_argument("--finetune-seconds", type=float, default=150)
    one.add_argument("--layers", type=int, default=1)
    one.add_argument("--fit", type=int, default=4000, help="pictures of the closed form")
    one.add_argument("--width", type=int, default=256)
    one.add_argument("--batch-size", type=int, default=64)
    one.add_argument("--finetune-batch-size", type=int, default=13)
    one.add_argument("--captions-per-image", type=int, default=5, help="of xgpt's fine-tuning")
    one.add_argument("--learning-rate", type=float, default=3e-4)
    one.add_argument("--dropout", type=float, default=0.1)
    one.add_argument("--pools", type=int, default=5)
    one.add_argument("--start-share", type=float, default=0.1, help="see TrainingConfig")
    other = actions.add_parser("table")
    other.add_argument("--work", type=Path, required=True)
    other.add_argument("--against", default="none", help="the run that others are compared with")
    arguments = parser.parse_args()
    run(arguments) if arguments.action == "run" else table(arguments)


if __name__ == "__main__":
    main()
