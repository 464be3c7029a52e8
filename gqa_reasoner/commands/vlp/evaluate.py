"""`vlp evaluate --task retrieval|caption`: a model's figures on a caption file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gqa_reasoner.commands.picture_option import picture_file
from gqa_reasoner.vlp.captioning.options import (
    add_consensus_arguments,
    add_decoding_arguments,
    decoding_settings,
    open_consensus,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--task", choices=("retrieval", "caption"), required=True)
    parser.add_argument("--captions", type=Path, required=True, help="caption file")
    parser.add_argument("--split", help="only records of this split")
    parser.add_argument("--model", type=Path, help="folder of a trained model")
    parser.add_argument("--images", type=Path, help="pictures: folder, .zip or .tar")
    parser.add_argument("--features", type=Path, help="feature cache instead of pictures")
    parser.add_argument("--tower", help="image tower, such as mobilenet:DIR")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    retrieval = parser.add_argument_group("retrieval")
    retrieval.add_argument("--language", default="en", help="of the captions (default: en)")
    retrieval.add_argument("--folds", type=int, help="mean over folds, as in COCO 1K")
    caption = parser.add_argument_group("caption")
    caption.add_argument(
        "--predictions", type=Path, help="score these captions (JSON) instead of a model's"
    )
    caption.add_argument("--write", type=Path, metavar="FILE", help="keep the captions as JSON")
    caption.add_argument(
        "--sheet", type=picture_file, metavar="PNG", help="show captions beside their --images"
    )
    caption.add_argument("--sheet-count", type=int, default=20, help="of pictures (default: 20)")
    caption.add_argument(
        "--tokenizer",
        choices=("auto", "ptb", "plain", "none"),
        default="auto",
        help="auto: PTB where Java is installed",
    )
    add_consensus_arguments(parser)
    add_decoding_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    from detectors.errors import InputError
    from gqa_reasoner.vlp.data.records import read_captions

    if arguments.batch_size < 1:
        raise InputError(f"evaluate: batch size: expected at least 1, got {arguments.batch_size}")
    records = read_captions(arguments.captions, split=arguments.split)
    scored = arguments.task == "caption" and arguments.predictions is not None
    if not scored and arguments.model is None:
        raise InputError("evaluate: expected --model DIR")
    if arguments.task == "retrieval":
        return _retrieval(arguments, records)
    return _caption(arguments, records)


def _caption(arguments: argparse.Namespace, records: Any) -> int:
    from eval.captioning import read_captions as read_predictions
    from eval.captioning import score_captions
    from gqa_reasoner.vlp.captioning.evaluation import references

    if arguments.predictions is not None:
        known = {record.image: record.image_id for record in records}
        found = read_predictions(arguments.predictions)
        said = {known.get(name, name): captions[0] for name, captions in found.items()}
    else:
        said = _write_captions(arguments, records)
    if arguments.write is not None:
        text = json.dumps([{"image_id": k, "caption": v} for k, v in said.items()])
        arguments.write.write_text(text + "\n", encoding="utf-8")
    if arguments.sheet is not None:
        _draw_sheet(arguments, records, said)
    metrics = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
    scores = score_captions(
        said, references(records), tokenizer=arguments.tokenizer, metrics=metrics
    )
    lengths = [len(caption.split()) for caption in said.values()]
    mean = sum(lengths) / len(lengths)
    if arguments.json:
        print(json.dumps({**scores.to_json(), "words_per_caption": mean}))
        return 0
    print(f"{len(scores.ids)} pictures, {mean:.1f} words per caption; {scores.tokenization}")
    for name, figure in scores.figures.items():
        shown = f"{figure.value:.4f}" if figure.value is not None else f"- ({figure.reason})"
        print(f"  {name:8} {shown}")
    return 0


def _draw_sheet(arguments: argparse.Namespace, records: Any, said: dict[str, str]) -> None:
    """Pictures at even steps through the captions, with what people wrote."""
    from detectors.errors import InputError
    from gqa_reasoner.vlp.captioning.sheet import SheetItem, contact_sheet
    from gqa_reasoner.vlp.data.pictures import PictureSource

    if arguments.images is None or arguments.sheet_count < 1:
        raise InputError("evaluate: a sheet needs --images and a --sheet-count of at least 1")
    source = PictureSource.open(arguments.images)
    step = max(1, len(records) // arguments.sheet_count)
    items = [
        SheetItem(
            source.read(record.image), said[record.image_id], record.captions[:3], record.image_id
        )
        for record in records[::step][: arguments.sheet_count]
    ]
    contact_sheet(items).save(arguments.sheet)


def _write_captions(arguments: argparse.Namespace, records: Any) -> dict[str, str]:
    from tqdm import tqdm

    from gqa_reasoner.vlp.captioning.captioner import Captioner
    from gqa_reasoner.vlp.captioning.evaluation import PictureFeatures, caption_records

    settings = decoding_settings(arguments)
    sheet_only = arguments.sheet is not None and arguments.features is not None
    features_only = arguments.images is None or arguments.features is not None
    captioner = Captioner.from_pretrained(
        arguments.model, tower=arguments.tower, features_only=features_only
    )
    features = PictureFeatures(
        records,
        captioner.model.config.fingerprint,
        cache=arguments.features,
        images=None if sheet_only else arguments.images,
        tower=lambda: captioner.tower,  # type: ignore[arg-type,return-value]
    )
    return caption_records(
        captioner,
        records,
        features,
        settings,
        batch_size=arguments.batch_size,
        consensus=open_consensus(
            arguments,
            captioner.model.config.fingerprint,
            {record.image_id for record in records},
        ),
        progress=lambda starts: tqdm(starts, unit="batch", disable=None),
    )


def _retrieval(arguments: argparse.Namespace, records: Any) -> int:
    from tqdm import tqdm

    from eval.retrieval import five_fold, score_retrieval
    from gqa_reasoner.vlp.captioning.evaluation import PictureFeatures, embed_records
    from gqa_reasoner.vlp.checkpoint import check_tower, load_model
    from gqa_reasoner.vlp.tower import open_tower

    model, pieces = load_model(arguments.model)
    config = model.config

    def tower() -> Any:
        opened = open_tower(arguments.tower or config.tower)
        check_tower(config, opened.fingerprint, arguments.tower or config.tower)
        return opened

    features = PictureFeatures(
        records,
        config.fingerprint,
        cache=arguments.features,
        images=arguments.images,
        tower=tower,
    )
    found = embed_records(
        model,
        pieces,
        records,
        features,
        language=arguments.language,
        batch_size=arguments.batch_size,
        progress=lambda starts: tqdm(starts, unit="batch", disable=None),
    )
    similarity = found["images"] @ found["texts"].T
    owner = found["image_of_text"]
    if arguments.folds:
        scores = five_fold(similarity, owner, arguments.folds)
    else:
        scores = score_retrieval(similarity, owner)
    if arguments.json:
        print(json.dumps(scores.to_json()))
        return 0
    print(f"{len(found['images'])} pictures, {len(owner)} captions ({scores.protocol})")
    for name, side in (
        ("image→text", scores.image_to_text),
        ("text→image", scores.text_to_image),
    ):
        print(
            f"  {name}  R@1 {side.r1:5.1f}  R@5 {side.r5:5.1f}  R@10 {side.r10:5.1f}  "
            f"median rank {side.median_rank:g}  mean rank {side.mean_rank:.1f}"
        )
    print(f"  mR {scores.mean_recall:.2f}  rsum {scores.rsum:.1f}")
    return 0
