"""Losses of the one-stream reader (plan `prefix`): writing captions, and ranking pairs.

Legend: B pictures, N texts, T words, G pictures of a group, P pairs, W vocabulary. A batch of
groups holds G confusable pictures after G others; each text is read beside all of its group's
pictures, and beside none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.vlp.masking import SPECIAL_PIECES
from gqa_reasoner.vlp.pair_score import ReadPairs, blank_memory, read_pairs
from gqa_reasoner.vlp.reading import PictureMemory, read_pictures

if TYPE_CHECKING:
    from gqa_reasoner.vlp.corpus import Batch
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.objectives import Guide
    from gqa_reasoner.vlp.training_config import TrainingConfig

__all__ = ["group_ranking", "ranking_losses", "reader_losses", "total_loss", "writing_loss"]


def reader_losses(
    model: VisionLanguageModel,
    batch: Batch,
    generator: torch.Generator,
    config: TrainingConfig,
    guide: Guide | None,
) -> dict[str, Tensor]:
    """The losses that the configuration asks for; nothing is hidden while measuring.

    Raises:
        InputError: a task that a reader cannot be trained for.
    """
    dropout = config.word_dropout if model.training else 0.0
    if config.objective == "retrieval":
        return ranking_losses(
            model,
            batch,
            generator,
            guide=guide,
            group=config.group,
            smoothing=config.smoothing,
            word_dropout=dropout,
        )
    blank = config.blank if model.training else 0.0
    loss = writing_loss(
        model, batch, generator, smoothing=config.smoothing, word_dropout=dropout, blank=blank
    )
    return {"next_token": loss}


def total_loss(parts: dict[str, Tensor], config: TrainingConfig) -> Tensor:
    """Ranking, and so much of writing; or writing alone."""
    if "ranking" not in parts:
        return parts["next_token"]
    return parts["ranking"] + config.writing * parts["next_token"]


def writing_loss(
    model: VisionLanguageModel,
    batch: Batch,
    generator: torch.Generator,
    *,
    smoothing: float = 0.0,
    word_dropout: float = 0.0,
    blank: float = 0.0,
) -> Tensor:
    """The next word of each caption beside its picture.

    Args:
        word_dropout: share of words that are read as [MASK] (and predicted all the same).
        blank: share of pictures that are withheld, so that the model knows how probable a
            caption is without one.
    """
    memory = read_pictures(model, model.embed_images(batch.features).tokens)
    nothing = PictureMemory.join([memory, blank_memory(model)])
    withheld = torch.rand(len(batch.features), generator=generator) < blank
    picture = torch.arange(len(batch.features)).masked_fill(withheld, len(batch.features))
    hidden = _hidden(batch.ids, word_dropout, generator)
    read = read_pairs(model, nothing, picture[batch.owner], batch.ids, batch.mask, hidden)
    return _word_loss(read, torch.ones(len(batch.ids), dtype=torch.bool), smoothing)


def ranking_losses(
    model: VisionLanguageModel,
    batch: Batch,
    generator: torch.Generator,
    *,
    guide: Guide | None,
    group: int,
    smoothing: float = 0.0,
    word_dropout: float = 0.0,
) -> dict[str, Tensor]:
    """`ranking`: every text finds its picture and every picture its texts within their group, by
    the pair score beside the guide's cosine; `next_token`: the captions of the true pairs go on
    being learned.

    Raises:
        InputError: pictures that do not make whole groups.
    """
    pictures, texts = len(batch.features), len(batch.ids)
    if group < 2 or pictures % group:
        raise InputError(
            f"retrieval: a reader ranks groups of at least 2 pictures (group in the "
            f"configuration), got {pictures} pictures in groups of {group}"
        )
    if model.pair_score is None:
        raise InputError(f"recipe {model.config.recipe!r} has no pair score")
    memory = read_pictures(model, model.embed_images(batch.features).tokens)
    memory = PictureMemory.join([memory, blank_memory(model)])
    text = torch.arange(texts)
    first = batch.owner // group * group
    beside = first[:, None] + torch.arange(group)
    pair_text = torch.cat([text.repeat_interleave(group), text])
    pair_picture = torch.cat([beside.flatten(), torch.full((texts,), pictures)])
    ids, mask = batch.ids[pair_text], batch.mask[pair_text]
    read = read_pairs(model, memory, pair_picture, ids, mask, _hidden(ids, word_dropout, generator))
    seen, unseen = read.likelihood.split([texts * group, texts])
    match = read.match[: texts * group].view(texts, group)
    scores = model.pair_score(seen.view(texts, group), unseen[:, None], match)
    if guide is not None:
        cosines = guide.cosines(batch).gather(1, beside)
        scores = scores + model.pair_score.guide * cosines
    true = (pair_picture == batch.owner[pair_text]) | (pair_picture == pictures)
    return {
        "ranking": group_ranking(scores, batch.owner, group),
        "next_token": _word_loss(read, true, smoothing),
    }


def group_ranking(scores: Tensor, owner: Tensor, group: int) -> Tensor:
    """Mean of both directions' cross-entropies.

    Args:
        scores: (N, G) of each text with the pictures of its group.
        owner: (N,) each text's picture; texts of a group lie together.
        group: G.
    """
    target = owner % group
    to_picture = functional.cross_entropy(scores, target)
    number = owner // group
    losses = []
    for one in number.unique().tolist():
        own = scores[number == one]
        positive = target[number == one][:, None] == torch.arange(group)
        others = own.masked_fill(positive, float("-inf")).logsumexp(dim=0, keepdim=True)
        losses.append((torch.logaddexp(own, others) - own)[positive])
    return (to_picture + torch.cat(losses).mean()) / 2


def _hidden(ids: Tensor, share: float, generator: torch.Generator) -> Tensor | None:
    if share <= 0:
        return None
    return (torch.rand(ids.shape, generator=generator) < share) & (ids >= SPECIAL_PIECES)


def _word_loss(read: ReadPairs, counted: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy over the words of the counted pairs (P,)."""
    words = counted[read.pair]
    return functional.cross_entropy(
        read.logits[words], read.labels[words], label_smoothing=smoothing
    )
