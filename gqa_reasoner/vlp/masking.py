"""What masked losses hide: words, regions, codes, spans. Everything random from a generator.

Legend: B batch, T text length, V cells.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gqa_reasoner.vlp.corpus import Batch
from gqa_reasoner.vlp.losses import IGNORED

__all__ = [
    "MaskedWords",
    "drop_words",
    "mask_codes",
    "mask_regions",
    "mask_words",
    "thinned",
]

SPECIAL_PIECES = 7
"""Ids below this are [PAD] … [EOS] and are never hidden."""
MASK_PIECE = 4


class MaskedWords(NamedTuple):
    """`ids` (B, T) with some words replaced; `labels` (B, T) their ids, elsewhere `IGNORED`."""

    ids: Tensor
    labels: Tensor


def _chosen(ids: Tensor, starts: Tensor | None, rate: float, generator: torch.Generator) -> Tensor:
    """(B, T) True at about `rate` of the words, and at one word at least where there is one."""
    open_places = ids >= SPECIAL_PIECES
    draw = torch.rand(ids.shape, generator=generator)
    if starts is not None:
        first = starts.long().cumsum(dim=1).clamp(min=1) - 1
        draw = draw.gather(1, first)  # one draw per word: its pieces are hidden together
    draw = draw.masked_fill(~open_places, 2.0)
    least = draw.amin(dim=1, keepdim=True)
    return ((draw < rate) | (draw == least)) & open_places


def mask_words(
    ids: Tensor,
    *,
    vocabulary: int,
    rate: float,
    generator: torch.Generator,
    starts: Tensor | None = None,
    rows: Tensor | None = None,
) -> MaskedWords:
    """BERT's masking: of the chosen words 80 % become [MASK], 10 % a random piece, 10 % stay.

    Args:
        ids: (B, T).
        vocabulary: number of pieces.
        rate: share of words to predict.
        starts: (B, T) True where a word begins, to hide whole words; None: pieces one by one.
        rows: (B,) True at texts to hide words in; None: all.
    """
    chosen = _chosen(ids, starts, rate, generator)
    if rows is not None:
        chosen &= rows[:, None]
    labels = ids.masked_fill(~chosen, IGNORED)
    fate = torch.rand(ids.shape, generator=generator)
    random = torch.randint(SPECIAL_PIECES, vocabulary, ids.shape, generator=generator)
    result = torch.where(chosen & (fate < 0.8), torch.full_like(ids, MASK_PIECE), ids)
    result = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), random, result)
    return MaskedWords(result, labels)


def mask_regions(
    batch: int,
    cells: int,
    *,
    rate: float,
    generator: torch.Generator,
    rows: Tensor | None = None,
) -> Tensor:
    """(B, V) True at about `rate` of the cells, at one at least of each picture of `rows`."""
    draw = torch.rand(batch, cells, generator=generator)
    hidden = (draw < rate) | (draw == draw.amin(dim=1, keepdim=True))
    return hidden if rows is None else hidden & rows[:, None]


def mask_codes(
    codes: Tensor, *, rate: float, generator: torch.Generator, rows: Tensor | None = None
) -> Tensor:
    """(B, V) True at all cells of the codes of randomly chosen cells (SOHO, section 3.4).

    A code is hidden wherever it appears in the picture, so that a neighbour does not give it
    away. Cells are drawn until about `rate` of the picture is hidden.
    """
    batch, cells = codes.shape
    order = torch.rand(batch, cells, generator=generator).argsort(dim=1)
    hidden = torch.zeros_like(codes, dtype=torch.bool)
    for place in range(max(int(rate * cells), 1)):
        open_rows = hidden.float().mean(dim=1) < rate
        code = codes.gather(1, order[:, place : place + 1])
        hidden |= (codes == code) & open_rows[:, None]
    return hidden if rows is None else hidden & rows[:, None]


def drop_words(
    ids: Tensor, *, drop: float, shuffle: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Noise for denoising: words dropped, the rest moved by at most about `shuffle` places.

    Args:
        ids: (B, T) with padding 0.

    Returns:
        ids (B, T) and mask (B, T).
    """
    draw = torch.rand(ids.shape, generator=generator)
    kept = (ids != 0) & ((draw >= drop) | (ids < SPECIAL_PIECES))
    place = torch.arange(ids.shape[1], dtype=torch.float32).expand(ids.shape)
    moved = place + shuffle * torch.rand(ids.shape, generator=generator)
    ends = torch.where(place == 0, place, place + shuffle)  # [CLS] stays first, [SEP] last
    moved = torch.where(ids < SPECIAL_PIECES, ends, moved)
    key = moved.masked_fill(~kept, float("inf"))
    order = key.argsort(dim=1, stable=True)
    mask = kept.gather(1, order)
    return ids.gather(1, order).masked_fill(~mask, 0), mask


def thinned(batch: Batch, words: float, cells: float, generator: torch.Generator) -> Batch:
    """A batch with a share of its words hidden and of its cells emptied; nothing is predicted,
    the model only learns to do without single words and cells."""
    if words > 0:
        hidden = torch.rand(batch.ids.shape, generator=generator) < words
        hidden &= batch.ids >= SPECIAL_PIECES
        batch = replace(batch, ids=batch.ids.masked_fill(hidden, MASK_PIECE))
    if cells > 0:
        kept = torch.rand(batch.features.shape[:2], generator=generator) >= cells
        batch = replace(batch, features=batch.features * kept[..., None])
    return batch
