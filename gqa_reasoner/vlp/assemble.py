"""From files to a run: features, word pieces, scenes, lexicons, classes, guide, model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from detectors.errors import InputError
from detectors.scene import Scene, SceneObject
from gqa_reasoner.vlp.checkpoint import check_tower, load_model, read_config
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.corpus import CaptionCorpus, CorpusSettings
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.objectives import Guide
from gqa_reasoner.vlp.published import (
    open_published,
    published_pieces,
    published_sizes,
    take_published,
)
from gqa_reasoner.vlp.recipe import Recipe
from gqa_reasoner.vlp.targets import CellClasses
from gqa_reasoner.vlp.training import Trainer
from gqa_reasoner.vlp.training_config import TrainingConfig

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import CaptionRecord
    from gqa_reasoner.vlp.text import WordPieces

__all__ = [
    "Sources",
    "assemble",
    "encode_guide",
    "open_features",
    "read_lexicons",
    "read_scenes",
    "warm_start",
]

CLASSES = 256
"""k-means classes of cells, under a tower without a classifier of its own."""


@dataclass(frozen=True)
class Sources:
    """The files of a run."""

    captions: Path
    output: Path
    split: str | None = None
    images: Path | None = None
    tower: str | None = None
    features: Path | None = None
    """A feature cache; without it one is built in the output folder."""
    pieces: Path | None = None
    scenes: Path | None = None
    lexicons: Path | None = None
    start: Path | None = None
    """A model of the same recipe and tower to go on from."""
    warm: Path | None = None
    """Any model of the family whose fitting weights are taken over."""
    guide: Path | None = None
    published: Path | None = None
    """A `transformers` checkpoint whose words and layers the recipe starts from."""


def read_scenes(path: Path) -> dict[str, Scene]:
    """Scenes that `detect --json` printed, as one list or as JSON lines, by image id.

    Raises:
        InputError: no such file, not JSON, or a record without its fields.
    """
    if not path.is_file():
        raise InputError(f"{path}: scenes: no such file")
    text = path.read_text(encoding="utf-8")
    try:
        lines = [line for line in text.splitlines() if line.strip()]
        records = json.loads(text) if text.lstrip()[:1] == "[" else [json.loads(x) for x in lines]
    except ValueError as error:
        raise InputError(f"{path}: scenes: not JSON ({error})") from None
    scenes = {}
    for number, record in enumerate(records):
        try:
            objects = [
                SceneObject(str(place), item["name"], float(item["score"]), tuple(item["box"]))
                for place, item in enumerate(record["objects"])
            ]
            scenes[str(record["image_id"])] = Scene(
                image_id=str(record["image_id"]),
                width=int(record["width"]),
                height=int(record["height"]),
                objects=objects,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: scenes: record {number}: {error!r}") from None
    return scenes


def read_lexicons(path: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Lexicons of a JSON file: language to English word to translations, best first.

    Raises:
        InputError: no such file, or another form.
    """
    if not path.is_file():
        raise InputError(f"{path}: lexicons: no such file")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(code): {str(word): _words(found) for word, found in words.items()}
            for code, words in record.items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: lexicons: expected {{language: {{word: [translations]}}}} ({error})"
        ) from None


def _words(found: Any) -> tuple[str, ...]:
    if isinstance(found, str):
        return (found,)
    return tuple(str(item[0] if isinstance(item, list | tuple) else item) for item in found)


def open_features(sources: Sources, records: Sequence[CaptionRecord]) -> tuple[FeatureCache, Any]:
    """The feature cache of the records' pictures, and its tower (None where only the cache is).

    Raises:
        InputError: neither features nor pictures given; pictures missing; a trainable tower.
    """
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.pictures import PictureSource
    from gqa_reasoner.vlp.tower import open_tower

    if sources.features is not None:
        tower = open_tower(sources.tower) if sources.tower else None
        cache = FeatureCache.open(sources.features, tower.fingerprint if tower else None)
        return cache, tower
    if sources.images is None or sources.tower is None:
        raise InputError("expected --images and --tower, or --features with a feature cache")
    tower = open_tower(sources.tower)
    if any(value.requires_grad for value in getattr(tower, "parameters", list)()):
        raise InputError(
            f"tower {sources.tower!r} learns, but training here reads kept features of frozen "
            "towers; use mobilenet:DIR, clip:DIR, siglip:DIR, blip:DIR or patches"
        )

    def progress(starts: Sequence[int]) -> Iterator[int]:
        from tqdm import tqdm

        return iter(tqdm(starts, desc="features", unit="batch", disable=None, file=sys.stderr))

    cache = FeatureCache.build(
        sources.output / "features",
        PictureSource.open(sources.images),
        [record.image for record in records],
        tower,
        progress=progress,
    )
    return cache, tower


