"""Two-stage search on a caption file: a dual encoder, then a one-stream model over its best.

    python benchmarks/vlp_retrieval.py --model DUAL --rerank MODEL --features CACHE \
        --captions ../shared/data/flickr8k/captions.jsonl

The shares of first stage, reader and hubness (see `bank`) in the final score are chosen per
direction on the last pictures of the training split, held out from both trainings. The figures are
also those of the dev split, unless --held-out-only leaves it alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from detectors.errors import InputError
from eval.retrieval import score_retrieval
from gqa_reasoner.vlp.checkpoint import load_model
from gqa_reasoner.vlp.data.feature_cache import FeatureCache
from gqa_reasoner.vlp.data.records import read_captions
from gqa_reasoner.vlp.retrieval.bank import QueryBank
from gqa_reasoner.vlp.retrieval.evaluation import (
    SecondStage,
    Shares,
    embed_records,
    first_stage,
    second_stage,
)
from gqa_reasoner.vlp.retrieval.rerank import load_reranker

KINDS = ("reader", "bank alone", "reader and bank")
HUBNESS = (0.0, 0.5, 1.0)
WEIGHTS = (0.0, 2.0, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 57.0, 80.0, 113.0, 160.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rerank", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--held-out", type=int, default=500)
    parser.add_argument("--held-out-only", action="store_true", help="leave dev alone")
    parser.add_argument("--exact", action="store_true", help="second stage in float32")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="second stage with one caption per picture only: a ninth of the work",
    )
    parser.add_argument("--languages", nargs="+", help="also by captions of these, such as de fr")
    parser.add_argument("--limit", type=int, help="only so many dev pictures, for a quick look")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, pieces = load_model(arguments.model)
    cache = FeatureCache.open(arguments.features, model.config.fingerprint)
    dev = read_captions(arguments.captions, split="dev")[: arguments.limit]
    start = time.perf_counter()
    similarity, owner, texts = first_stage(model, pieces, dev, cache)
    before = score_retrieval(similarity, owner)
    result: dict[str, Any] = {
        "pictures": len(dev),
        "captions": len(texts),
        "first_stage": before.to_json(),
        "first_stage_seconds": round(time.perf_counter() - start, 1),
    }
    if arguments.rerank:
        result |= reranked(arguments, model, pieces, cache, dev)
    for language in arguments.languages or []:
        result[f"first_stage_{language}"] = in_language(model, pieces, dev, cache, language)
    print(json.dumps(result, indent=1))


def reranked(arguments: Any, model: Any, pieces: Any, cache: Any, dev: Any) -> dict[str, Any]:
    """The second stage's figures; with --quick among as many pictures as captions."""
    reranker = load_reranker(arguments.rerank)
    train = read_captions(arguments.captions, split="train")
    named = {"held_out": train[-arguments.held_out :]}
    if not arguments.held_out_only:
        named["dev"] = dev
    bank = QueryBank.of_model(arguments.model)
    if bank is None:
        raise InputError(
            f"{arguments.model}: no bank of queries; make the model by vlp start again"
        )
    captions = 1 if arguments.quick else None
    result: dict[str, Any] = {"captions_per_picture": captions or "all"}
    chosen: dict[str, tuple[Shares, Shares]] = {}
    for name, records in named.items():
        start = time.perf_counter()
        found = embed_records(model, pieces, records, cache, captions=captions)
        with torch.autocast("cpu", torch.bfloat16, enabled=not arguments.exact):
            stage = second_stage(
                reranker,
                *(found.similarity, found.owner, records, found.lines, cache),
                candidates=arguments.candidates,
                progress=progress,
            )
        stage = replace(
            stage,
            image_hubness=bank.of_images(found.images),
            text_hubness=bank.of_texts(found.texts),
        )
        if not chosen:
            chosen = {kind: stage.best_shares(choices(kind)) for kind in KINDS}
        before = score_retrieval(stage.similarity, stage.owner)
        result[name] = {"first_stage": before.to_json(), **figures(stage, before, chosen)}
        result[name]["seconds"] = round(time.perf_counter() - start, 1)
    return result


def choices(kind: str) -> list[Shares]:
    """What is chosen from on the held-out pictures."""
    if kind == "bank alone":
        return [Shares(1.0, share, 0.0) for share in HUBNESS]
    shares = HUBNESS if kind == "reader and bank" else (0.0,)
    return [Shares(weight, share) for weight in WEIGHTS for share in shares]


def figures(stage: SecondStage, before: Any, chosen: Any) -> dict[str, Any]:
    """The scores of each kind of second stage, and by how much R@1 is better than before."""
    result = {}
    for kind in KINDS:
        after = stage.scores(*chosen[kind])
        gain = {
            way: round(100 * (getattr(after, way).r1 / getattr(before, way).r1 - 1), 1)
            for way in ("text_to_image", "image_to_text")
        }
        shares = [tuple(item) for item in chosen[kind]]
        result[kind] = {"shares": shares, "r1_gain_percent": gain, **after.to_json()}
    return result


def in_language(model: Any, pieces: Any, dev: Any, cache: Any, language: str) -> dict[str, Any]:
    """One translated line per picture; its word segment is that of English, as in training."""
    records = [
        replace(record, captions=record.translations[language][:1])
        for record in dev
        if record.translations.get(language)
    ]
    similarity, owner, texts = first_stage(model, pieces, records, cache)
    scores = score_retrieval(similarity, owner).to_json()
    unknown = [pieces.encode(text) for text in texts]
    share = sum(row.count(pieces.unknown) for row in unknown) / sum(map(len, unknown))
    return {"pictures": len(records), "unknown_share": round(share, 4), **scores}


def progress(starts: range) -> Any:
    from tqdm import tqdm

    return tqdm(starts, file=sys.stderr, disable=None, mininterval=5)


if __name__ == "__main__":
    main()
