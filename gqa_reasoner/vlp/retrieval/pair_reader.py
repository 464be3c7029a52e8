"""Many pairs through a reader: every picture and every text alone is read once.

Q: texts, B: pictures, P: pairs, T: words, V: cells, F: width of their features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.pair_score import blank_memory, read_pairs
from gqa_reasoner.vlp.reading import PictureMemory, read_pictures

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["PairReader"]

_PICTURES, _TEXTS = 64, 256


class PairReader:
    """The pictures' memory, and the texts' likelihoods without a picture.

    Args:
        model: of the plan `prefix`, in evaluation mode.
        texts: Q different texts.
        features: (B, V, F) of different pictures.
    """

    @torch.inference_mode()
    def __init__(
        self, model: VisionLanguageModel, pieces: WordPieces, texts: Sequence[str], features: Tensor
    ) -> None:
        self.model = model
        self.memory = PictureMemory.join(
            [
                read_pictures(model, model.embed_images(part).tokens)
                for part in features.split(_PICTURES)
            ]
        )
        blank, limit = blank_memory(model), model.config.sizes.text_length
        parts = []
        for start in range(0, len(texts), _TEXTS):
            ids, mask = pieces.batch(texts[start : start + _TEXTS], limit)
            nothing = torch.zeros(len(ids), dtype=torch.int64)
            parts.append(read_pairs(model, blank, nothing, ids, mask).likelihood)
        self.unseen = torch.cat(parts) if parts else torch.zeros(0)

    def scores(
        self, text_of_pair: np.ndarray, image_of_pair: np.ndarray, ids: Tensor, mask: Tensor
    ) -> Tensor:
        """Scores (P,) of pairs whose texts are `ids` (P, T) with `mask`.

        Raises:
            InputError: the model has no pair score.
        """
        if self.model.pair_score is None:
            raise InputError(f"recipe {self.model.config.recipe!r} has no pair score")
        read = read_pairs(self.model, self.memory, torch.from_numpy(image_of_pair), ids, mask)
        unseen = self.unseen[torch.from_numpy(text_of_pair)]
        return self.model.pair_score(read.likelihood, unseen, read.match)
