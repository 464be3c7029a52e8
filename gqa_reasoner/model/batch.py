"""Encoded questions and scenes as one padded batch of tensors.

Legend: B questions, T text tokens, V vision tokens, F feature size, E edges, K executed answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.model.encode import GEOMETRY, KINDS, VISION, Bags, EncodedQuestion, EncodedScene
from gqa_reasoner.model.expanded_graph import Sources
from gqa_reasoner.model.masks import Edges

__all__ = ["Batch", "TokenBags", "collate", "drop_sources"]


@dataclass(frozen=True)
class TokenBags:
    """Two bags of weighted words for each of B * L tokens, as `embedding_bag` wants them."""

    ids: Tensor
    weights: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class Batch:
    """Everything that `ReasonerModel.forward` reads."""

    kind: Tensor
    """(B, T) node kind, see `encode.KINDS`."""
    position: Tensor
    """(B, T) place among the nodes of its kind."""
    text_mask: Tensor
    text_first: TokenBags
    text_second: TokenBags
    vision_mask: Tensor
    vision_first: TokenBags
    vision_second: TokenBags
    geometry: Tensor
    """(B, V, 7)."""
    features: Tensor | None
    """(B, V, F)."""
    edges: Edges
    last_step: Tensor
    """(B,) text place of the last step."""
    pointed: Tensor
    """(B, V) share of each object at the last step that yields objects."""
    executed: Tensor
    """(B, K) answer ids; -1: outside the vocabulary; -2: padding."""
    executed_share: Tensor
    signals: Tensor
    """(B, 6) signals for the gate."""
    guided: Tensor | None = None
    """(B, T, V) the guidance that attention is trained towards."""

    def __len__(self) -> int:
        return len(self.kind)

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        if self.kind.device == device:
            return self
        moved: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                moved[item.name] = value.to(device)
            elif isinstance(value, TokenBags):
                parts = (value.ids, value.weights, value.offsets)
                moved[item.name] = TokenBags(*(part.to(device) for part in parts))
            elif isinstance(value, Edges):
                moved[item.name] = Edges(*(part.to(device) for part in value))
        return replace(self, **moved)


def _bags(items: Sequence[Bags], length: int) -> TokenBags:
    """Concatenate, padding each item to `length` tokens with empty bags."""
    counts = np.zeros((len(items), length), dtype=np.int64)
    for row, bags in enumerate(items):
        counts[row, : len(bags.counts)] = bags.counts
    offsets = np.zeros(counts.size, dtype=np.int64)
    np.cumsum(counts.ravel()[:-1], out=offsets[1:])
    ids = np.concatenate([bags.ids for bags in items]).astype(np.int64)
    weights = np.concatenate([bags.weights for bags in items]).astype(np.float32)
    return TokenBags(torch.from_numpy(ids), torch.from_numpy(weights), torch.from_numpy(offsets))


def _padded(rows: Sequence[np.ndarray], length: int, fill: float, kind: type) -> Tensor:
    """(B, length) of rows of at most `length`."""
    table: np.ndarray = np.full((len(rows), length), fill, dtype=kind)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return torch.from_numpy(table)


def collate(
    questions: Sequence[EncodedQuestion],
    scenes: Sequence[EncodedScene],
    *,
    feature_size: int = 0,
    guidance: bool = False,
) -> Batch:
    """Join encoded questions with their scenes.

    Args:
        scenes: one per question (the same object may repeat).
        feature_size: F; 0 leaves the features out.
        guidance: whether to fill `Batch.guided`.

    Raises:
        InputError: a scene of a detector that the model knows has features of another size.
    """
    texts = [len(item.kind) for item in questions]
    visions = [len(item.geometry) for item in scenes]
    text, vision = max(texts), max(visions)
    geometry = np.zeros((len(scenes), vision, GEOMETRY), dtype=np.float32)
    features = np.zeros((len(scenes), vision, feature_size), dtype=np.float32)
    for row, scene in enumerate(scenes):
        geometry[row, : visions[row]] = scene.geometry
        if feature_size and scene.features is not None and _fits(scene, feature_size):
            features[row, : len(scene.features)] = scene.features
    answers = max((len(item.executed) for item in questions), default=0)
    edges = _edges(questions, scenes, text)
    return Batch(
        kind=_padded([item.kind for item in questions], text, 0, np.int64),
        position=_padded([item.position for item in questions], text, 0, np.int64),
        text_mask=torch.arange(text)[None] < torch.tensor(texts)[:, None],
        text_first=_bags([item.first for item in questions], text),
        text_second=_bags([item.second for item in questions], text),
        vision_mask=torch.arange(vision)[None] < torch.tensor(visions)[:, None],
        vision_first=_bags([item.first for item in scenes], vision),
        vision_second=_bags([item.second for item in scenes], vision),
        geometry=torch.from_numpy(geometry),
        features=torch.from_numpy(features) if feature_size else None,
        edges=edges,
        last_step=torch.tensor([item.last_step for item in questions]),
        pointed=_padded([item.pointed for item in questions], vision, 0, np.float32),
        executed=_padded([item.executed for item in questions], answers, -2, np.int64),
        executed_share=_padded([i.executed_share for i in questions], answers, 0, np.float32),
        signals=torch.from_numpy(np.stack([item.signals for item in questions])),
        guided=_guided(edges, len(questions), text, vision) if guidance else None,
    )


def _fits(scene: EncodedScene, size: int) -> bool:
    """Whether a scene's features are of the model's size; other detectors' may differ."""
    found = 0 if scene.features is None else scene.features.shape[1]
    if found != size and scene.familiar:
        raise InputError(
            f"scene: features: expected size {size}, which the reasoner was trained on, got "
            f"{found}; `gqa-reasoner features check TRAINED FILE` says whether features fit"
        )
    return found == size


