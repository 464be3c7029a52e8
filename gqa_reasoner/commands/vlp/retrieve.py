"""`vlp retrieve`: make an index of pictures or captions, and search it by text or by picture."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gqa_reasoner.vlp.retrieval.build import BuildReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--index", type=Path, help="folder of the index")
    parser.add_argument("--model", type=Path, required=True, help="folder of a dual encoder")
    parser.add_argument("--tower", help="image tower, where it has moved, such as mobilenet:DIR")
    make = parser.add_argument_group("make or update an index")
    make.add_argument("--build", type=Path, metavar="SOURCE", help="folder, .zip or .tar")
    make.add_argument("--build-texts", type=Path, metavar="FILE", help="caption file")
    make.add_argument("--split", help="only captions of this split")
    ask = parser.add_argument_group("search")
    ask.add_argument("--text", action="append", default=[], help="a question; may be repeated")
    ask.add_argument("--image", action="append", default=[], type=Path, help="a picture; likewise")
    ask.add_argument("--language", help="of the texts, for a multilingual model")
    ask.add_argument("-k", "--top", type=int, default=10, metavar="K", help="results (10)")
    ask.add_argument("--rerank", type=Path, metavar="MODEL", help="one-stream model, second stage")
    ask.add_argument("--candidates", type=int, default=32, help="how many it rereads (32)")
    ask.add_argument("--first-stage-weight", type=float, metavar="W",
                     help="of the first stage's cosine beside the match score "
                     "(what a reader learned; 10)")  # fmt: skip
    ask.add_argument("--classify", metavar="NAMES", help="zero-shot: names, with commas between")
    parser.add_argument("--json", action="store_true", help="results as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Build or search; exit 1 when some pictures could not be read."""
    from detectors.errors import InputError
    from gqa_reasoner.vlp.retrieval.encoder import load_encoder

    builds = bool(arguments.build or arguments.build_texts)
    asks = bool(arguments.text or arguments.image)
    if not builds and not asks:
        raise InputError("vlp retrieve: expected --build, --build-texts, --text or --image")
    if arguments.index is None and not arguments.classify:
        raise InputError("vlp retrieve: --index: expected the folder of the index")
    if arguments.top < 1 or arguments.candidates < 1:
        raise InputError("vlp retrieve: -k and --candidates: expected 1 or more")
    images = bool(arguments.build or arguments.image or arguments.rerank)
    encoder = load_encoder(arguments.model, arguments.tower, images=images)
    status = 0
    output: dict[str, Any] = {}
    if builds:
        report = _build(arguments, encoder)
        output["build"] = vars(report)
        status = 1 if report.failures else 0
    if asks and arguments.classify:
        output["classes"] = _classify(arguments, encoder)
    elif asks:
        output["results"] = _search(arguments, encoder)
    if arguments.json:
        print(json.dumps(output, ensure_ascii=False))
    else:
        _print(output)
    return status


def _build(arguments: argparse.Namespace, encoder: Any) -> BuildReport:
    from gqa_reasoner.vlp.data.pictures import PictureSource
    from gqa_reasoner.vlp.data.records import read_captions
    from gqa_reasoner.vlp.retrieval.build import build_picture_index, build_text_index

    def progress(parts: Sequence[Any]) -> Iterator[Any]:
        from tqdm import tqdm

        return iter(tqdm(parts, unit="part", disable=None))

    if arguments.build:
        source = PictureSource.open(arguments.build)
        report = build_picture_index(source, arguments.index, encoder, progress=progress)
    else:
        records = read_captions(arguments.build_texts, split=arguments.split)
        report = build_text_index(
            records, arguments.index, encoder, language=arguments.language, progress=progress
        )
    print(
        f"{arguments.index}: {report.added} added, {report.removed} removed, "
        f"{report.unchanged} unchanged, {len(report.failures)} unreadable",
        file=sys.stderr,
    )
    for failure in report.failures[:20]:
        print(f"  {failure['reason']}", file=sys.stderr)
    return report


def _search(arguments: argparse.Namespace, encoder: Any) -> list[dict[str, Any]]:
    from detectors.images import load_image
    from gqa_reasoner.vlp.retrieval.bank import QueryBank
    from gqa_reasoner.vlp.retrieval.index import VectorIndex
    from gqa_reasoner.vlp.retrieval.two_stage import rerank_hits

    index = VectorIndex.open(arguments.index, encoder.fingerprint)
    pictures = [load_image(path) for path in arguments.image]
    vectors = [encoder.encode_texts(arguments.text, arguments.language)] if arguments.text else []
    vectors += [encoder.encode_images(pictures)] if pictures else []
    queries: list[Any] = [*arguments.text, *pictures]
    names = [*arguments.text, *map(str, arguments.image)]
    count = max(arguments.top, arguments.candidates) if arguments.rerank else arguments.top
    found = [hits for rows in vectors for hits in index.hits(rows, count)]
    if arguments.rerank:
        found = rerank_hits(
            index, queries, found, arguments.rerank, encoder.tower,
            candidates=arguments.candidates, weight=arguments.first_stage_weight,
            bank=QueryBank.of_model(arguments.model),
        )  # fmt: skip
    return [
        {
            "query": name,
            "hits": [
                {**hit.metadata, "score": round(hit.score, 4)} for hit in hits[: arguments.top]
            ],
        }
        for name, hits in zip(names, found, strict=True)
    ]


def _classify(arguments: argparse.Namespace, encoder: Any) -> list[dict[str, Any]]:
    from detectors.errors import InputError
    from detectors.images import load_image
    from gqa_reasoner.vlp.retrieval.zero_shot import class_vectors, classify

    if not arguments.image:
        raise InputError("vlp retrieve: --classify: expected --image")
    labels = [name.strip() for name in arguments.classify.split(",")]
    rows = encoder.encode_images([load_image(path) for path in arguments.image])
    scale = float(encoder.model.scale.detach())
    shares = classify(rows, class_vectors(encoder, labels), scale)
    return [
        {
            "image": str(path),
            "classes": [
                {"name": labels[place], "probability": round(float(row[place]), 4)}
                for place in row.argsort()[::-1]
            ],
        }
        for path, row in zip(arguments.image, shares, strict=True)
    ]


def _print(output: dict[str, Any]) -> None:
    for result in output.get("results", []):
        print(result["query"])
        for hit in result["hits"]:
            image = f"  ({hit['image']})" if "image" in hit else ""
            print(f"  {hit['score']:.4f}  {hit['name']}{image}")
    for result in output.get("classes", []):
        print(result["image"])
        for row in result["classes"]:
            print(f"  {row['probability']:.4f}  {row['name']}")
