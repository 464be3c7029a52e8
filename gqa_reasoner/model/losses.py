"""Losses as pure functions of tensors; a model's training is a sum of some of them.

Legend: B batch, L length, C classes, D feature size, K kept positions. Letters as in the design:
M masked prediction, X contrastive, N next token, I image–text match, K distillation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from detectors.errors import InputError

__all__ = [
    "IGNORED",
    "attention_guidance",
    "contrastive",
    "distillation",
    "image_text_match",
    "masked_class",
    "masked_features",
    "masked_ids",
    "masked_nce",
    "next_token",
]

IGNORED = -100
"""Label of positions that do not count."""


def masked_ids(logits: Tensor, labels: Tensor) -> Tensor:
    """M: cross-entropy of (B, L, C) at the positions whose label is not `IGNORED`; 0 if none."""
    counted = labels != IGNORED
    if not bool(counted.any()):
        return logits.sum() * 0
    return functional.cross_entropy(logits[counted], labels[counted])


def masked_class(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """M over soft classes (Unicoder-VL, ViLBERT): KL from a detector's distribution.

    Args:
        logits: (B, L, C).
        target: (B, L, C) distributions.
        mask: (B, L) True at the positions that count.
    """
    if not bool(mask.any()):
        return logits.sum() * 0
    return functional.kl_div(logits[mask].log_softmax(-1), target[mask], reduction="batchmean")


def masked_features(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """M over features (LXMERT, M3P): mean squared error of (B, L, D) where `mask` is True."""
    if not bool(mask.any()):
        return predicted.sum() * 0
    return functional.mse_loss(predicted[mask], target[mask])


def masked_nce(
    predicted: Tensor, target: Tensor, mask: Tensor, temperature: float = 0.07
) -> Tensor:
    """M by noise contrast (UniVL): each masked position must find its own target among all."""
    if not bool(mask.any()):
        return predicted.sum() * 0
    first = functional.normalize(predicted[mask], dim=-1)
    second = functional.normalize(target[mask], dim=-1)
    return functional.cross_entropy(
        first @ second.T / temperature, torch.arange(len(first), device=first.device)
    )


def contrastive(first: Tensor, second: Tensor, scale: float | Tensor = 20.0) -> Tensor:
    """X: symmetric InfoNCE of two (B, D) views, row i of one belongs to row i of the other.

    Raises:
        InputError: the two do not have the same shape.
    """
    if first.shape != second.shape:
        raise InputError(
            f"contrastive: views must have one shape, got {tuple(first.shape)} "
            f"and {tuple(second.shape)}"
        )
    logits = scale * functional.normalize(first, dim=-1) @ functional.normalize(second, dim=-1).T
    labels = torch.arange(len(first), device=first.device)
    return (
        functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)
    ) / 2


def next_token(logits: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """N: cross-entropy of (B, L, C) at position i against `tokens` (B, L) at i + 1.

    Args:
        mask: (B, L) True at real tokens.
    """
    labels = tokens[:, 1:]
    if mask is not None:
        labels = labels.masked_fill(~mask[:, 1:], IGNORED)
    return masked_ids(logits[:, :-1], labels)


def image_text_match(logits: Tensor, matches: Tensor) -> Tensor:
    """I: binary cross-entropy of (B,) logits against whether picture and text belong together."""
    return functional.binary_cross_entropy_with_logits(logits, matches.to(logits.dtype))


def distillation(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """K: KL from the teacher's softened distribution, times temperature² (Hinton et al. 2015)."""
    target = (teacher / temperature).softmax(dim=-1)
    found = (student / temperature).log_softmax(dim=-1)
    return functional.kl_div(found, target, reduction="batchmean") * temperature**2


def attention_guidance(attention: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy from target weights to attention, over the objects alone.

    Args:
        attention: (B, T, V) attention of text to vision, any positive scale.
        target: (B, T, V) weights; rows of zeros do not count.
    """
    total = target.sum(dim=-1)
    counted = total > 0.05
    if not bool(counted.any()):
        return attention.sum() * 0
    share = attention[counted]
    share = share / share.sum(dim=-1, keepdim=True).clamp(min=1e-6)
    wanted = target[counted] / total[counted, None]
    return -(wanted * (share + 1e-6).log()).sum(dim=-1).mean()
