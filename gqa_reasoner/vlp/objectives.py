"""From a batch to the named losses of a recipe, or of a task that a model is fine-tuned for.

Legend: B pictures, N texts, T text length, V cells, D width, P pairs, K negatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.vlp.corpus import Batch
from gqa_reasoner.vlp.embed import Hidden
from gqa_reasoner.vlp.generation import generation_losses, shifted, word_loss
from gqa_reasoner.vlp.losses import (
    IGNORED,
    hard_negatives,
    image_text_match,
    masked_class,
    masked_code,
    masked_features,
    match_ranking,
    next_token,
    symmetric_contrastive,
    word_patch_alignment,
)
from gqa_reasoner.vlp.masking import (
    SPECIAL_PIECES,
    MaskedWords,
    mask_codes,
    mask_regions,
    mask_words,
)
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import Recipe
from gqa_reasoner.vlp.targets import CellClasses

__all__ = ["Guide", "Objective", "captioning_loss", "join_tags", "retrieval_loss"]


@dataclass(frozen=True)
class Guide:
    """A dual encoder's embeddings of the corpus, from which hard negatives are drawn:
    `images` (pictures, S) and `texts` (pictures, captions, S), and its scale. With `fold`
    (pictures,) only pictures and texts of the same fold are comparable (see `cross_fit`)."""

    images: Tensor
    texts: Tensor
    scale: float = 20.0
    fold: Tensor | None = None

    def scores(self, batch: Batch) -> Tensor:
        """(N, B) scaled similarities of the batch's texts and pictures."""
        return self.scale * self.cosines(batch)

    def cosines(self, batch: Batch) -> Tensor:
        """(N, B) similarities of the batch's texts and pictures."""
        return self.texts[batch.rows[batch.owner], batch.captions] @ self.images[batch.rows].T

    def neighbours(self, count: int) -> Tensor:
        """(pictures, count) the pictures that are most often confused with each: by the larger
        of both ways' best cosine between the one's texts and the other."""
        fold = self.fold if self.fold is not None else torch.zeros(len(self.images)).long()
        count = min(count, int(fold.bincount().min()) - 1)
        found = torch.zeros(len(self.images), count, dtype=torch.int64)
        for number in fold.unique().tolist():
            rows = (fold == number).nonzero().squeeze(1)
            cosines = self.texts[rows].flatten(0, 1) @ self.images[rows].T
            best = cosines.unflatten(0, (len(rows), -1)).amax(dim=1)
            both = (best + best.T).fill_diagonal_(-4.0)
            found[rows] = rows[both.topk(count, dim=1).indices]
        return found


