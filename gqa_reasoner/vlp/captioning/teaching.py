"""Teacher forcing with several captions per picture: each picture is encoded once.

Legend: B pictures, K captions of a picture, T words, N real words of the batch, V cells,
F feature width, D width, I inner width, W vocabulary.

The captions of a picture read the same keys and values as one long query, and padding is left
out of every projection. The result is that of `caption_logits` on the repeated pictures. Under
autocast the decoder's attention stays in float32: on processors, bfloat16 attention is slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gqa_reasoner.model.block import Block
from gqa_reasoner.model.masks import FORBIDDEN
from gqa_reasoner.vlp.captioning.beam_steps import check_plan

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel

__all__ = ["taught_logits"]


def taught_logits(
    model: VisionLanguageModel, features: Tensor, ids: Tensor, mask: Tensor
) -> Tensor:
    """Logits (N, W) of the word after each real word.

    Args:
        features: (B, V, F).
        ids: (B, K, T) captions from the start word on.
        mask: (B, K, T) True at real words, which come first; N of them, row by row.

    Raises:
        InputError: the model's plan is not an encoder–decoder.
    """
    trunk = model.trunk
    check_plan(trunk.config.plan)
    memory = trunk(vision=model.embed_images(features).tokens).vision
    pictures, captions, length = ids.shape
    flat = ids.flatten(0, 1)
    real = mask.flatten().nonzero().squeeze(1)  # (N,) places in B * K * T
    values = model.embed_text(flat).flatten(0, 1).index_select(0, real)  # (N, D)

    def pad(packed: Tensor) -> Tensor:
        """(N, I) to (B * K, T, I)."""
        places = packed.new_zeros(flat.numel(), packed.shape[-1])
        return places.index_copy(0, real, packed).unflatten(0, tuple(flat.shape))

    future = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
    causal = torch.zeros(length, length, device=ids.device).masked_fill_(future, FORBIDDEN)
    for index, row in enumerate(trunk.config.plan.rows):
        if "t" not in row.active:
            continue
        block = trunk.blocks(index)["t"]
        source = block.attention_norm(values) if block.pre else values
        if row.tt == "causal":
            query, key, value = (pad(part) for part in block.attention.project(source))
            mixed = _attend(block, query, key, value, causal[None, None])
        else:
            query = pad(block.attention.project_queries(source))
            query = query.reshape(pictures, captions * length, -1)
            key, value = block.attention.project_keys(memory)
            mixed = _attend(block, query, key, value, None)
        mixed = mixed.reshape(flat.numel(), -1).index_select(0, real)
        values = block.finish(values, mixed)
        values = trunk.norm_after(index, "t", values)
    return model.word_logits(values)


def _attend(block: Block, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    with torch.autocast(query.device.type, enabled=False):
        return block.attention.attend(query.float(), key.float(), value.float(), bias)
