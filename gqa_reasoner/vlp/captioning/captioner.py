"""`Captioner`: a trained model, its words and its image tower: pictures in, captions out.

Legend: B pictures, V cells, F feature width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.beam import BeamSettings, beam_search
from gqa_reasoner.vlp.captioning.beam_steps import BeamSteps, Memory
from gqa_reasoner.vlp.captioning.regions import cell_bias
from gqa_reasoner.vlp.captioning.rules import Hypothesis, Rules
from gqa_reasoner.vlp.captioning.sampling import NucleusSettings, greedy, sample

if TYPE_CHECKING:
    import PIL.Image

    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces
    from gqa_reasoner.vlp.tower import ImageTower

__all__ = ["Caption", "CaptionSettings", "Captioner"]


@dataclass(frozen=True)
class CaptionSettings:
    """How to decode; lengths are in words (word pieces of the model)."""

    method: Literal["beam", "greedy", "nucleus"] = "beam"
    beams: int = 5
    length_penalty: float = 1.0
    no_repeat: int = 0
    min_length: int = 1
    max_length: int = 20
    count: int = 1
    mass: float = 0.9
    temperature: float = 1.0
    seed: int = 0
    stop: Literal["bound", "likely"] = "likely"

    def __post_init__(self) -> None:
        if self.method not in ("beam", "greedy", "nucleus"):
            raise InputError(f"captions: expected beam, greedy or nucleus, got {self.method!r}")
        if self.method == "greedy" and self.count != 1:
            raise InputError("captions: greedy decoding gives one caption per picture; use a beam")
        self.beam()
        self.nucleus()

    def beam(self) -> BeamSettings:
        """The beam search's part."""
        count = self.count if self.method == "beam" else 1
        return BeamSettings(self.beams, self.length_penalty, count, self.stop)

    def nucleus(self) -> NucleusSettings:
        """The sampling's part."""
        return NucleusSettings(self.mass, self.temperature, self.count, self.seed)


@dataclass(frozen=True)
class Caption:
    """One caption with the model's scores."""

    text: str
    words: tuple[str, ...]
    log_probabilities: tuple[float, ...]
    """One per word and a last one for the end."""
    total: float
    """The caption's log-probability."""
    score: float
    """What captions of a picture are ranked by."""

    def to_json(self) -> dict[str, Any]:
        """A JSON record."""
        return {
            "caption": self.text,
            "score": round(self.score, 4),
            "log_probability": round(self.total, 4),
            "words": list(self.words),
            "word_log_probabilities": [round(value, 4) for value in self.log_probabilities],
        }


class Captioner:
    """Writes captions.

    Args:
        model: of an encoder–decoder recipe.
        pieces: its words.
        tower: of its features; needed for pictures, not for features.
    """

    def __init__(
        self, model: VisionLanguageModel, pieces: WordPieces, tower: ImageTower | None = None
    ) -> None:
        self.model, self.pieces, self.tower = model.eval(), pieces, tower
        self.forbidden = tuple(range(pieces.eos))

    @classmethod
    def from_pretrained(
        cls, folder: Path, *, tower: str | None = None, features_only: bool = False
    ) -> Captioner:
        """Open a model folder.

        Args:
            tower: see `open_tower`; None: the one that the model names.
            features_only: open no tower.

        Raises:
            InputError: not a captioner, or a tower with another fingerprint than the model's.
        """
        from gqa_reasoner.vlp.checkpoint import check_tower, load_model
        from gqa_reasoner.vlp.tower import open_tower

        model, pieces = load_model(folder)
        config = model.config
        if config.plan != "encoder_decoder":
            raise InputError(
                f"{folder}: expected a model that writes captions, got recipe {config.recipe!r}"
            )
        if features_only:
            return cls(model, pieces)
        spec = tower or config.tower
        if spec in ("mobilenet", "clip", "siglip", "blip"):
            raise InputError(
                f"{folder}: the model does not say where its tower is; give {spec}:DIR"
            )
        opened = open_tower(spec)
        check_tower(config, opened.fingerprint, spec)
        return cls(model, pieces, opened)

    def features(self, images: Sequence[PIL.Image.Image]) -> Tensor:
        """Pictures to (B, V, F).

        Raises:
            InputError: the captioner was opened without a tower.
        """
        from gqa_reasoner.vlp.data.feature_cache import picture_tensor

        if self.tower is None:
            raise InputError("captioner: opened for features only; it has no image tower")
        size = self.tower.image_size
        return self.tower(torch.stack([picture_tensor(image, size) for image in images]))

    def caption(
        self,
        images: Sequence[PIL.Image.Image],
        settings: CaptionSettings,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Caption]]:
        """Captions of each picture, best first.

        Args:
            numbers: see `sample`.
        """
        if not images:
            return []
        return self.caption_features(self.features(images), settings, numbers=numbers)

    def caption_regions(
        self,
        image: PIL.Image.Image,
        boxes: Sequence[Sequence[float]],
        settings: CaptionSettings,
        *,
        source: str = "boxes",
    ) -> list[list[Caption]]:
        """Captions of what is inside each box (left, top, right, bottom in pixels).

        Raises:
            InputError: see `cell_bias`.
        """
        bias = cell_bias(boxes, image.size, self.model.config.grid, source=source)
        if not len(bias):
            return []
        features = self.features([image]).expand(len(bias), -1, -1)
        return self.caption_features(features, settings, cell_bias=bias)

    @torch.inference_mode()
    def caption_features(
        self,
        features: Tensor,
        settings: CaptionSettings,
        *,
        numbers: Sequence[int] | None = None,
        cell_bias: Tensor | None = None,
    ) -> list[list[Caption]]:
        """Captions for features (B, V, F) of the tower.

        Args:
            cell_bias: (B, V), see `Memory.encode`.

        Raises:
            InputError: longer captions wanted than the model has positions for.
        """
        room = self.model.config.sizes.text_length - 1
        if settings.max_length > room:
            raise InputError(
                f"captions: max length: the model writes at most {room} words, "
                f"got {settings.max_length}"
            )
        rules = Rules(
            self.pieces.bos,
            self.pieces.eos,
            self.forbidden,
            settings.min_length,
            settings.max_length,
            settings.no_repeat,
        )
        memory = Memory.encode(self.model, features, cell_bias)
        steps = BeamSteps(self.model, memory, rules.max_length + 1)
        if settings.method == "beam":
            found = beam_search(steps, rules, settings.beam())
        elif settings.method == "greedy":
            found = greedy(steps, rules)
        else:
            found = sample(steps, rules, settings.nucleus(), numbers)
        return [[self._caption(one) for one in captions] for captions in found]

    def _caption(self, found: Hypothesis) -> Caption:
        words = tuple(self.pieces.pieces[token] for token in found.tokens)
        text = self.pieces.decode(found.tokens)
        return Caption(text, words, found.log_probabilities, found.total, found.score)