@dataclass
class Objective:
    """The losses of a recipe's pre-training, by name and unweighted.

    Args:
        recipe: which losses, and how much is hidden.
        vocabulary: number of word pieces.
        classes: of cells, for `masked_class`.
        guide: where the recipe has both a match loss and a guide, mismatched pictures are drawn
            by its scores.
    """

    recipe: Recipe
    vocabulary: int
    classes: CellClasses | None = None
    guide: Guide | None = None
    mismatched: float = 0.5

    def losses(
        self, model: VisionLanguageModel, batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """All losses of one batch."""
        if self.recipe.plan == "dual":
            return {"contrastive": _contrastive(model, batch)}
        if self.recipe.plan == "encoder_decoder":
            return generation_losses(
                model, batch, self.recipe.losses, self.recipe.masking, generator
            )
        if "unpaired" in self.recipe.transforms:
            return self._unpaired(model, batch, generator)
        return self._paired(model, batch, generator)

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum."""
        return torch.stack([self.recipe.losses[name] * losses[name] for name in losses]).sum()

    # ---- one- and two-stream models --------------------------------------------------------

    def _paired(
        self, model: VisionLanguageModel, batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """One pass over pairs, some of them mismatched. Parts are hidden in all of them, so that
        a [MASK] tells nothing about the match, but only true pairs count for masked losses."""
        matched, picture = self._partners(batch, generator)
        words_rows, region_rows = self._sides(len(matched), generator)
        masked = self._mask_words(batch.ids, batch.starts, words_rows, generator)
        text = model.embed_text(masked.ids, language=batch.language)
        mask, labels = batch.mask, masked.labels
        if batch.tags is not None:
            tags = batch.tags
            hidden_tags = self._mask_words(tags.ids, tags.starts, None, generator)
            tag_labels = hidden_tags.labels[picture]
            shown = words_rows[:, None]
            ids = torch.where(shown, hidden_tags.ids[picture], tags.ids[picture])
            text, mask = join_tags(model, text, mask, ids, tags.mask[picture], tags.boxes[picture])
            tag_labels = tag_labels.masked_fill(~shown, IGNORED)[
                :, : mask.shape[1] - labels.shape[1]
            ]
            labels = torch.cat([labels, tag_labels], dim=1)
        labels = labels.masked_fill(~matched[:, None], IGNORED)
        features = batch.features[picture]
        hide = self._region_mask(features, region_rows, generator)
        vision = model.embed_images(features, hidden=hide)
        tokens, kept = self._sampled(model, vision.tokens, generator)
        output = model.trunk(text, tokens, text_mask=mask)
        found: dict[str, Tensor] = {}
        wanted = self.recipe.losses
        if "masked_words" in wanted:
            found["masked_words"] = word_loss(model, _present(output.text), labels)
        if vision.hidden is not None:
            counted = _gathered(vision.hidden & matched[:, None], kept)
            codes = None if vision.codes is None else _gathered(vision.codes, kept)
            seen = _gathered(features, kept)
            found |= self._region_losses(model, output.vision, seen, codes, counted)
        if "match" in wanted:
            found["match"] = image_text_match(model.pair_logits(output, mask), matched)
        if "alignment" in wanted:
            real = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
            words = mask.clone()
            words[:, : batch.ids.shape[1]] &= batch.ids >= SPECIAL_PIECES
            found["alignment"] = word_patch_alignment(
                output.text, output.vision, words, real, matched
            )
        return {name: found[name] for name in wanted}

    def _unpaired(
        self, model: VisionLanguageModel, batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Texts alone; pictures with the detector's tags as their text. Never a caption with
        its picture."""
        if batch.tags is None:
            raise InputError(
                f"recipe {self.recipe.name!r} needs detector tags of the pictures (--scenes)"
            )
        masked = self._mask_words(batch.ids, batch.starts, None, generator)
        text = model.embed_text(masked.ids, language=batch.language)
        alone = model.trunk(text, text_mask=batch.mask)
        text_loss = word_loss(model, _present(alone.text), masked.labels)

        tags = batch.tags
        start = torch.full((len(tags.ids), 1), 2)  # [CLS]
        hidden_tags = self._mask_words(tags.ids, tags.starts, None, generator)
        first = model.embed_text(start)
        joined, mask = join_tags(
            model, first, torch.ones_like(start, dtype=torch.bool), hidden_tags.ids, tags.mask,
            tags.boxes,
        )  # fmt: skip
        rows = torch.ones(len(batch.features), dtype=torch.bool)
        hide = self._region_mask(batch.features, rows, generator)
        vision = model.embed_images(batch.features, hidden=hide)
        output = model.trunk(joined, vision.tokens, text_mask=mask)
        labels = functional.pad(hidden_tags.labels, (1, 0), value=IGNORED)
        tag_loss = word_loss(model, _present(output.text), labels)
        found = {"masked_words": (text_loss + tag_loss) / 2}
        if vision.hidden is not None:
            found |= self._region_losses(
                model, output.vision, batch.features, vision.codes, vision.hidden
            )
        return {name: found[name] for name in self.recipe.losses}

    def _partners(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(N,) whether each text keeps its picture, and the picture it is shown with."""
        count, pictures = len(batch.ids), len(batch.features)
        matched = torch.ones(count, dtype=torch.bool)
        picture = batch.owner.clone()
        if "match" not in self.recipe.losses or pictures < 2:
            return matched, picture
        matched = torch.rand(count, generator=generator) >= self.mismatched
        if self.guide is not None:
            positive = batch.owner[:, None] == torch.arange(pictures)[None]
            others = hard_negatives(self.guide.scores(batch), positive, 1, generator)[:, 0]
        else:
            shift = torch.randint(1, pictures, (count,), generator=generator)
            others = (batch.owner + shift) % pictures
        return matched, torch.where(matched, picture, others)

    def _sides(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(N,) where words are hidden, and where regions are."""
        words = torch.ones(count, dtype=torch.bool)
        if not self.recipe.masking.one_side:
            return words, words
        words = torch.rand(count, generator=generator) < 0.5
        return words, ~words

    def _mask_words(
        self, ids: Tensor, starts: Tensor, rows: Tensor | None, generator: torch.Generator
    ) -> MaskedWords:
        masking = self.recipe.masking
        return mask_words(
            ids,
            vocabulary=self.vocabulary,
            rate=masking.words,
            starts=starts if masking.whole_words else None,
            rows=rows,
            generator=generator,
        )

    def _region_mask(self, features: Tensor, rows: Tensor, generator: torch.Generator) -> Hidden:
        """What to withhold of the pictures, as `embed_images` takes it."""
        wanted, rate = self.recipe.losses, self.recipe.masking.regions
        if "masked_codes" in wanted:
            return lambda codes: mask_codes(codes, rate=rate, rows=rows, generator=generator)
        if "masked_class" in wanted or "masked_features" in wanted:
            batch, cells = features.shape[:2]
            return mask_regions(batch, cells, rate=rate, rows=rows, generator=generator)
        return None

    def _sampled(
        self, model: VisionLanguageModel, tokens: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """A random part of the cells while training (Pixel-BERT, section 3.3)."""
        count = model.config.sizes.sampled_cells
        if not model.training or not 0 < count < tokens.shape[1]:
            return tokens, None
        draw = torch.rand(tokens.shape[:2], generator=generator)
        kept = draw.argsort(dim=1)[:, :count]
        return _gathered(tokens, kept), kept

    def _region_losses(
        self,
        model: VisionLanguageModel,
        states: Tensor | None,
        features: Tensor,
        codes: Tensor | None,
        counted: Tensor,
    ) -> dict[str, Tensor]:
        """The losses over hidden cells, (N, V) True where they count."""
        wanted = self.recipe.losses
        found: dict[str, Tensor] = {}
        if states is None:
            return found
        every = torch.ones(1, int(counted.sum()), dtype=torch.bool)
        if "masked_class" in wanted:
            if self.classes is None or model.classes is None:
                raise InputError(f"recipe {self.recipe.name!r} needs object classes of cells")
            logits = model.classes(states[counted])[None].float()
            target = self.classes.distribution(features[counted])[None]
            found["masked_class"] = masked_class(logits, target, every)
        if "masked_features" in wanted and model.features is not None:
            target = functional.layer_norm(features[counted], features.shape[-1:])[None]
            predicted = model.features(states[counted])[None].float()
            found["masked_features"] = masked_features(predicted, target, every)
        if "masked_codes" in wanted and model.codes is not None and codes is not None:
            found["masked_codes"] = masked_code(model.codes(states), codes, counted)
        return found


def _gathered(values: Tensor, kept: Tensor | None) -> Tensor:
    """(B, V) or (B, V, D) at the kept cells (B, n)."""
    if kept is None:
        return values
    index = kept if values.ndim == 2 else kept[..., None].expand(-1, -1, values.shape[-1])
    return values.gather(1, index)


def _present(states: Tensor | None) -> Tensor:
    if states is None:
        raise InputError("masked words: expected text states, got none")
    return states


def join_tags(
    model: VisionLanguageModel, text: Tensor, mask: Tensor, ids: Tensor, tag_mask: Tensor,
    boxes: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Append tags (N, G), words that carry their boxes, to embedded texts (N, T, D)."""
    room = model.config.sizes.text_length - text.shape[1]
    ids, tag_mask, boxes = ids[:, :room], tag_mask[:, :room], boxes[:, :room]
    tokens = model.embed_text(ids, boxes=boxes, offset=text.shape[1])
    return torch.cat([text, tokens], dim=1), torch.cat([mask, tag_mask], dim=1)


def _contrastive(model: VisionLanguageModel, batch: Batch) -> Tensor:
    images = model.encode_images(batch.features)
    texts = model.encode_text(batch.ids, batch.mask, batch.language)
    return symmetric_contrastive(images, texts, model.scale, batch.owner)


def retrieval_loss(
    model: VisionLanguageModel,
    batch: Batch,
    generator: torch.Generator,
    *,
    negatives: int = 3,
    guide: Guide | None = None,
) -> Tensor:
    """Fine-tuning for search: contrastive for dual encoders; for the others each true pair is
    ranked against `negatives` other pictures and as many other texts, drawn evenly or, with a
    guide, by its scores; with 0 against all of the batch, which reads every pair."""
    if model.config.plan == "dual":
        return _contrastive(model, batch)
    count, pictures = len(batch.ids), len(batch.features)
    if pictures < 2:
        raise InputError("retrieval: a batch needs at least two pictures")
    if negatives == 0:
        return _all_pairs(model, batch)
    positive = batch.owner[:, None] == torch.arange(pictures)[None]
    scores = torch.zeros(count, pictures) if guide is None else guide.scores(batch)
    own_texts = batch.owner[:, None] == batch.owner[None]
    images = hard_negatives(scores, positive, negatives, generator)
    texts = hard_negatives(scores.T[batch.owner], own_texts, negatives, generator)
    here = torch.arange(count)
    text_index = torch.cat([here, here.repeat_interleave(negatives), texts.flatten()])
    image_index = torch.cat(
        [batch.owner, images.flatten(), batch.owner.repeat_interleave(negatives)]
    )
    text = model.embed_text(batch.ids, language=batch.language)
    vision = model.embed_images(batch.features).tokens
    logits = model.match_tokens(text[text_index], batch.mask[text_index], vision[image_index])
    true, by_image, by_text = logits.float().split([count, count * negatives, count * negatives])
    to_image = torch.cat([true[:, None], by_image.view(count, -1)], dim=1)
    to_text = torch.cat([true[:, None], by_text.view(count, -1)], dim=1)
    return (match_ranking(to_image) + match_ranking(to_text)) / 2


def _all_pairs(model: VisionLanguageModel, batch: Batch) -> Tensor:
    """Every text with every picture of the batch: the true picture among all pictures, and the
    true text among the texts of other pictures."""
    count, pictures = len(batch.ids), len(batch.features)
    text = model.embed_text(batch.ids, language=batch.language)
    vision = model.embed_images(batch.features).tokens
    logits = model.match_tokens(
        text.repeat_interleave(pictures, dim=0),
        batch.mask.repeat_interleave(pictures, dim=0),
        vision.repeat(count, 1, 1),
    )
    scores = logits.float().view(count, pictures)
    to_image = functional.cross_entropy(scores, batch.owner)
    here = torch.arange(count)
    siblings = (batch.owner[:, None] == batch.owner[None]) & (here[:, None] != here[None])
    to_text = functional.cross_entropy(
        scores.T[batch.owner].masked_fill(siblings, float("-inf")), here
    )
    return (to_image + to_text) / 2


def captioning_loss(model: VisionLanguageModel, batch: Batch, *, smoothing: float = 0.1) -> Tensor:
    """Fine-tuning for captions: the next word, given the picture and the words so far."""
    from gqa_reasoner.vlp.captioning.teaching import taught_logits

    inputs, labels = shifted(batch.ids, batch.mask)
    pictures = len(batch.features)
    each = torch.arange(pictures).repeat_interleave(max(len(inputs) // pictures, 1))
    if not torch.equal(batch.owner, each):  # pictures with different numbers of captions
        vision = model.embed_images(batch.features).tokens[batch.owner]
        states = model.generate_states(inputs, batch.mask, vision, None)
        return word_loss(model, states, labels, smoothing)
    shape = (pictures, -1, inputs.shape[1])
    ids, labels = inputs.view(shape), labels.view(shape)
    counted = labels != IGNORED
    logits = taught_logits(model, batch.features, ids, counted)
    return next_token(logits[None], labels[counted][None], smoothing)
