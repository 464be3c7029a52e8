"""Models that start from the closed-form solution of `correlation` instead of from chance.

The canonical directions are written into a `VisionLanguageModel`: a dual encoder then gives the
closed form's embeddings, a one-stream model's match head its scores, up to their norms; the trunk's
layers start as the identity, and training goes on from there.

N: pictures, T: texts, F: width of a cell, P: word pieces, K: canonical directions, D: width.
Every token is [v, z, -v, -z]: its mean is zero and its length the same for all words, so the
layer norms leave it alone; z takes up what v leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from detectors.errors import InputError
from gqa_reasoner.vlp.correlation import Correlation, correlate, picture_means

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import CaptionRecord
    from gqa_reasoner.vlp.heads import MatchHead
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["start_in_closed_form"]

_ROOM = 2.0
"""How much longer than a typical v the constant part of a cell's token is."""
_SAMPLE = 256


def start_in_closed_form(
    model: VisionLanguageModel,
    pieces: WordPieces,
    records: Sequence[CaptionRecord],
    cache: FeatureCache,
    *,
    texts: Sequence[Sequence[str]] | None = None,
    ridge: float = 1.0,
    scale: float = 20.0,
) -> Correlation:
    """Write the closed-form solution into a model, in place.

    Args:
        model: a dual encoder with `vision_layers` 0, or a one- or two-stream model with a match
            head.
        pieces: its word pieces.
        records: training pictures and captions.
        cache: features of the model's tower.
        texts: per record what counts as its captions; None: its captions.
        ridge: see `correlate`.
        scale: of the cosines (dual), of the match score (one-stream).

    Raises:
        InputError: a model that cannot hold the solution.
    """
    _check(model)
    sizes = model.config.sizes
    limit = sizes.text_length - 2
    chosen = [record.captions for record in records] if texts is None else texts
    names = [record.image for record in records]
    means = picture_means(cache, names)
    found = correlate(
        means,
        [pieces.encode(line, limit) for lines in chosen for line in lines],
        np.repeat(np.arange(len(records)), [len(lines) for lines in chosen]),
        len(pieces),
        directions=min(sizes.width // 2 - 1, sizes.space, model.config.tower_width),
        ridge=ridge,
    )
    with torch.no_grad():
        _write_texts(model, pieces, found)
        _write_pictures(model, found, means[:_SAMPLE])
        if model.vision_embedding.dictionary is not None:
            _fill_dictionary(model, cache, names)
        for name, value in model.trunk.named_parameters():
            if name.endswith(("output.weight", "output.bias")):
                value.zero_()
        if model.match is not None:
            _write_match(model, model.match, found, pieces, chosen, cache, names, scale)
        else:
            _write_dual(model, found.images.shape[1], scale)
    return found


def _check(model: VisionLanguageModel) -> None:
    config = model.config
    sizes = config.sizes
    pools = {sizes.pool, sizes.vision_pool}
    fits = config.plan == "dual" and sizes.vision_layers == 0 and not config.causal_text
    if not fits and config.plan not in ("one_stream", "two_stream"):
        raise InputError(
            "closed-form start: expected a dual encoder with vision_layers 0, a one-stream or a "
            f"two-stream model, got plan {config.plan!r} with vision_layers {sizes.vision_layers}"
        )
    if not pools <= {"mean", "attend"}:
        raise InputError("closed-form start: pool and vision_pool: expected mean or attend")


def _write_texts(model: VisionLanguageModel, pieces: WordPieces, found: Correlation) -> None:
    count = found.images.shape[1]
    half = model.config.sizes.width // 2
    words = np.zeros((len(pieces), half))
    words[:, :count] = found.pieces
    words[pieces.cls, :count] = found.text_offset
    lengths = np.linalg.norm(words, axis=1)
    # A few pieces are very long (rare ones); the length that all get is that of nearly all.
    longest = np.quantile(lengths[lengths > 0], 0.995)
    words *= np.minimum(1, longest / lengths.clip(min=1e-12))[:, None]
    words[:, half - 1] = np.sqrt((longest**2 - (words**2).sum(axis=1)).clip(min=0))
    text = model.text_embedding
    text.words.weight.copy_(_both(words / longest * 0.5))
    for table in (text.positions, text.segments):
        if table is not None:
            table.weight.mul_(0.01)


def _write_pictures(model: VisionLanguageModel, found: Correlation, sample: np.ndarray) -> None:
    count = found.images.shape[1]
    half = model.config.sizes.width // 2
    typical = float(np.linalg.norm((sample - found.image_mean) @ found.images, axis=1).mean())
    maps = np.zeros((half, found.images.shape[0]))
    maps[:count] = found.images.T
    bias = -maps @ found.image_mean
    bias[half - 1] = _ROOM * typical
    vision = model.vision_embedding
    vision.features.weight.copy_(_both(maps.T).T / typical)
    vision.features.bias.copy_(_both(bias[None])[0] / typical)
    vision.segment.zero_()
    if vision.position is not None:
        vision.position.weight.zero_()
    if vision.box is not None:
        vision.box.weight.zero_()
        vision.box.bias.zero_()


def _fill_dictionary(model: VisionLanguageModel, cache: FeatureCache, names: Sequence[str]) -> None:
    """Entries of the visual dictionary from the cells as they are embedded now."""
    vision = model.vision_embedding
    if vision.dictionary is None:
        return
    vision.train()
    vision.dictionary.filled.fill_(False)
    for start in range(0, min(len(names), 8 * _SAMPLE), _SAMPLE):
        vision(cache.rows(names[start : start + _SAMPLE]))
    vision.eval()


def _write_dual(model: VisionLanguageModel, count: int, scale: float) -> None:
    for pool in (model.text_pool, model.vision_pool):
        if pool.score is not None:
            pool.score.weight.zero_()
            pool.score.bias.zero_()
    projection = _projection(model.config.sizes.space, model.config.sizes.width, count)
    for side in (model.text_projection, model.vision_projection):
        side.linear.weight.copy_(projection)
    model.log_scale.fill_(float(np.log(scale)))


def _write_match(
    model: VisionLanguageModel,
    head: MatchHead,
    found: Correlation,
    pieces: WordPieces,
    texts: Sequence[Sequence[str]],
    cache: FeatureCache,
    names: Sequence[str],
    scale: float,
) -> None:
    """The product part of the head becomes the closed form's inner product."""
    if head.vision is None:
        raise InputError("closed-form start: the match head: expected pool mean or attend")
    width, count = model.config.sizes.width, found.images.shape[1]
    projection = _projection(width, width, count)
    for pool in (head.pool, head.vision_pool):
        if pool.score is not None:
            pool.score.weight.zero_()
            pool.score.bias.zero_()
    few = min(64, len(names))
    ids, mask = pieces.batch([lines[0] for lines in texts[:few]], model.config.sizes.text_length)
    model.eval()
    output = model.trunk(
        model.embed_text(ids), model.embed_images(cache.rows(names[:few])).tokens, text_mask=mask
    )
    pooled = [head.pool(output.text, mask), head.vision_pool(output.vision)]
    for linear, states in zip((head.text, head.vision), pooled, strict=True):
        # Half of where tanh bends: longer vectors may lose a little.
        size = (states @ projection.T).abs().max()
        linear.weight.copy_(projection * (0.5 / size))
        linear.bias.zero_()
    head.score.weight.zero_()
    head.score.bias.zero_()
    first, second = head.text(pooled[0]).tanh(), head.vision(pooled[1]).tanh()
    typical = first.norm(dim=1).mean() * second.norm(dim=1).mean()
    head.score.weight[:, -width:] = scale / typical


def _projection(rows: int, width: int, count: int) -> torch.Tensor:
    """(rows, D): K rows that read v - (-v), the others zero."""
    half = width // 2
    matrix = torch.zeros(rows, width)
    matrix[range(count), range(count)] = 1.0
    matrix[range(count), range(half, half + count)] = -1.0
    return matrix / width**0.5


def _both(values: np.ndarray) -> torch.Tensor:
    """(n, D / 2) to (n, D): the values and their negatives."""
    return torch.from_numpy(np.concatenate((values, -values), axis=1)).float()
