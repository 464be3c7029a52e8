"""Losses of the vision-language family, pure functions of tensors; shared ones are re-exported.

Legend: B batch, L length, C classes, N texts, S shared space, T words, V cells, D width,
K negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.model.losses import (
    IGNORED,
    distillation,
    image_text_match,
    masked_class,
    masked_features,
    masked_ids,
)

__all__ = [
    "IGNORED",
    "distillation",
    "hard_negatives",
    "image_text_match",
    "masked_class",
    "masked_code",
    "masked_features",
    "masked_ids",
    "match_ranking",
    "next_token",
    "optimal_transport",
    "symmetric_contrastive",
    "word_patch_alignment",
]


def masked_code(logits: Tensor, codes: Tensor, hidden: Tensor) -> Tensor:
    """Cross-entropy of the visual dictionary's codes where they are hidden (SOHO).

    Args:
        logits: (B, V, C).
        codes: (B, V) int64.
        hidden: (B, V) True where the loss counts.
    """
    return masked_ids(logits, codes.masked_fill(~hidden, IGNORED))


def next_token(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with label smoothing (Szegedy et al. 2016): the target is 1 - s at the label,
    plus s / C everywhere.

    Args:
        logits: (B, L, C) of the words at each place.
        labels: (B, L), `IGNORED` where nothing counts.
        smoothing: s.
    """
    counted = labels != IGNORED
    if not bool(counted.any()):
        return logits.sum() * 0
    return functional.cross_entropy(logits[counted], labels[counted], label_smoothing=smoothing)


def symmetric_contrastive(
    images: Tensor, texts: Tensor, scale: float | Tensor, owner: Tensor | None = None
) -> Tensor:
    """Mean of both directions' InfoNCE (Radford et al. 2021, figure 3).

    A picture with several texts has them all as positives: its loss is the mean over them of
    -log softmax.

    Args:
        images: (B, S) rows of length 1.
        texts: (N, S) rows of length 1.
        scale: the learned factor on similarities.
        owner: (N,) the row of each text's picture; None: row i belongs to row i.

    Raises:
        InputError: rows of different width, or no owner and different counts.
    """
    if images.shape[1:] != texts.shape[1:] or (owner is None and len(images) != len(texts)):
        raise InputError(
            f"contrastive: expected pairs of rows of one width, got pictures "
            f"{tuple(images.shape)} and texts {tuple(texts.shape)}"
        )
    if owner is None:
        owner = torch.arange(len(texts), device=texts.device)
    logits = scale * texts @ images.T
    to_image = functional.cross_entropy(logits, owner)
    share = logits.log_softmax(dim=0)[torch.arange(len(texts), device=texts.device), owner]
    count = torch.bincount(owner, minlength=len(images)).to(share.dtype)
    present = count > 0
    per_image = torch.zeros_like(count).index_add(0, owner, share)
    to_text = -(per_image[present] / count[present]).mean()
    return (to_image + to_text) / 2


def hard_negatives(
    scores: Tensor, positive: Tensor, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """Columns drawn by softmax of the contrastive scores, the positive ones left out
    (ALBEF, Li et al. 2021, section 3.2).

    Args:
        scores: (B, N) scaled similarities.
        positive: (B, N) True where row and column belong together.
        count: K, drawn without repeats where there are enough columns.

    Returns:
        (B, K) column indices.

    Raises:
        InputError: a row has no negative.
    """
    allowed = ~positive
    if bool((~allowed.any(dim=1)).any()):
        raise InputError("hard negatives: a row of the batch has no negative; use larger batches")
    share = scores.float().masked_fill(positive, float("-inf")).softmax(dim=1)
    share = share.clamp(min=1e-9) * allowed
    least = int(allowed.sum(dim=1).min())
    return torch.multinomial(share, count, replacement=count > least, generator=generator)


def match_ranking(scores: Tensor) -> Tensor:
    """Cross-entropy of the first column, the true pair, against the others.

    Args:
        scores: (B, 1 + K) match logits, the true pair's first.
    """
    return -scores.log_softmax(dim=1)[:, 0].mean()


def optimal_transport(
    cost: Tensor,
    rows: Tensor,
    columns: Tensor,
    *,
    beta: float = 0.5,
    iterations: int = 50,
) -> Tensor:
    """The transport plan by inexact proximal steps, IPOT (Xie et al. 2018, algorithm 1).

    Args:
        cost: (B, T, V) not negative.
        rows: (B, T) True at real rows; they share a mass of 1 equally.
        columns: (B, V).
        beta: proximal weight; smaller comes closer to the exact plan per step.

    Returns:
        (B, T, V) masses; every real row sums to 1 / rows, every real column to 1 / columns.
    """
    real = (rows[:, :, None] & columns[:, None, :]).to(cost.dtype)
    row_mass = rows.to(cost.dtype) / rows.sum(dim=1, keepdim=True).clamp(min=1)
    column_mass = columns.to(cost.dtype) / columns.sum(dim=1, keepdim=True).clamp(min=1)
    kernel = torch.exp(-cost / beta) * real
    plan = real / real.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    right = column_mass
    for _ in range(iterations):
        step = kernel * plan
        left = row_mass / (step @ right[..., None]).squeeze(-1).clamp(min=1e-30)
        right = column_mass / (step.transpose(1, 2) @ left[..., None]).squeeze(-1).clamp(min=1e-30)
        plan = left[..., None] * step * right[:, None, :]
    return plan


def word_patch_alignment(
    text: Tensor, vision: Tensor, text_mask: Tensor, vision_mask: Tensor, matched: Tensor
) -> Tensor:
    """Transport cost between words and cells: small for true pairs, large for false ones
    (UNITER, Chen et al. 2020, and ViLT): mean over true pairs minus mean over false ones.

    The plan is a constant for the gradient; costs are 1 - cosine.

    Args:
        text: (B, T, D). vision: (B, V, D).
        text_mask: (B, T). vision_mask: (B, V).
        matched: (B,) True at true pairs.
    """
    first = functional.normalize(text.float(), dim=-1)
    second = functional.normalize(vision.float(), dim=-1)
    cost = 1 - first @ second.transpose(1, 2)
    with torch.no_grad():
        plan = optimal_transport(cost.detach(), text_mask, vision_mask)
    distance = (plan * cost).sum(dim=(1, 2))
    sign = torch.where(matched, 1.0, -1.0)
    size = torch.where(matched, matched.sum(), (~matched).sum()).clamp(min=1)
    return (distance * sign / size).sum()
