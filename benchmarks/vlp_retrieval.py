"""Two-stage search on a caption file: a dual encoder, then a one-stream model over its best.

    python benchmarks/vlp_retrieval.py --model DUAL --rerank MODEL --features CACHE \
        --captions ../shared/data/flickr8k/captions.jsonl

The first stage's share in the final score is chosen on the last pictures of the training split
(held out from both trainings), one caption each; the figures are those of the dev split.
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

from eval.retrieval import score_retrieval
from gqa_reasoner.vlp.checkpoint import load_model
from gqa_reasoner.vlp.data.feature_cache import FeatureCache
from gqa_reasoner.vlp.data.records import read_captions
from gqa_reasoner.vlp.retrieval.evaluation import first_stage, second_stage
from gqa_reasoner.vlp.retrieval.rerank import load_reranker

WEIGHTS = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rerank", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--held-out", type=int, default=500)
    parser.add_argument("--weight", type=float, help="with --quick: do not choose it")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="second stage with one caption per picture only, in bfloat16: a ninth of the work",
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
    if arguments.rerank and arguments.quick:
        result |= quick(arguments, model, pieces, cache, dev)
    elif arguments.rerank:
        reranker = load_reranker(arguments.rerank)
        held = read_captions(arguments.captions, split="train")[-arguments.held_out :]
        stages = []
        for records, captions in ((held, 1), (dev, None)):
            scored = first_stage(model, pieces, records, cache, captions=captions)
            start = time.perf_counter()
            stages.append(
                second_stage(
                    reranker,
                    scored[0],
                    scored[1],
                    records,
                    scored[2],
                    cache,
                    candidates=arguments.candidates,
                    progress=progress,
                )
            )
        weight = stages[0].best_weight(WEIGHTS)
        after = stages[1].scores(weight)
        result |= {
            "first_stage_weight": weight,
            "second_stage": after.to_json(),
            "second_stage_seconds": round(time.perf_counter() - start, 1),
            "second_stage_alone": stages[1].scores(0.0).to_json(),
            "r1_gain_percent": {
                name: round(100 * (getattr(after, name).r1 / getattr(before, name).r1 - 1), 1)
                for name in ("text_to_image", "image_to_text")
            },
        }
    for language in arguments.languages or []:
        result[f"first_stage_{language}"] = in_language(model, pieces, dev, cache, language)
    print(json.dumps(result, indent=1))


def quick(arguments: Any, model: Any, pieces: Any, cache: Any, dev: Any) -> dict[str, Any]:
    """Both directions among as many pictures as captions (the first of each picture)."""
    reranker = load_reranker(arguments.rerank)
    held = read_captions(arguments.captions, split="train")[-arguments.held_out :]
    stages, start = [], time.perf_counter()
    for records in (held, dev) if arguments.weight is None else (dev,):
        scored = first_stage(model, pieces, records, cache, captions=1)
        with torch.autocast("cpu", torch.bfloat16):
            stages.append(
                second_stage(
                    reranker,
                    *(scored[0], scored[1], records, scored[2], cache),
                    candidates=arguments.candidates,
                    progress=progress,
                )
            )
    weight = arguments.weight
    if weight is None:
        weight = stages[0].best_weight(WEIGHTS)
    before, after = (
        score_retrieval(stages[-1].similarity, stages[-1].owner),
        stages[-1].scores(weight),
    )
    alone = stages[-1].scores(0.0)
    names = ("text_to_image", "image_to_text")
    return {
        "quick": "one caption per picture",
        "first_stage_quick": before.to_json(),
        "first_stage_weight": weight,
        "second_stage": after.to_json(),
        "second_stage_alone": alone.to_json(),
        "second_stage_seconds": round(time.perf_counter() - start, 1),
        "r1_gain_percent": {
            name: round(100 * (getattr(after, name).r1 / getattr(before, name).r1 - 1), 1)
            for name in names
        },
    }


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
