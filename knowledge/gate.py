"""The learned scorer and gate: weights over context items with a learned null, differentiable.

Legend: B batch, K items, D embedding size.
weights = softmax([q W i / sqrt(D) + a log(relevance) + b, null]); the model may take none.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["ContextGate"]


class ContextGate(nn.Module):
    """Scores context items for a question; trained jointly with the reasoner.

    Args:
        size: D of question and item embeddings.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.match = nn.Linear(size, size, bias=False)
        self.relevance_weight = nn.Parameter(torch.ones(()))
        self.null = nn.Parameter(torch.zeros(()))
        self._scale = 1 / math.sqrt(size)

    def forward(
        self, question: Tensor, items: Tensor, relevance: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weigh the items of each question.

        Args:
            question: (B, D).
            items: (B, K, D).
            relevance: (B, K) retrieval relevances in [0, 1].
            mask: (B, K) bool, true where there is an item.

        Returns:
            weights (B, K), zero at masked places, and the null's weight (B,); together they sum
            to 1.
        """
        scores = torch.einsum("bd,bkd->bk", self.match(question), items) * self._scale
        scores = scores + self.relevance_weight * torch.log(relevance.clamp(min=1e-4))
        scores = scores.masked_fill(~mask, -torch.inf)
        null = self.null.expand(len(question), 1)
        weights = torch.softmax(torch.cat([scores, null], dim=1), dim=1)
        return weights[:, :-1], weights[:, -1]
