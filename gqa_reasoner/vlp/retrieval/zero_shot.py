"""Zero-shot classification by averaged prompts (CLIP, https://arxiv.org/abs/2103.00020, 3.1.4).

N: pictures, C: classes, P: prompts, D: the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval.build import Encoder

__all__ = ["PROMPTS", "class_vectors", "classify"]

PROMPTS = ("a {} .", "a photo of a {} .", "there is a {} in the picture .", "one {} outside .")
"""Caption-like sentences; the class name replaces `{}`."""


def class_vectors(
    encoder: Encoder, labels: Sequence[str], prompts: Sequence[str] = PROMPTS
) -> np.ndarray:
    """One row of length 1 per class: the mean of its prompts' rows, normalised.

    Returns:
        (C, D).

    Raises:
        InputError: fewer than two labels, an empty or repeated label, a prompt without `{}`.
    """
    if len(labels) < 2 or len(set(labels)) != len(labels) or not all(map(str.strip, labels)):
        raise InputError(f"labels: expected two or more different names, got {list(labels)}")
    for prompt in prompts:
        if "{}" not in prompt:
            raise InputError(f"prompt {prompt!r}: expected {{}} where the class name goes")
    texts = [prompt.replace("{}", label) for label in labels for prompt in prompts]
    rows = encoder.encode_texts(texts).reshape(len(labels), len(prompts), -1).mean(axis=1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-12)


def classify(images: np.ndarray, classes: np.ndarray, scale: float = 100.0) -> np.ndarray:
    """Probabilities (N, C) of classes: softmax of scaled cosines.

    Args:
        images: (N, D) rows of length 1.
        classes: (C, D) of `class_vectors`.
        scale: factor on the cosines; the model's own is `model.scale`.
    """
    logits = scale * images @ classes.T
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