def _pieces(sources: Sources, records: Sequence[CaptionRecord], config: TrainingConfig,
            languages: Sequence[str]) -> WordPieces:  # fmt: skip
    from gqa_reasoner.vlp.text import WordPieces

    for place in (sources.start, sources.warm):
        if place is not None:
            read_config(place)
            return WordPieces.load(place / "pieces.json")
    if sources.published is not None:
        return published_pieces(sources.published)
    if sources.pieces is not None:
        return WordPieces.load(sources.pieces)
    texts = [text for record in records for text in record.captions]
    for code in languages:
        texts += [text for record in records for text in record.translations.get(code, ())]
    return WordPieces.train(texts, config.vocabulary)


def assemble(sources: Sources, recipe: Recipe, config: TrainingConfig) -> Trainer:
    """Everything of a run, checked.

    Raises:
        InputError: any of the files does not fit the recipe or the others.
    """
    from gqa_reasoner.vlp.data.records import read_captions

    records = read_captions(sources.captions, split=sources.split)
    scenes = _early_checks(sources, recipe, config)
    cache, tower = open_features(sources, records)
    lexicons = read_lexicons(sources.lexicons) if sources.lexicons else {}
    languages = recipe.languages
    switching = "code_switch" in recipe.transforms and config.objective == "pretrain"
    pieces = _pieces(sources, records, config, languages)
    classes = _classes(recipe, config, cache, records)
    model = _model(sources, recipe, config, cache, tower, len(pieces), classes)
    settings = CorpusSettings(
        text_limit=model.config.sizes.text_length,
        languages=languages,
        code_switch_rate=recipe.code_switch_rate if switching else 0.0,
        captions_per_image=config.captions_per_image,
        flips=config.flips,
        lexicons={code: words for code, words in lexicons.items() if code in languages},
    )
    held = config.held_out
    if not 0 <= held < len(records):
        raise InputError(
            f"training config: held_out: expected 0 to {len(records) - 1} pictures, got {held}"
        )
    kept = records[: len(records) - held]
    corpus = CaptionCorpus(kept, cache, pieces, settings, scenes)
    held_out = None
    if held:
        held_out = CaptionCorpus(records[len(kept) :], cache, pieces, settings, scenes)
    guide, held_guide = _guides(sources, config, corpus, held_out, cache)
    return Trainer(
        config, recipe, model, corpus, sources.output,
        held_out=held_out, classes=classes, guide=guide, held_guide=held_guide,
    )  # fmt: skip


def _guides(
    sources: Sources,
    config: TrainingConfig,
    corpus: CaptionCorpus,
    held_out: CaptionCorpus | None,
    cache: FeatureCache,
) -> tuple[Guide | None, Guide | None]:
    """Guides of the training pictures (cross-fitted where the configuration says so) and of the
    held-out ones."""
    if sources.guide is None:
        return None, None
    held_guide = None if held_out is None else encode_guide(sources.guide, held_out)
    if not config.folds:
        return encode_guide(sources.guide, corpus), held_guide
    from gqa_reasoner.vlp.cross_fit import cross_fitted_guide

    guide = cross_fitted_guide(
        sources.guide, corpus, cache, folds=config.folds, ridge=config.ridge, seed=config.seed
    )
    return guide, held_guide


def _early_checks(
    sources: Sources, recipe: Recipe, config: TrainingConfig
) -> dict[str, Scene] | None:
    """What can be refused before features are computed; returns the scenes where they serve."""
    if sources.start is not None and read_config(sources.start).recipe != recipe.name:
        raise InputError(
            f"{sources.start}: expected a model of recipe {recipe.name!r}, "
            f"got one of {read_config(sources.start).recipe!r}"
        )
    if config.objective != "pretrain" or "tag_anchors" not in recipe.transforms:
        return None
    if sources.scenes is None:
        raise InputError(
            f"recipe {recipe.name!r} needs what a detector found in the pictures: --scenes FILE"
        )
    return read_scenes(sources.scenes)


