"""Attributes of a region, and facts of the whole picture.

Legend: B pictures, R regions, D feature size, C classes, A attributes, E class-embedding size.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["AttributeHead", "PictureHead", "attribute_loss", "picture_losses"]

PRIOR_LOGIT = -3.0
"""First bias of rare outputs: a sigmoid of about 0.05."""


class AttributeHead(nn.Module):
    """Independent attribute logits from feature, class and box size.

    The class is fed in as an embedding of the predicted (when training: true) class, as in
    bottom-up attention (Anderson et al. 2018, section 3.1); the outputs are independent sigmoids,
    since GQA objects carry several attributes or none.
    """

    def __init__(
        self, feature_size: int, classes: int, attributes: int, embedding_size: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, embedding_size)
        self.hidden = nn.Linear(feature_size + embedding_size + 4, feature_size)
        self.output = nn.Linear(feature_size, attributes)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.constant_(self.output.bias, PRIOR_LOGIT)

    def forward(self, features: Tensor, labels: Tensor, sizes: Tensor) -> Tensor:
        """Features (..., D), labels (...) int64, box sizes (..., 4) -> logits (..., A), float32."""
        joined = torch.cat([features, self.embedding(labels), sizes.to(features.dtype)], dim=-1)
        return self.output(torch.relu(self.hidden(joined))).float()


def attribute_loss(logits: Tensor, target: Tensor, *, unlabelled_weight: float) -> Tensor:
    """Binary cross-entropy, summed over attributes and averaged over objects.

    Args:
        logits: (N, A).
        target: (N, A), 1 where the attribute is listed.
        unlabelled_weight: weight of objects that list none: 1 where files are complete
            (TinyGQA), less where "none" may mean "not written down" (Visual Genome).
    """
    if not logits.numel():
        return logits.sum() * 0
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=1)
    weight = torch.where(target.any(dim=1), 1.0, unlabelled_weight)
    return (each * weight).sum() / weight.sum().clamp(min=1)


class PictureHead(nn.Module):
    """Softmax heads over the averaged coarsest backbone map, one per fact of the picture."""

    def __init__(self, channels: int, values: Mapping[str, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({key: nn.Linear(channels, n) for key, n in values.items()})

    def forward(self, coarsest: Tensor) -> dict[str, Tensor]:
        """(B, C, h, w) -> logits (B, values) of each fact, float32."""
        pooled = coarsest.mean(dim=(2, 3))
        return {key: head(pooled).float() for key, head in self.heads.items()}


def picture_losses(logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Sum of the cross-entropies of all facts; target -1 means "not stated"."""
    total = torch.zeros(())
    for key, output in logits.items():
        target = targets[key]
        counted = (target >= 0).sum().clamp(min=1)
        total = total + F.cross_entropy(output, target, ignore_index=-1, reduction="sum") / counted
    return total
