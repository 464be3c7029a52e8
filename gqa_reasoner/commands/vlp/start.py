"""`vlp start`: a dual encoder or reranker from the closed-form solution, seconds of work."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.records import CaptionRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--recipe", default="clip", help="name or YAML file (clip)")
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", help="only records of this split")
    parser.add_argument("--features", type=Path, required=True, metavar="CACHE")
    parser.add_argument("--config", type=Path, metavar="YAML",
                        help="training configuration: sizes, vocabulary, held_out")  # fmt: skip
    parser.add_argument("--pieces", type=Path, help="word pieces (default: learned)")
    parser.add_argument("--like", type=Path, metavar="MODEL", help="take its word pieces")
    parser.add_argument("--ridge", type=float, default=1.0)
    parser.add_argument("--lexicons", type=Path, help="code-switch: a switched copy per caption")
    parser.add_argument("--switch-rate", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Solve, write the model."""
    import torch

    from detectors.errors import InputError
    from gqa_reasoner.vlp.checkpoint import save_model
    from gqa_reasoner.vlp.closed_form import start_in_closed_form
    from gqa_reasoner.vlp.config import ModelConfig
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import read_captions
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.recipe import load_recipe
    from gqa_reasoner.vlp.retrieval.bank import QueryBank
    from gqa_reasoner.vlp.text import WordPieces
    from gqa_reasoner.vlp.training_config import read_training_config

    if arguments.ridge <= 0:
        raise InputError(f"--ridge {arguments.ridge}: expected more than 0")
    began = time.perf_counter()
    config = read_training_config(arguments.config)
    records = read_captions(arguments.captions, split=arguments.split)
    records = records[: len(records) - config.held_out]
    cache = FeatureCache.open(arguments.features)
    absent = [record.image for record in records if record.image not in cache]
    if absent:
        raise InputError(f"{arguments.features}: {len(absent)} pictures missing: {absent[:3]}")
    texts = _texts(arguments, records)
    place = arguments.like / "pieces.json" if arguments.like else arguments.pieces
    if place:
        pieces = WordPieces.load(place)
    else:
        pieces = WordPieces.train((line for lines in texts for line in lines), config.vocabulary)
    torch.manual_seed(arguments.seed)
    tower = _Facts(cache)
    model = VisionLanguageModel(
        ModelConfig.from_recipe(
            load_recipe(arguments.recipe),
            vocabulary=len(pieces),
            tower=tower,
            classes=1,
            **config.size_changes(),
        )
    )
    found = start_in_closed_form(model, pieces, records, cache, texts=texts, ridge=arguments.ridge)
    save_model(arguments.output, model.eval(), pieces)
    if model.config.plan == "dual" and len(records) > 1:
        QueryBank.embed(model, pieces, records, cache).save(arguments.output)
    values = ", ".join(f"{value:.3f}" for value in found.correlations[:4])
    print(
        f"{arguments.output}: {len(records)} pictures, correlations {values}, …; "
        f"{time.perf_counter() - began:.1f} s",
        file=sys.stderr,
    )
    return 0


def _texts(arguments: argparse.Namespace, records: Sequence[CaptionRecord]) -> list[list[str]]:
    """Every record's captions, with lexicons a switched copy of each too."""
    import torch

    texts = [list(record.captions) for record in records]
    if arguments.lexicons:
        from gqa_reasoner.vlp.corpus import code_switch
        from gqa_reasoner.vlp.data.lexicon import read_lexicons
        from gqa_reasoner.vlp.text import basic_words

        lexicons = read_lexicons(arguments.lexicons)
        generator = torch.Generator().manual_seed(arguments.seed)
        for lines in texts:
            for line in list(lines):
                words = basic_words(line)
                switched = code_switch(words, lexicons, arguments.switch_rate, generator)
                lines.append(" ".join(switched))
    return texts


class _Facts:
    """What a feature cache knows of its tower."""

    def __init__(self, cache: object) -> None:
        self.name = cache.tower  # type: ignore[attr-defined]
        self.fingerprint = cache.fingerprint  # type: ignore[attr-defined]
        self.width = cache.width  # type: ignore[attr-defined]
        self.grid = cache.grid  # type: ignore[attr-defined]
        self.image_size = 224
