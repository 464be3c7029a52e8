"""A dual encoder ready for use: pictures and texts in, rows of length 1 out.

N: items, D: the shared space.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import torch

from detectors.errors import InputError

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces
    from gqa_reasoner.vlp.tower import ImageTower

__all__ = ["DualEncoder", "load_encoder", "model_fingerprint", "open_model_tower"]

_BATCH = 32


class DualEncoder:
    """A model of the plan `dual`, its word pieces and its image tower."""

    def __init__(
        self, model: VisionLanguageModel, pieces: WordPieces, tower: ImageTower, fingerprint: str
    ) -> None:
        self.model = model.eval()
        self.pieces = pieces
        self.tower = tower
        self.fingerprint = fingerprint
        """Of weights, word pieces and tower; an index carries it."""

    @property
    def dimension(self) -> int:
        """D."""
        return self.model.config.sizes.space

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that the model was trained on."""
        return self.model.config.languages

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> np.ndarray:
        """Pictures to (N, D) float32 rows of length 1."""
        from gqa_reasoner.vlp.data.feature_cache import picture_tensor

        rows = [np.empty((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH]
            pixels = torch.stack([picture_tensor(item, self.tower.image_size) for item in part])
            with torch.inference_mode():
                rows.append(self.model.encode_images(self.tower(pixels)).numpy())
        return np.concatenate(rows)

    def encode_texts(self, texts: Sequence[str], language: str | None = None) -> np.ndarray:
        """Texts to (N, D) float32 rows of length 1.

        Args:
            texts: queries or captions.
            language: the language of all of them; None: the model's first.

        Raises:
            InputError: a text without words, or a language the model does not know.
        """
        for number, text in enumerate(texts):
            if not self.pieces.encode(text, 1):
                raise InputError(f"text {number}: {text!r}: expected at least one word")
        code = _language(self.languages, language)
        rows = [np.empty((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(texts), _BATCH * 8):
            part = texts[start : start + _BATCH * 8]
            ids, mask = self.pieces.batch(part, self.model.config.sizes.text_length)
            with torch.inference_mode():
                chosen = torch.full((len(part),), code, dtype=torch.int64)
                rows.append(self.model.encode_text(ids, mask, chosen).numpy())
        return np.concatenate(rows)


def load_encoder(
    folder: str | Path, tower: str | None = None, *, images: bool = True
) -> DualEncoder:
    """Open a trained dual encoder.

    Args:
        folder: of `save_model`.
        tower: the image tower's specification, where its files have moved.
        images: whether pictures will be encoded; without, no tower is opened (faster).

    Raises:
        InputError: no such model, one of another plan, or another tower than it was trained on.
    """
    from gqa_reasoner.vlp.checkpoint import load_model

    model, pieces = load_model(Path(folder))
    if model.config.plan != "dual":
        raise InputError(
            f"{folder}: expected a dual encoder such as recipe 'clip', got {model.config.recipe!r}"
        )
    opened = open_model_tower(model, tower, str(folder)) if images else _NoTower()
    return DualEncoder(model, pieces, opened, model_fingerprint(folder))


def open_model_tower(model: VisionLanguageModel, tower: str | None, source: str) -> ImageTower:
    """The tower that a model was trained on.

    Raises:
        InputError: its files are not there, or it is another one.
    """
    from gqa_reasoner.vlp.checkpoint import check_tower
    from gqa_reasoner.vlp.tower import open_tower

    spec = tower or model.config.tower
    if not spec:
        raise InputError(f"{source}: its config.json names no image tower; give one (--tower)")
    opened = open_tower(spec)
    check_tower(model.config, opened.fingerprint, source)
    return opened


def model_fingerprint(folder: str | Path) -> str:
    """Sixteen digits that change with the model's weights, word pieces or tower.

    Raises:
        InputError: a file is missing.
    """
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "pieces.json"):
        path = Path(folder) / name
        if not path.is_file():
            raise InputError(f"{folder}: no {name}")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _NoTower:
    """Stands in where only texts are encoded."""

    name, fingerprint, grid, width, image_size = "none", "", (1, 1), 1, 224

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        raise InputError("this encoder was opened for texts only (images=False)")


def _language(known: Sequence[str], language: str | None) -> int:
    if language is None:
        return 0
    if language not in known:
        raise InputError(f"language: expected one of {', '.join(known)}, got {language!r}")
    return list(known).index(language)
