"""Pairs of texts and pictures through a one-stream trunk that reads each picture once.

Under the plan `prefix` (Zhou et al. 2020, "Unified Vision-Language Pre-Training for Image
Captioning and VQA", the sequence-to-sequence mask) cells see cells, words see all cells and the
words before them. So a picture's keys and values are the same beside every text: they are kept,
and a further pair costs its words only.

Legend: B pictures, P pairs, T words, N real words of all pairs, V cells, D width, I inner width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.model.masks import FORBIDDEN

if TYPE_CHECKING:
    from gqa_reasoner.model.block import Block
    from gqa_reasoner.vlp.model import VisionLanguageModel

__all__ = ["PairReading", "PictureMemory", "read_pictures", "read_texts"]


@dataclass(frozen=True)
class PictureMemory:
    """Per row of the trunk the pictures' keys and values, each (B, V, I)."""

    rows: tuple[tuple[Tensor, Tensor], ...]

    def __len__(self) -> int:
        return len(self.rows[0][0])

    def select(self, index: Tensor) -> PictureMemory:
        """The memory of pictures `index` (n,), which may repeat."""
        return PictureMemory(tuple((key[index], value[index]) for key, value in self.rows))

    @staticmethod
    def join(parts: list[PictureMemory]) -> PictureMemory:
        """One after the other."""
        rows = zip(*(part.rows for part in parts), strict=True)
        return PictureMemory(
            tuple(
                (torch.cat([key for key, _ in row]), torch.cat([value for _, value in row]))
                for row in rows
            )
        )


class PairReading(NamedTuple):
    """States (N, D) after the last row of the real words, pair by pair, and each one's pair (N,)
    and place (N,)."""

    states: Tensor
    pair: Tensor
    place: Tensor


def read_pictures(model: VisionLanguageModel, tokens: Tensor) -> PictureMemory:
    """Cells (B, V, D), embedded, through the trunk.

    Raises:
        InputError: the model's plan is not `prefix`.
    """
    _check(model)
    values = tokens
    found = []
    for index in range(len(model.trunk.rows)):
        block = model.trunk.blocks(index)["tied"]
        query, key, value = block.attention.project(_normed(block, values))
        found.append((key, value))
        values = block.finish(values, block.attention.attend(query, key, value, None))
    return PictureMemory(tuple(found))


def read_texts(
    model: VisionLanguageModel, memory: PictureMemory, picture: Tensor, ids: Tensor, mask: Tensor
) -> PairReading:
    """Texts beside pictures; padding is left out of every projection.

    The attention stays in float32 under autocast: on processors, bfloat16 attention is slower.

    Args:
        picture: (P,) which of the memory's pictures each text stands beside.
        ids: (P, T) texts from the start word on.
        mask: (P, T) True at real words, which come first.
    """
    pairs, length = ids.shape
    real = mask.flatten().nonzero().squeeze(1)
    values = model.embed_text(ids).flatten(0, 1).index_select(0, real)
    cells = memory.rows[0][0].shape[1]
    future = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
    bias = torch.zeros(length, cells + length, device=ids.device)
    bias[:, cells:].masked_fill_(future, FORBIDDEN)

    def pad(packed: Tensor) -> Tensor:
        """(N, I) to (P, T, I)."""
        places = packed.new_zeros(pairs * length, packed.shape[-1], dtype=torch.float32)
        return places.index_copy(0, real, packed.float()).unflatten(0, (pairs, length))

    for index, (keys, contents) in enumerate(memory.rows):
        block = model.trunk.blocks(index)["tied"]
        query, key, value = block.attention.project(_normed(block, values))
        with torch.autocast(ids.device.type, enabled=False):
            mixed = block.attention.attend(
                pad(query),
                torch.cat([keys[picture].float(), pad(key)], dim=1),
                torch.cat([contents[picture].float(), pad(value)], dim=1),
                bias[None, None],
            )
        mixed = mixed.flatten(0, 1).index_select(0, real)
        values = model.trunk.norm_after(index, "t", block.finish(values, mixed))
    return PairReading(values, real // length, real % length)


def _normed(block: Block, values: Tensor) -> Tensor:
    return block.attention_norm(values) if block.pre else values


def _check(model: VisionLanguageModel) -> None:
    if model.config.plan != "prefix":
        raise InputError(
            f"recipe {model.config.recipe!r} has the plan {model.config.plan!r}; "
            "reading pictures once needs the plan 'prefix'"
        )
