"""Captions and embeddings of a caption file's pictures, scored through `eval/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.captioner import Captioner, CaptionSettings
from gqa_reasoner.vlp.data.feature_cache import FeatureCache, picture_tensor
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.data.records import CaptionRecord

if TYPE_CHECKING:
    from gqa_reasoner.vlp.captioning.consensus import Consensus
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces
    from gqa_reasoner.vlp.tower import ImageTower

__all__ = ["PictureFeatures", "caption_records", "embed_records", "references"]

_Progress = Callable[[range], Iterator[int]]


class PictureFeatures:
    """Features of a caption file's pictures, from a cache or computed from the pictures.

    Raises:
        InputError: neither or both given, a cache of another tower, or pictures that are absent.
    """

    def __init__(
        self,
        records: Sequence[CaptionRecord],
        fingerprint: str,
        *,
        cache: Path | None = None,
        images: Path | None = None,
        tower: Callable[[], ImageTower] | None = None,
    ) -> None:
        if (cache is None) == (images is None):
            raise InputError("features: expected a cache of features or pictures, one of them")
        self.cache = None if cache is None else FeatureCache.open(cache, fingerprint or None)
        self.source = None if images is None else PictureSource.open(images)
        self.tower = tower() if images is not None and tower is not None else None
        names = [record.image for record in records]
        if self.cache is not None:
            absent = [name for name in names if name not in self.cache]
        else:
            absent = self.source.missing(names) if self.source is not None else names
        if absent:
            raise InputError(
                f"{cache or images}: {len(absent)} of {len(names)} pictures of the captions are "
                f"not there: {', '.join(absent[:3])}"
            )

    def __call__(self, names: Sequence[str]) -> Tensor:
        """(B, V, F) of the named pictures."""
        if self.cache is not None:
            return self.cache.rows(names)
        if self.source is None or self.tower is None:
            raise InputError("features: pictures need an image tower")
        size = self.tower.image_size
        pictures = [picture_tensor(self.source.read(name), size) for name in names]
        return self.tower(torch.stack(pictures))


def caption_records(
    captioner: Captioner,
    records: Sequence[CaptionRecord],
    features: Callable[[Sequence[str]], Tensor],
    settings: CaptionSettings,
    *,
    batch_size: int = 50,
    consensus: Consensus | None = None,
    progress: _Progress | None = None,
) -> dict[str, str]:
    """The best caption of each picture, by image id.

    Args:
        consensus: chooses among the `count` captions of a picture; None: the best ranked.
    """
    said: dict[str, str] = {}
    starts = range(0, len(records), batch_size)
    for start in progress(starts) if progress else starts:
        some = records[start : start + batch_size]
        numbers = range(start, start + len(some))
        given = features([record.image for record in some])
        found = captioner.caption_features(given, settings, numbers=numbers)
        if consensus is not None:
            found = consensus.choose(given, found)
        for record, captions in zip(some, found, strict=True):
            said[record.image_id] = captions[0].text
    return said


def references(records: Sequence[CaptionRecord]) -> dict[str, list[str]]:
    """What people wrote, by image id."""
    return {record.image_id: list(record.captions) for record in records}


@torch.inference_mode()
def embed_records(
    model: VisionLanguageModel,
    pieces: WordPieces,
    records: Sequence[CaptionRecord],
    features: Callable[[Sequence[str]], Tensor],
    *,
    language: str = "en",
    batch_size: int = 64,
    progress: _Progress | None = None,
) -> dict[str, Any]:
    """Dual-encoder embeddings `images` (I, S) and `texts` (T, S), and `image_of_text` (T,).

    Raises:
        InputError: a language that the model or the captions lack, or not a dual encoder.
    """
    config = model.config
    if language not in config.languages:
        raise InputError(
            f"language: the model knows {', '.join(config.languages)}, got {language!r}"
        )
    texts = [
        list(record.captions if language == "en" else record.translations.get(language, ()))
        for record in records
    ]
    kept = [place for place, lines in enumerate(texts) if lines]
    if not kept:
        raise InputError(f"captions: no picture has a caption in {language!r}")
    number = config.languages.index(language)
    images, lines, owner = [], [], []
    starts = range(0, len(kept), batch_size)
    for start in progress(starts) if progress else starts:
        some = kept[start : start + batch_size]
        images.append(model.encode_images(features([records[p].image for p in some])).numpy())
        batch = [text for place in some for text in texts[place]]
        ids, mask = pieces.batch(batch, config.sizes.text_length)
        lines.append(model.encode_text(ids, mask, torch.full((len(ids),), number)).numpy())
        owner += [start + at for at, place in enumerate(some) for _ in texts[place]]
    return {
        "images": np.concatenate(images),
        "texts": np.concatenate(lines),
        "image_of_text": np.array(owner),
    }
