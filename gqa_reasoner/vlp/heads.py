"""What reads the trunk's states: pooling, words, pairs, and plain projections.

Legend: B batch, L length, D width, W words of the vocabulary, S size of the shared space.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gqa_reasoner.model.masks import FORBIDDEN

__all__ = ["MatchHead", "Pool", "Projection", "WordHead", "initialise"]


class Pool(nn.Module):
    """One vector for a sequence.

    `first` the first position, `last` the last real one, `mean`, `max`, or `attend`: the mean
    weighted by a learned query's attention per group of `width / heads` numbers.
    """

    def __init__(self, kind: str, width: int, heads: int = 4) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(width, heads) if kind == "attend" else None
        self.heads = heads

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, L, D) and (B, L) True at real positions to (B, D)."""
        if self.kind == "first":
            return values[:, 0]
        if mask is None:
            mask = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        if self.kind == "last":
            return values[torch.arange(len(values)), mask.sum(dim=1) - 1]
        if self.kind == "max":
            return values.masked_fill(~mask[..., None], FORBIDDEN).amax(dim=1)
        if self.score is not None:
            share = self.score(values).masked_fill(~mask[..., None], FORBIDDEN).softmax(dim=1)
            groups = values.unflatten(-1, (self.heads, -1))
            return (share[..., None] * groups).sum(dim=1).flatten(1)
        weight = mask.to(values.dtype)[..., None]
        return (values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


class Projection(nn.Module):
    """To the shared space of a dual encoder, rows of length 1."""

    def __init__(self, width: int, space: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, space, bias=False)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, D) to (B, S)."""
        return functional.normalize(self.linear(pooled).float(), dim=-1)


class WordHead(nn.Module):
    """BERT's masked-word head; the last matrix is the word embedding itself."""

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        width = words.embedding_dim
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(words.num_embeddings))

    def forward(self, states: Tensor, words: nn.Embedding) -> Tensor:
        """(..., D) to logits (..., W)."""
        found = self.norm(functional.gelu(self.transform(states)))
        return functional.linear(found, words.weight, self.bias)


class MatchHead(nn.Module):
    """How well a picture and a text belong together.

    One stream: from the pair's pooled vector. Two streams: from the product of both pooled
    vectors (ViLBERT). Under `mean` a one-stream pair is both means, their product beside them.

    It computes in its weights' type whatever the trunk did: two of a hundred pairs often differ by
    less than bfloat16 can tell apart.
    """

    def __init__(self, width: int, *, pool: str, product: bool) -> None:
        super().__init__()
        self.product = product
        self.pool = Pool(pool, width)
        self.both = product or pool != "first"
        self.text = nn.Linear(width, width)
        self.vision = nn.Linear(width, width) if self.both else None
        self.vision_pool = Pool("mean" if pool == "first" else pool, width)
        parts = 1 if product or not self.both else 3
        self.score = nn.Linear(parts * width, 1)

    def forward(self, text: Tensor, text_mask: Tensor | None, vision: Tensor) -> Tensor:
        """(B, T, D), (B, T) and (B, V, D) to logits (B,)."""
        kind = self.score.weight.dtype
        with torch.autocast(text.device.type, enabled=False):
            return self._logits(text.to(kind), text_mask, vision.to(kind))

    def _logits(self, text: Tensor, text_mask: Tensor | None, vision: Tensor) -> Tensor:
        first = self.text(self.pool(text, text_mask)).tanh()
        if self.vision is None:
            return self.score(first).squeeze(-1)
        second = self.vision(self.vision_pool(vision)).tanh()
        pair = first * second
        if not self.product:
            pair = torch.cat([first, second, pair], dim=-1)
        return self.score(pair).squeeze(-1)


def initialise(module: nn.Module) -> None:
    """Normal weights of deviation 0.02 for tables, Xavier for matrices, zeros for biases."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
