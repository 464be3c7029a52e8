"""`vlp caption IMAGES…`: says what is on pictures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gqa_reasoner.vlp.captioning.options import add_decoding_arguments, decoding_settings


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
    parser.add_argument("--json", action="store_true", help="with scores, per word too")
    add_decoding_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Caption and print; 1 where pictures could not be read."""
    from tqdm import tqdm

    from gqa_reasoner.vlp.captioning.captioner import Captioner
    from gqa_reasoner.vlp.captioning.pictures import CaptionRun, read_boxes

    settings = decoding_settings(arguments)
    boxes = read_boxes(arguments.boxes) if arguments.boxes else None
    captioner = Captioner.from_pretrained(arguments.model, tower=arguments.tower)
    captions = CaptionRun(
        captioner, arguments.images, settings, boxes=boxes, batch_size=arguments.batch_size
    )
    records = []
    for found in tqdm(captions, total=len(captions), unit="picture", disable=None):
        if arguments.json:
            records.append(found.to_json())
            continue
        name = found.name if found.box is None else f"{found.name} {list(found.box)}"
        for one in found.captions:
            score = f"\t{one.total:.2f}" if len(found.captions) > 1 else ""
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
