"""The embedding scorer: cosine of question and verbalized triple under a local sentence encoder.

Any `transformers` or sentence-transformers encoder in a local folder; nothing is downloaded, and
`transformers` is imported on first use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectors.errors import InputError

__all__ = ["EmbeddingScorer"]


class EmbeddingScorer:
    """Mean-pooled sentence embeddings at unit length.

    Args:
        folder: with `config.json`, weights and tokenizer files.
        cache_size: texts whose embeddings are remembered.
        batch_size: texts encoded together.

    Raises:
        InputError: the folder holds no encoder, or `transformers` is missing.
    """

    name = "embedding"

    def __init__(
        self, folder: str | Path, *, cache_size: int = 100_000, batch_size: int = 64
    ) -> None:
        self._folder = Path(folder)
        if not (self._folder / "config.json").is_file():
            raise InputError(f"{folder}: encoder: no config.json in the folder")
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._cache_size, self._batch_size = cache_size, batch_size
        self._parts: tuple[Any, Any] | None = None

    def score_texts(self, question: str, texts: Sequence[str]) -> np.ndarray:
        """Cosines of a question with texts: (M,) float32 in [-1, 1]."""
        if not texts:
            return np.zeros(0, dtype=np.float32)
        vectors = self.encode([question, *texts])
        return (vectors[1:] @ vectors[0]).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts: (M, D) float32 at unit length."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._cache]
        for start in range(0, len(missing), self._batch_size):
            batch = missing[start : start + self._batch_size]
            for text, vector in zip(batch, self._forward(batch), strict=True):
                self._cache[text] = vector
        found = np.stack([self._cache[text] for text in texts])
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return found

    def _forward(self, texts: list[str]) -> np.ndarray:
        import torch

        tokenizer, model = self._loaded()
        inputs = tokenizer(
            texts, padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(pooled, dim=-1).float().numpy()

    def _loaded(self) -> tuple[Any, Any]:
        if self._parts is None:
            try:
                from transformers import AutoModel, AutoTokenizer
            except ImportError as error:
                raise InputError(
                    "the embedding scorer needs transformers; pip install "
                    f"'gqa-reasoner[transformers]' ({error})"
                ) from None
            try:
                tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
                model = AutoModel.from_pretrained(self._folder, local_files_only=True).eval()
            except (OSError, ValueError) as error:
                line = str(error).splitlines()[0]
                raise InputError(f"{self._folder}: encoder: cannot be loaded: {line}") from None
            self._parts = (tokenizer, model)
        return self._parts
