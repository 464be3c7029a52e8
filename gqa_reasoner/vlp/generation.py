"""The losses of a captioner: captions, masked generation, denoising, features from words (XGPT).

Legend: B pictures, N texts, T text length, V cells, D width. A text of a batch is
[CLS] words [SEP]; a target is [BOS] words, predicting words [EOS].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from gqa_reasoner.vlp.losses import IGNORED, masked_features, next_token
from gqa_reasoner.vlp.masking import SPECIAL_PIECES, drop_words

if TYPE_CHECKING:
    from gqa_reasoner.vlp.corpus import Batch
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.recipe import Masking

__all__ = ["generation_losses", "shifted", "word_loss"]

CLS, SEP, MASK, BOS, EOS = 2, 3, 4, 5, 6


def shifted(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A text as the decoder's input [BOS] words (N, T), with the same mask, and its labels
    words [EOS], `IGNORED` past the end."""
    inputs = torch.where(ids == CLS, BOS, ids)
    labels = functional.pad(ids[:, 1:], (0, 1))
    labels = torch.where(labels == SEP, EOS, labels)
    ended = ids == SEP
    return inputs.masked_fill(ended, 0), labels.masked_fill(ended | ~mask, IGNORED)


def generation_losses(
    model: VisionLanguageModel,
    batch: Batch,
    wanted: Mapping[str, float],
    masking: Masking,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The wanted losses of one batch.

    * next_token: the caption from the picture.
    * masked_generation: a span of the caption, hidden in the source, from picture and rest.
    * denoising: the caption from picture and a shuffled, thinned caption.
    * feature_generation: the cells' features, normalised, from the caption alone; the decoder's
      inputs are the cells' places.
    """
    found: dict[str, Tensor] = {}
    inputs, labels = shifted(batch.ids, batch.mask)
    vision = model.embed_images(batch.features).tokens[batch.owner]
    if "next_token" in wanted:
        states = model.generate_states(inputs, batch.mask, vision, None)
        found["next_token"] = word_loss(model, states, labels, 0.1)
    if "masked_generation" in wanted:
        source, span = _hide_span(batch.ids, batch.mask, generator)
        memory, memory_mask = _source(model, vision, source, batch.mask)
        states = model.generate_states(inputs, batch.mask, memory, memory_mask)
        inside = functional.pad(span[:, 1:], (0, 1), value=False)
        hidden = labels.masked_fill(~inside, IGNORED)
        found["masked_generation"] = word_loss(model, states, hidden)
    if "denoising" in wanted:
        source, source_mask = drop_words(batch.ids, drop=0.3, shuffle=3.0, generator=generator)
        memory, memory_mask = _source(model, vision, source, source_mask)
        states = model.generate_states(inputs, batch.mask, memory, memory_mask)
        found["denoising"] = word_loss(model, states, labels)
    if "feature_generation" in wanted:
        found["feature_generation"] = _feature_loss(model, batch)
    return found


def word_loss(
    model: VisionLanguageModel, states: Tensor, labels: Tensor, smoothing: float = 0.0
) -> Tensor:
    """`next_token` of states (N, T, D); logits are computed only where there is a label."""
    counted = labels != IGNORED
    if not bool(counted.any()):
        return states.sum() * 0
    return next_token(model.word_logits(states[counted])[None], labels[counted][None], smoothing)


def _source(
    model: VisionLanguageModel, vision: Tensor, ids: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """[cells | words] as the encoder's input, and its mask."""
    real = torch.ones(vision.shape[:2], dtype=torch.bool, device=vision.device)
    return torch.cat([vision, model.embed_text(ids)], dim=1), torch.cat([real, mask], dim=1)


def _hide_span(ids: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the words of each text, in one piece, become [MASK]; also where (N, T)."""
    words = (ids >= SPECIAL_PIECES) | (ids == 1)
    count = words.sum(dim=1)
    length = (count / 2).ceil().long().clamp(min=1)
    draw = torch.rand(len(ids), generator=generator)
    start = 1 + (draw * (count - length + 1)).long()
    place = torch.arange(ids.shape[1])[None]
    span = (place >= start[:, None]) & (place < (start + length)[:, None]) & words & mask
    return ids.masked_fill(span, MASK), span


def _feature_loss(model: VisionLanguageModel, batch: Batch) -> Tensor:
    """Regression of all cells of a picture from its caption."""
    count, cells = len(batch.ids), model.config.cells
    blank = model.vision_embedding.hidden.expand(count, cells, -1)
    queries = model.vision_embedding.finish(blank)
    memory = model.embed_text(batch.ids)
    output = model.trunk(queries, memory, vision_mask=batch.mask)
    target = functional.layer_norm(batch.features, batch.features.shape[-1:])[batch.owner]
    if model.features is None or output.text is None:
        return queries.sum() * 0
    every = torch.ones(target.shape[:2], dtype=torch.bool)
    return masked_features(model.features(output.text).float(), target, every)