def _edges(
    questions: Sequence[EncodedQuestion], scenes: Sequence[EncodedScene], text: int
) -> Edges:
    """All edges with places in the padded joint sequence [text | vision]."""
    parts = [part for pair in zip(questions, scenes, strict=True) for part in pair]
    table = np.concatenate([part.edges for part in parts], axis=1).astype(np.int64)
    weight = np.concatenate([part.edge_weight for part in parts]).astype(np.float32)
    batch = np.repeat(np.arange(len(parts)) // 2, [part.edges.shape[1] for part in parts])
    ends = np.where(table[:2] >= VISION, table[:2] - VISION + text, table[:2])
    return Edges(
        torch.from_numpy(batch),
        torch.from_numpy(ends[0]),
        torch.from_numpy(ends[1]),
        torch.from_numpy(table[2]),
        torch.from_numpy(weight),
    )


def _guided(edges: Edges, batch: int, text: int, vision: int) -> Tensor:
    """(B, T, V): the weights of the step–attends–object edges."""
    from gqa_reasoner.model.encode import EDGE_KINDS

    chosen = edges.kind == 2 * EDGE_KINDS.index("attends")
    target = torch.zeros(batch, text, vision)
    place = (edges.batch[chosen], edges.query[chosen], edges.key[chosen] - text)
    return target.index_put(place, edges.weight[chosen], accumulate=True)


def drop_sources(batch: Batch, keep: Sequence[Sources]) -> Batch:
    """Hide sources row by row, so that one model learns to do without each of them."""
    from gqa_reasoner.model.encode import EDGE_KINDS

    on = {
        name: torch.tensor([getattr(row, name) for row in keep])
        for name in ("program", "guidance", "executed", "triples", "queries")
    }
    mask = batch.text_mask.clone()
    hidden = {"step": "program", "executed": "executed", "triple": "triples", "query": "queries"}
    for node, source in hidden.items():
        mask &= (batch.kind != KINDS.index(node)) | on[source][:, None]
    guided = on["guidance"] & on["program"]
    attends = EDGE_KINDS.index("attends")
    silent = (batch.edges.kind // 2 == attends) & ~guided[batch.edges.batch]
    weight = batch.edges.weight.masked_fill(silent, 0.0)
    return replace(
        batch,
        text_mask=mask,
        edges=batch.edges._replace(weight=weight),
        last_step=batch.last_step * on["program"],
        pointed=batch.pointed * guided[:, None],
        signals=batch.signals,
    )