def _classes(
    recipe: Recipe, config: TrainingConfig, cache: FeatureCache, records: Sequence[CaptionRecord]
) -> CellClasses | None:
    """Classes of cells, where the recipe predicts them: the tower's, or k-means of its cells."""
    if "masked_class" not in recipe.losses:
        return None
    found = CellClasses.of_tower(cache.tower)
    if found is not None:
        return found
    step = max(len(records) // 400, 1)
    cells = cache.rows([record.image for record in records[::step]]).flatten(0, 1)
    count = min(CLASSES, len(cells) // 4)
    return CellClasses.of_cells(cells, max(count, 2), seed=config.seed)


def _model(
    sources: Sources,
    recipe: Recipe,
    config: TrainingConfig,
    cache: FeatureCache,
    tower: Any,
    vocabulary: int,
    classes: CellClasses | None,
) -> VisionLanguageModel:
    if sources.start is not None:
        model, _ = load_model(sources.start, recipe=recipe.name)
        check_tower(model.config, cache.fingerprint, str(cache.path))
        return model
    torch.manual_seed(config.seed)
    image_size = getattr(tower, "image_size", 224)
    public = None if sources.published is None else open_published(recipe, sources.published)
    own = ModelConfig.from_recipe(
        recipe,
        vocabulary=vocabulary,
        sizes=None if public is None else published_sizes(recipe, public),
        tower=_TowerFacts(cache, image_size),
        classes=len(classes) if classes is not None else 0,
        **config.size_changes(),
    )
    model = VisionLanguageModel(own)
    if sources.warm is not None:
        warm_start(model, sources.warm)
    if public is not None and sources.published is not None:
        take_published(model, public, sources.published, published_pieces(sources.published))
    return model


def warm_start(model: VisionLanguageModel, folder: Path) -> list[str]:
    """Take over weights of another model that have the same name and shape, its embeddings above
    all. Returns their names.

    Raises:
        InputError: the other model has another tower, or nothing fits.
    """
    other, _ = load_model(folder)
    check_tower(other.config, model.config.fingerprint, str(folder))
    mine = model.state_dict()
    fitting = {
        name: value
        for name, value in other.state_dict().items()
        if name in mine and mine[name].shape == value.shape
    }
    if not fitting:
        raise InputError(f"{folder}: no weight has the name and shape of this model's")
    model.load_state_dict(fitting, strict=False)
    return sorted(fitting)


class _TowerFacts:
    """What a feature cache knows of its tower."""

    def __init__(self, cache: FeatureCache, image_size: int) -> None:
        self.name, self.fingerprint = cache.tower, cache.fingerprint
        self.grid, self.width, self.image_size = cache.grid, cache.width, image_size


@torch.inference_mode()
def encode_guide(folder: Path, corpus: CaptionCorpus) -> Guide:
    """A dual encoder's embeddings of a corpus' pictures and texts.

    Raises:
        InputError: not a dual encoder, or one of another tower.
    """
    model, pieces = load_model(folder)
    if model.config.plan != "dual":
        raise InputError(f"{folder}: a guide is a dual encoder, got recipe {model.config.recipe!r}")
    check_tower(model.config, getattr(corpus.features, "fingerprint", ""), str(folder))
    most = max(len(texts) for texts in corpus.texts)
    limit = model.config.sizes.text_length
    images, texts = [], []
    for start in range(0, len(corpus), 128):
        records = corpus.records[start : start + 128]
        features = corpus.features.rows([record.image for record in records])
        images.append(model.encode_images(features))
        chosen = [
            found[number % len(found)][1]
            for found in corpus.texts[start : start + 128]
            for number in range(most)
        ]
        ids, mask = pieces.batch(chosen, limit)
        texts.append(model.encode_text(ids, mask).unflatten(0, (-1, most)))
    return Guide(torch.cat(images).clone(), torch.cat(texts).clone(), float(model.scale))
