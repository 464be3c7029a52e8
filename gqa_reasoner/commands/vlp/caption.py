"""`vlp caption IMAGES…`: says what is on pictures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gqa_reasoner.vlp.captioning.options import (
    add_consensus_arguments,
    add_decoding_arguments,
    decoding_settings,
    open_consensus,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "images", nargs="+", type=Path, help="pictures, folders, .zip or .tar archives"
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained captioner")
    parser.add_argument(
        "--tower", help="image tower, such as mobilenet:DIR (default: the model's own)"
    )
    parser.add_argument(
        "--boxes",
        type=Path,
        help='caption regions instead: JSON {"picture": [[left, top, right, bottom], …]}',
    )
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--json",
        action="store_true",
        help="with scores, per word too; with --consensus all captions, the chosen one first",
    )
    add_consensus_arguments(parser)
    parser.add_argument(
        "--features", type=Path, metavar="CACHE", help="features of the pictures of --consensus"
    )
    add_decoding_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Caption and print; 1 where pictures could not be read."""
    from tqdm import tqdm

    from detectors.errors import InputError
    from gqa_reasoner.vlp.captioning.captioner import Captioner
    from gqa_reasoner.vlp.captioning.pictures import CaptionRun, read_boxes

    settings = decoding_settings(arguments)
    if arguments.consensus is None and arguments.features is not None:
        raise InputError("vlp caption: --features serves --consensus, which is not given")
    if arguments.consensus is not None and arguments.boxes is not None:
        raise InputError("vlp caption: --consensus is about whole pictures, --boxes about parts")
    boxes = read_boxes(arguments.boxes) if arguments.boxes else None
    captioner = Captioner.from_pretrained(arguments.model, tower=arguments.tower)
    captions = CaptionRun(
        captioner,
        arguments.images,
        settings,
        boxes=boxes,
        batch_size=arguments.batch_size,
        consensus=open_consensus(arguments, captioner.model.config.fingerprint),
    )
    records = []
    for found in tqdm(captions, total=len(captions), unit="picture", disable=None):
        if arguments.json:
            records.append(found.to_json())
            continue
        name = found.name if found.box is None else f"{found.name} {list(found.box)}"
        said = found.captions if arguments.consensus is None else found.captions[:1]
        for one in said:
            score = f"\t{one.total:.2f}" if len(said) > 1 else ""
            print(f"{name}\t{one.text}{score}", flush=True)
    failures = captions.failures
    if arguments.json:
        listed = [{"image": name, "reason": reason} for name, reason in failures]
        print(json.dumps({"pictures": records, "failures": listed}, ensure_ascii=False))
    if failures:
        print(f"{len(failures)} of {len(captions)} pictures were skipped:", file=sys.stderr)
        for _, reason in failures:
            print(f"  {reason}", file=sys.stderr)
    return 1 if failures else 0
