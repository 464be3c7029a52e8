"""Every recipe on real photographs: each loss falls, and a saved model repeats its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gqa_reasoner.vlp.checkpoint import load_model, save_model
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.corpus import CaptionCorpus, CorpusSettings
from gqa_reasoner.vlp.data.feature_cache import picture_tensor
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.data.records import read_captions
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import list_recipes, load_recipe
from gqa_reasoner.vlp.targets import CellClasses
from gqa_reasoner.vlp.text import WordPieces
from gqa_reasoner.vlp.tower import open_tower
from gqa_reasoner.vlp.training import Trainer
from gqa_reasoner.vlp.training_config import TrainingConfig

COUNT = 16
LEXICONS = {
    "de": {"dog": ("hund",), "man": ("mann",), "girl": ("mädchen",), "red": ("rot",)},
    "fr": {"dog": ("chien",), "man": ("homme",), "girl": ("fille",), "red": ("rouge",)},
    "cs": {"dog": ("pes",), "man": ("muž",), "girl": ("dívka",), "red": ("červený",)},
}


class _Rows:
    """Features in memory."""

    def __init__(self, tower: Any, names: Sequence[str], features: Tensor) -> None:
        self.fingerprint, self.tower = tower.fingerprint, tower.name
        self.features = dict(zip(names, features, strict=True))

    def __contains__(self, name: object) -> bool:
        return name in self.features

    def rows(self, names: Sequence[str]) -> Tensor:
        return torch.stack([self.features[name] for name in names])


@pytest.fixture(scope="module")
def photographs(shared: Path) -> dict[str, Any]:
    """Sixteen photographs: MobileNet's cells, YOLOX's objects, word pieces of their captions."""
    for name in ("data/flickr8k/captions.jsonl", "data/flickr8k/images.zip",
                 "models/mobilenet_v2", "models/yolox_nano/yolox_nano.onnx"):  # fmt: skip
        if not (shared / name).exists():
            pytest.skip(f"needs {name} of the shared folder")
    pytest.importorskip("transformers")
    pytest.importorskip("onnxruntime")
    from detectors.adapters.onnx import OnnxDetector

    records = read_captions(shared / "data/flickr8k/captions.jsonl", split="train")[:COUNT]
    source = PictureSource.open(shared / "data/flickr8k/images.zip")
    pictures = [source.read(record.image) for record in records]
    tower = open_tower(f"mobilenet:{shared / 'models/mobilenet_v2'}")
    features = tower(torch.stack([picture_tensor(one, tower.image_size) for one in pictures]))
    detector = OnnxDetector(shared / "models/yolox_nano/yolox_nano.onnx", threshold=0.3, threads=1)
    ids = [record.image_id for record in records]
    scenes = dict(zip(ids, detector.detect(pictures, ids), strict=True))
    texts = [text for record in records for text in record.captions]
    for found in (record.translations.values() for record in records):
        texts += [text for lines in found for text in lines]
    return {
        "records": records,
        "features": _Rows(tower, [record.image for record in records], features),
        "tower": tower,
        "scenes": scenes,
        "pieces": WordPieces.train(texts, 700),
        "classes": CellClasses.of_tower(tower.name),
    }


def _trainer(name: str, found: dict[str, Any], output: Path) -> Trainer:
    recipe = load_recipe(name)
    classes = found["classes"]
    torch.manual_seed(0)
    model = VisionLanguageModel(
        ModelConfig.from_recipe(
            recipe,
            vocabulary=len(found["pieces"]),
            tower=found["tower"],
            classes=len(classes),
            width=64,
            heads=2,
            hidden=128,
            codes=32,
            dropout=0.0,
        )
    )
    switched = "code_switch" in recipe.transforms
    corpus = CaptionCorpus(
        found["records"],
        found["features"],
        found["pieces"],
        CorpusSettings(
            languages=recipe.languages,
            code_switch_rate=recipe.code_switch_rate if switched else 0.0,
            lexicons=LEXICONS if switched else {},
        ),
        found["scenes"] if "tag_anchors" in recipe.transforms else None,
    )
    config = TrainingConfig(
        steps=360, batch_size=COUNT, learning_rate=3e-3, warmup_steps=5, precision="float32"
    )
    return Trainer(config, recipe, model, corpus, output, classes=classes)


@torch.no_grad()
def _measured(trainer: Trainer, model: VisionLanguageModel | None = None) -> dict[str, float]:
    """Every loss, the mean over six fixed draws of masks, captions and false pairs."""
    model = (model or trainer.model).eval()
    totals: dict[str, float] = {}
    for seed in range(6):
        _, parts = trainer.losses(model, trainer.corpus, list(range(COUNT)), 900 + seed)
        for name, value in parts.items():
            totals[name] = totals.get(name, 0.0) + value / 6
    return totals


def _fallen(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """Losses that are lower by 2 % at least."""
    return [name for name in before if after[name] < before[name] - 0.02 * abs(before[name])]


@torch.no_grad()
def _outputs(model: VisionLanguageModel, corpus: CaptionCorpus) -> Tensor:
    batch = corpus.batch(list(range(4)), torch.Generator().manual_seed(1))
    if model.config.plan == "dual":
        return model.encode_text(batch.ids, batch.mask) @ model.encode_images(batch.features).T
    if model.config.plan == "encoder_decoder":
        return model.caption_logits(batch.ids, batch.mask, batch.features)
    return model.match_score(batch.ids, batch.mask, batch.features, batch.language)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_learns_from_photographs_and_comes_back(
    name: str, photographs: dict[str, Any], tmp_path: Path
) -> None:
    trainer = _trainer(name, photographs, tmp_path)
    before = after = _measured(trainer)
    assert set(before) == set(load_recipe(name).losses)
    while trainer.step < 360 and len(_fallen(before, after)) < len(before):
        for _ in range(20):
            trainer.train_step()
        after = _measured(trainer)
    assert set(_fallen(before, after)) == set(before), f"{before} -> {after}"
    model = trainer.model.eval()
    save_model(tmp_path / "model", model, photographs["pieces"])
    loaded, pieces = load_model(tmp_path / "model", recipe=name)
    assert torch.equal(_outputs(model, trainer.corpus), _outputs(loaded, trainer.corpus))
    assert _measured(trainer, loaded) == after  # every head, and SOHO's dictionary
    assert pieces.pieces == photographs["pieces"].pieces
