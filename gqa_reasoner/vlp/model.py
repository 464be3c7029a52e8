"""`VisionLanguageModel`: embed -> Trunk(plan) -> heads, for every recipe of the family.

Legend: B batch, T text length, V vision cells, F feature width, D width, S shared space,
W words of the vocabulary. Which methods a model has depends on its plan: dual encoders embed
texts and pictures apart, one- and two-stream models read pairs, encoder-decoders write captions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from detectors.errors import InputError
from gqa_reasoner.model.embed import TextEmbedding
from gqa_reasoner.model.trunk import Cache, Trunk, TrunkOutput
from gqa_reasoner.vlp.config import ModelConfig, trunk_config
from gqa_reasoner.vlp.embed import Hidden, VisionEmbedding, VisionTokens
from gqa_reasoner.vlp.heads import MatchHead, Pool, Projection, WordHead, initialise
from gqa_reasoner.vlp.pair_score import PairScore, blank_memory, read_pairs
from gqa_reasoner.vlp.reading import read_pictures

__all__ = ["DecodeState", "VisionLanguageModel"]

LARGEST_SCALE = 100.0


@dataclass
class DecodeState:
    """Where a batch of captions stands: the pictures until they are encoded, then the cache."""

    vision: Tensor | None
    cache: Cache = field(default_factory=Cache)

    def reorder(self, index: Tensor) -> None:
        """Keep rows `index` (N,) of the batch, for beams; also how one row becomes several."""
        if self.vision is not None:
            self.vision = self.vision.index_select(0, index)
        self.cache.rows = {
            place: (key.index_select(0, index), value.index_select(0, index))
            for place, (key, value) in self.cache.rows.items()
        }


class VisionLanguageModel(nn.Module):
    """One recipe's model."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        sizes, losses = config.sizes, set(config.losses)
        self.text_embedding = TextEmbedding(
            config.vocabulary,
            sizes.width,
            positions=sizes.text_length,
            segments=len(config.languages),
            epsilon=1e-6,
            dropout=sizes.dropout,
        )
        self.tag_place = nn.Linear(5, sizes.width, bias=False)
        self.vision_embedding = VisionEmbedding(config)
        self.trunk = Trunk(trunk_config(config))
        self.words: WordHead | None = None
        self.classes: nn.Linear | None = None
        self.features: nn.Linear | None = None
        self.codes: nn.Linear | None = None
        self.match: MatchHead | None = None
        self.pair_score: PairScore | None = None
        if config.plan == "dual":
            text_pool = "last" if config.causal_text and sizes.pool == "first" else sizes.pool
            self.text_pool = Pool(text_pool, sizes.width)
            self.vision_pool = Pool(sizes.vision_pool, sizes.width)
            self.text_projection = Projection(sizes.width, sizes.space)
            self.vision_projection = Projection(sizes.width, sizes.space)
            self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        elif config.plan in ("encoder_decoder", "prefix"):
            self.words = WordHead(self.text_embedding.words)
            if config.plan == "prefix":
                self.pair_score = PairScore(sizes.width)
        else:
            self.match = MatchHead(
                sizes.width, pool=sizes.pool, product=config.plan == "two_stream"
            )
        if "masked_words" in losses:
            self.words = WordHead(self.text_embedding.words)
        if "masked_class" in losses:
            self.classes = nn.Linear(sizes.width, config.classes)
        if losses & {"masked_features", "feature_generation"}:
            self.features = nn.Linear(sizes.width, config.tower_width)
        if "masked_codes" in losses:
            self.codes = nn.Linear(sizes.width, sizes.codes)
        self.apply(initialise)
        self._initialise_trunk()
        if self.pair_score is not None:
            self.pair_score.start()

    def _initialise_trunk(self) -> None:
        """Under pre-norm, what is added to the stream starts small (Radford et al. 2019)."""
        if self.config.norm == "pre":
            share = 1 / math.sqrt(2 * len(self.trunk.rows))
            for name, value in self.trunk.named_parameters():
                if name.endswith("output.weight"):
                    value.data.mul_(share)

    # ---- embedding -------------------------------------------------------------------------

    def embed_text(
        self,
        ids: Tensor,
        *,
        language: Tensor | None = None,
        boxes: Tensor | None = None,
        offset: int = 0,
    ) -> Tensor:
        """Words to tokens (B, T, D).

        Args:
            ids: (B, T).
            language: (B,) index into `config.languages`; None: the first.
            boxes: (B, T, 5) places of detector tags, zeros at words.
            offset: words before these.

        Raises:
            InputError: the text is longer than the model's positions.
        """
        longest = self.config.sizes.text_length
        if ids.shape[1] + offset > longest:
            raise InputError(
                f"text: expected at most {longest} word pieces, got {ids.shape[1] + offset}"
            )
        segments = None if language is None else language[:, None].expand_as(ids)
        total = self.text_embedding.sum(ids, segments, offset)
        if boxes is not None:
            total = total + self.tag_place(boxes)
        return self.text_embedding.finish(total)

    def embed_images(
        self, features: Tensor, *, hidden: Hidden = None, boxes: Tensor | None = None
    ) -> VisionTokens:
        """Tower features (B, V, F) to tokens; see `VisionEmbedding`.

        Raises:
            InputError: features of another shape than the model's tower gives.
        """
        expected = (self.config.cells, self.config.tower_width)
        if features.ndim != 3 or (boxes is None and tuple(features.shape[1:]) != expected):
            raise InputError(
                f"image features: expected (batch, {expected[0]}, {expected[1]}) of tower "
                f"{self.config.tower!r}, got {tuple(features.shape)}"
            )
        tokens: VisionTokens = self.vision_embedding(features, hidden=hidden, boxes=boxes)
        return tokens

    # ---- dual encoders ---------------------------------------------------------------------

    def encode_text(
        self, ids: Tensor, mask: Tensor | None = None, language: Tensor | None = None
    ) -> Tensor:
        """(B, T) words to (B, S) rows of length 1.

        Raises:
            InputError: not a dual encoder.
        """
        self._require("dual", "encode_text")
        text = self.embed_text(ids, language=language)
        output = self.trunk(text, text_mask=mask, packed=True, keep_hidden=False)
        return self.text_projection(self.text_pool(output.text, mask))

    def encode_images(self, features: Tensor) -> Tensor:
        """(B, V, F) features to (B, S) rows of length 1.

        Raises:
            InputError: not a dual encoder.
        """
        self._require("dual", "encode_images")
        output = self.trunk(vision=self.embed_images(features).tokens)
        return self.vision_projection(self.vision_pool(output.vision))

    @property
    def scale(self) -> Tensor:
        """The learned factor on cosine similarities, at most 100 (Radford et al. 2021)."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    # ---- one- and two-stream models --------------------------------------------------------

    def fuse(
        self,
        ids: Tensor,
        mask: Tensor | None,
        features: Tensor,
        language: Tensor | None = None,
    ) -> TrunkOutput:
        """Pairs of texts and pictures through the trunk.

        Raises:
            InputError: not a one- or two-stream model.
        """
        self._require("one_stream two_stream", "fuse")
        text = self.embed_text(ids, language=language)
        output: TrunkOutput = self.trunk(text, self.embed_images(features).tokens, text_mask=mask)
        return output

    def match_score(
        self,
        ids: Tensor,
        mask: Tensor | None,
        features: Tensor,
        language: Tensor | None = None,
    ) -> Tensor:
        """Logits (B,) that row i's text and picture belong together.

        Raises:
            InputError: not a one- or two-stream model.
        """
        self._require("one_stream two_stream prefix", "match_score")
        if self.pair_score is not None:
            mask = ids != 0 if mask is None else mask
            memory = read_pictures(self, self.embed_images(features).tokens)
            here = torch.arange(len(ids))
            seen = read_pairs(self, memory, here, ids, mask)
            unseen = read_pairs(self, blank_memory(self), here * 0, ids, mask)
            score: Tensor = self.pair_score(seen.likelihood, unseen.likelihood, seen.match)
            return score
        text = self.embed_text(ids, language=language)
        return self.match_tokens(text, mask, self.embed_images(features).tokens)

    def match_tokens(self, text: Tensor, mask: Tensor | None, vision: Tensor) -> Tensor:
        """As `match_score`, from tokens (B, T, D) and (B, V, D) that are embedded already.

        Raises:
            InputError: not a one- or two-stream model.
        """
        output = self.trunk(text, vision, text_mask=mask)
        return self.pair_logits(output, mask)

    def pair_logits(self, output: TrunkOutput, mask: Tensor | None) -> Tensor:
        """Match logits (B,) of pairs that went through the trunk.

        Raises:
            InputError: the model has no match head, or a stream is absent.
        """
        if self.match is None or output.text is None or output.vision is None:
            raise InputError(f"recipe {self.config.recipe!r} has no match head")
        logits: Tensor = self.match(output.text, mask, output.vision)
        return logits

    # ---- captioners ------------------------------------------------------------------------

    def caption_logits(self, ids: Tensor, mask: Tensor | None, features: Tensor) -> Tensor:
        """Teacher forcing: (B, T) words from <bos> on to logits (B, T, W) of the next words.

        Raises:
            InputError: not a captioner.
        """
        self._require("encoder_decoder", "caption_logits")
        vision = self.embed_images(features).tokens
        return self.word_logits(self.generate_states(ids, mask, vision, None))

    def generate_states(
        self, ids: Tensor, mask: Tensor | None, memory: Tensor, memory_mask: Tensor | None
    ) -> Tensor:
        """Decoder states (B, T, D) of words from <bos> on, over any source tokens (B, M, D) with
        their mask (B, M); `word_logits` reads them."""
        output = self.trunk(self.embed_text(ids), memory, text_mask=mask, vision_mask=memory_mask)
        states: Tensor = output.text
        return states

    def begin_captions(self, features: Tensor) -> DecodeState:
        """Take pictures (B, V, F) for step-by-step decoding.

        Raises:
            InputError: not a captioner.
        """
        self._require("encoder_decoder", "begin_captions")
        return DecodeState(self.embed_images(features).tokens)

    def caption_step(self, state: DecodeState, ids: Tensor) -> Tensor:
        """Feed the newest words (B,) (first <bos>); logits (B, W) of the next ones.

        The first step also encodes the pictures; all later ones read the cache.
        """
        text = self.embed_text(ids[:, None], offset=state.cache.text_length)
        output = self.trunk(text, state.vision, cache=state.cache)
        state.vision = None
        return self.word_logits(output.text)[:, 0]

    # ---- heads -----------------------------------------------------------------------------

    def word_logits(self, states: Tensor | None) -> Tensor:
        """(..., D) to (..., W).

        Raises:
            InputError: the recipe has no word loss.
        """
        if self.words is None or states is None:
            raise InputError(f"recipe {self.config.recipe!r} has no word head")
        return self.words(states, self.text_embedding.words)

    def _require(self, plans: str, method: str) -> None:
        if self.config.plan not in plans.split():
            raise InputError(
                f"recipe {self.config.recipe!r} has the plan {self.config.plan!r}; "
                f"{method} needs {' or '.join(plans.split())}"
            )
