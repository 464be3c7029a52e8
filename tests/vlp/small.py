"""A small corpus for the family's tests: eight kinds of pictures whose captions name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detectors.scene import Scene, SceneObject
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.corpus import CaptionCorpus, CorpusSettings
from gqa_reasoner.vlp.data.records import CaptionRecord
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import Recipe, load_recipe
from gqa_reasoner.vlp.targets import CellClasses
from gqa_reasoner.vlp.text import WordPieces
from gqa_reasoner.vlp.training import Trainer
from gqa_reasoner.vlp.training_config import TrainingConfig

NAMES = ("dog", "cat", "horse", "bird", "boat", "car", "tree", "ball")
GERMAN = ("hund", "katze", "pferd", "vogel", "boot", "auto", "baum", "ball")
WIDTH = 24
LEXICONS = {
    "de": {name: (word,) for name, word in zip(NAMES, GERMAN, strict=True)},
    "fr": {"dog": ("chien",)},
    "cs": {"dog": ("pes",)},
}


class MadeFeatures:
    """Features of 3 x 3 cells: the picture's kind lights a block of numbers in some cells."""

    fingerprint, tower, grid, width, cells = "made", "made", (3, 3), WIDTH, 9
    path = Path("made")

    def __init__(self, count: int) -> None:
        self.count = count

    def __contains__(self, name: object) -> bool:
        text = str(name).removesuffix(".jpg")
        return text.isdigit() and int(text) < self.count

    def rows(self, names: Sequence[str]) -> Tensor:
        found = []
        for name in names:
            number = int(name.removesuffix(".jpg"))
            generator = torch.Generator().manual_seed(number)
            cells = 0.3 * torch.randn(9, WIDTH, generator=generator)
            kind = number % len(NAMES)
            where = torch.randperm(9, generator=generator)[:4]
            cells[where, 3 * kind : 3 * kind + 3] += 2.0
            found.append(cells)
        return torch.stack(found)


def records(count: int = 32) -> list[CaptionRecord]:
    found = []
    for number in range(count):
        name, german = NAMES[number % len(NAMES)], GERMAN[number % len(NAMES)]
        captions = (f"a {name} is here .", f"there is one {name} outside .")
        others = {"de": (f"hier ist ein {german} .",)} if number % 2 else {}
        found.append(CaptionRecord(str(number), f"{number}.jpg", captions, "train", others))
    return found


def pieces() -> WordPieces:
    texts = [text for record in records(16) for text in record.captions]
    texts += [text for record in records(16) for text in record.translations.get("de", ())]
    texts += ["chien pes"]
    return WordPieces.train(texts, 160)


def scenes(count: int = 32) -> dict[str, Scene]:
    return {
        str(number): Scene(
            str(number),
            100,
            100,
            [SceneObject("0", NAMES[number % len(NAMES)], 0.9, (10, 20, 60, 70))],
        )
        for number in range(count)
    }


def corpus(recipe: Recipe, count: int = 32, **changes: Any) -> CaptionCorpus:
    tagged = "tag_anchors" in recipe.transforms
    switched = "code_switch" in recipe.transforms
    settings = CorpusSettings(
        text_limit=recipe.tiny.text_length,
        languages=recipe.languages,
        code_switch_rate=recipe.code_switch_rate if switched else 0.0,
        lexicons=LEXICONS if switched else {},
        **changes,
    )
    return CaptionCorpus(
        records(count), MadeFeatures(count), pieces(), settings, scenes(count) if tagged else None
    )


def model(recipe: Recipe, *, seed: int = 0, **sizes: Any) -> VisionLanguageModel:
    torch.manual_seed(seed)
    small = {"width": 32, "heads": 2, "hidden": 64, "codes": 16, "space": 16, "dropout": 0.0}
    config = ModelConfig.from_recipe(
        recipe,
        vocabulary=len(pieces()),
        tower=_Tower(),
        classes=8,
        **{**small, **sizes},
    )
    return VisionLanguageModel(config)


class _Tower:
    name, fingerprint, grid, width, image_size = "made", "made", (3, 3), WIDTH, 96


def classes() -> CellClasses:
    weight = torch.zeros(8, WIDTH)
    for kind in range(8):
        weight[kind, 3 * kind : 3 * kind + 3] = 1.0
    return CellClasses(weight, torch.zeros(8))


def trainer(name: str, output: Path, *, count: int = 32, **changes: Any) -> Trainer:
    recipe = load_recipe(name)
    plain = {"steps": 40, "batch_size": 16, "learning_rate": 3e-3, "warmup_steps": 4,
             "weight_decay": 0.0, "average_decay": 0.9, "precision": "float32"}  # fmt: skip
    config = TrainingConfig(**{**plain, **changes})
    return Trainer(config, recipe, model(recipe), corpus(recipe, count), output, classes=classes())
