"""What an index needs of other models, and fingerprints that tell one model from another.

A dual encoder gives pictures and texts vectors of one space; a reranker judges a few pairs more
closely; a captioner describes pictures. Any object with these methods will do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from detectors.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

__all__ = [
    "Captioner",
    "PictureEncoder",
    "Reranker",
    "model_fingerprint",
    "open_captioner",
    "open_encoder",
    "open_reranker",
    "spec_fingerprint",
]


class PictureEncoder(Protocol):
    """A dual encoder; `fingerprint` changes with its weights."""

    fingerprint: str

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> np.ndarray:
        """Vectors (B, D) of RGB pictures."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (B, D) of texts, in the same space."""


class Reranker(Protocol):
    """Judges whether a text fits pictures."""

    def score(self, text: str, images: Sequence[PIL.Image.Image]) -> np.ndarray:
        """One score (B,) per picture; more is better."""


class Captioner(Protocol):
    """Describes pictures; `fingerprint` changes with its weights."""

    fingerprint: str

    def caption(self, images: Sequence[PIL.Image.Image]) -> list[str]:
        """One sentence per RGB picture."""


def open_encoder(folder: str | Path, *, images: bool = True) -> PictureEncoder:
    """A trained dual encoder of `gqa_reasoner.vlp`.

    Args:
        folder: the model.
        images: whether pictures will be encoded; texts alone open faster.

    Raises:
        InputError: no dual encoder there.
    """
    from gqa_reasoner.vlp.retrieval.encoder import load_encoder

    return load_encoder(folder, images=images)


def open_reranker(folder: str | Path) -> Reranker:
    """A trained one- or two-stream model of `gqa_reasoner.vlp` with its image tower.

    Raises:
        InputError: no such model there.
    """
    return _PairReranker(str(folder))


def open_captioner(folder: str | Path) -> Captioner:
    """A trained captioner of `gqa_reasoner.vlp`.

    Raises:
        InputError: no captioner there.
    """
    return _FolderCaptioner(str(folder))


class _PairReranker:
    """Match logits of one text with pictures."""

    def __init__(self, folder: str) -> None:
        from gqa_reasoner.vlp.retrieval.encoder import open_model_tower
        from gqa_reasoner.vlp.retrieval.rerank import load_reranker

        self.pairs = load_reranker(folder)
        self.tower = open_model_tower(self.pairs.model, None, folder)

    def score(self, text: str, images: Sequence[PIL.Image.Image]) -> np.ndarray:
        import torch

        from gqa_reasoner.vlp.data.feature_cache import picture_tensor

        size = self.tower.image_size
        with torch.inference_mode():
            pixels = torch.stack([picture_tensor(image, size) for image in images])
            features = self.tower(pixels)
        count = len(images)
        return self.pairs.pair_scores([text], np.zeros(count, int), features, np.arange(count))


class _FolderCaptioner:
    """The texts of a captioner's best captions."""

    def __init__(self, folder: str) -> None:
        from gqa_reasoner.vlp.captioning.captioner import Captioner as Model
        from gqa_reasoner.vlp.captioning.captioner import CaptionSettings

        self.settings = CaptionSettings()
        self.model = Model.from_pretrained(Path(folder))
        self.fingerprint = model_fingerprint(folder)

    def caption(self, images: Sequence[PIL.Image.Image]) -> list[str]:
        return [found[0].text for found in self.model.caption(list(images), self.settings)]


_WEIGHTS = frozenset({".safetensors", ".onnx", ".json", ".pth", ".pt", ".bin", ".txt", ".pkl"})


def model_fingerprint(path: str | Path) -> str:
    """SHA-256 over a model file, or over the files of weights and settings in a folder.

    Raises:
        InputError: nothing there.
    """
    place = Path(path)
    if place.is_file():
        files = [place]
    elif place.is_dir():
        files = [item for item in sorted(place.iterdir()) if item.suffix in _WEIGHTS]
    else:
        files = []
    if not files:
        raise InputError(f"{path}: no model there")
    found = hashlib.sha256()
    for item in files:
        found.update(item.name.encode() + b"\0")
        with item.open("rb") as stream:
            while part := stream.read(1 << 20):
                found.update(part)
    return found.hexdigest()[:32]


def spec_fingerprint(spec: str) -> str:
    """The fingerprint of the detector that `spec` names; its name where it has no local file.

    Raises:
        InputError: the model's file is missing.
    """
    kind, _, value = spec.partition(":")
    if kind == "default":
        return model_fingerprint(value or Path(__file__).parents[1] / "weights" / "detector")
    if kind in ("onnx", "oracle", "lxmert", "rcnn") and value:
        return model_fingerprint(value)
    return spec
