"""How near an item is to everything: what makes it a hub, to be taken off its scores.

In spaces of many directions a few items are near to most queries and are found in place of the
right ones. A bank of queries whose items are known to be others (training captions for pictures,
training pictures for captions) tells which (Bogolin et al. 2022, "Cross Modal Retrieval with
Querybank Normalisation"; inverted softmax, Smith et al. 2017):

    hubness(item) = log mean_b exp(sharpness · cos(item, b)) / sharpness

Legend: N items, B of the bank, S shared space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from detectors.errors import InputError

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import CaptionRecord
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["FILE", "SHARPNESS", "QueryBank"]

FILE = "bank.npz"
"""In the folder of a dual encoder."""
SHARPNESS = 10.0
"""Chosen on held-out training pictures."""


@dataclass(frozen=True)
class QueryBank:
    """Embeddings of training `images` (B, S) and `texts` (B, S), rows of length 1."""

    images: np.ndarray
    texts: np.ndarray
    sharpness: float = SHARPNESS

    @classmethod
    def embed(
        cls,
        model: VisionLanguageModel,
        pieces: WordPieces,
        records: Sequence[CaptionRecord],
        cache: FeatureCache,
        count: int = 2000,
    ) -> QueryBank:
        """Up to `count` of the pictures, and a caption each of as many others."""
        from gqa_reasoner.vlp.retrieval.evaluation import embed_records

        half = min(count, len(records) // 2)
        first, second = records[:half], records[half : 2 * half]
        return cls(
            embed_records(model, pieces, first, cache, captions=1).images,
            embed_records(model, pieces, second, cache, captions=1).texts,
        )

    @classmethod
    def of_model(cls, folder: Path) -> QueryBank | None:
        """The bank that lies in a model's folder, if there is one.

        Raises:
            InputError: a damaged file.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            with np.load(path) as found:
                return cls(*(found[name].astype(np.float32) for name in ("images", "texts")))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise InputError(f"{path}: not a bank of queries ({error})") from None

    def save(self, folder: Path) -> None:
        """Write it into a model's folder."""
        path = Path(folder) / FILE
        part = path.with_name(f"{FILE}.partial")
        with part.open("wb") as stream:
            np.savez(
                stream, images=self.images.astype(np.float16), texts=self.texts.astype(np.float16)
            )
        part.replace(path)

    def of_images(self, images: np.ndarray) -> np.ndarray:
        """Hubness (N,) of pictures (N, S) among the texts that may seek them."""
        return self._nearness(images, self.texts)

    def of_texts(self, texts: np.ndarray) -> np.ndarray:
        """Hubness (N,) of texts (N, S) among the pictures that may seek them."""
        return self._nearness(texts, self.images)

    def _nearness(self, items: np.ndarray, queries: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.zeros(len(items))
        for start in range(0, len(items), 1024):
            scaled = self.sharpness * (items[start : start + 1024] @ queries.T).astype(np.float64)
            top = scaled.max(axis=1, keepdims=True)
            total = np.exp(scaled - top).mean(axis=1)
            found[start : start + 1024] = (np.log(total) + top[:, 0]) / self.sharpness
        return found
