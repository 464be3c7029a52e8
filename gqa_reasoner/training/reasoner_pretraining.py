"""The pre-training objectives of Unicoder-VL (Li et al. 2020) on the reasoner's own data.

Masked words of the question, masked object classes, and whether question and picture belong
together; programs, executions and contexts are left out, so that only words and objects can tell.

Legend: B questions, T text tokens, V vision tokens, D width, W words, K masked objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from detectors.errors import InputError
from gqa_reasoner.model.batch import Batch, collate, drop_sources
from gqa_reasoner.model.encode import KINDS, Bags, EncodedQuestion, EncodedScene
from gqa_reasoner.model.losses import IGNORED, image_text_match, masked_class, masked_ids
from gqa_reasoner.model.peers.base import BARE
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.model.vocabulary import PADDING

__all__ = ["PretrainingBatch", "PretrainingConfig", "PretrainingHeads", "make_batch"]


@dataclass(frozen=True)
class PretrainingConfig:
    """Steps of pre-training before the answers, and the weight of each objective; 0: off."""

    steps: int = 0
    words: float = 1.0
    classes: float = 1.0
    match: float = 1.0
    masked: float = 0.15
    """Share of words and of objects that are hidden."""

    def __post_init__(self) -> None:
        if self.steps < 0 or min(self.words, self.classes, self.match) < 0:
            raise InputError("training config: pretraining: expected steps and weights >= 0")
        if not 0 < self.masked < 1:
            raise InputError("training config: pretraining.masked: expected a share from 0 to 1")


class PretrainingBatch(NamedTuple):
    """What is seen and what is hidden."""

    batch: Batch
    labels: Tensor
    """(B, T) hidden word ids, `IGNORED` elsewhere."""
    hidden: Tensor
    """(B, V) True at masked objects."""
    classes: Tensor
    """(K, W) the class distributions of the masked objects, as words."""
    matches: Tensor
    """(B,) 1 where the picture is the question's own."""


class PretrainingHeads(nn.Module):
    """Heads over the reasoner's states; they are not exported."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.word = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.kind = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(2, words))
        self.match = nn.Linear(width, 1)

    def forward(self, model: ReasonerModel, given: PretrainingBatch) -> dict[str, Tensor]:
        """The three losses."""
        text, vision = model.states(model.visible(given.batch))[:2]
        table = model.words.weight
        words = self.word(text) @ table.T + self.bias[0]
        kinds = self.kind(vision[given.hidden])[None] @ table.T + self.bias[1]
        counted = torch.ones(kinds.shape[:2], dtype=torch.bool)
        return {
            "words": masked_ids(words.float(), given.labels),
            "classes": masked_class(kinds.float(), given.classes[None], counted),
            "match": image_text_match(self.match(text[:, 0]).squeeze(-1).float(), given.matches),
        }


def make_batch(
    questions: Sequence[EncodedQuestion],
    scenes: Sequence[EncodedScene],
    random: np.random.Generator,
    config: PretrainingConfig,
    *,
    words: int,
    feature_size: int,
) -> PretrainingBatch:
    """Hide words and objects, and give half of the questions another question's picture.

    Args:
        words: W.
        feature_size: F of the model.
    """
    order = np.arange(len(questions))
    swapped = np.flatnonzero(random.random(len(questions)) < 0.5)
    order[swapped] = np.roll(swapped, 1)
    shown = [scenes[int(j)] for j in order]
    matches = np.asarray([scenes[i] is scene for i, scene in enumerate(shown)])
    asked, labels = zip(
        *(_masked_words(q, random, config, bool(m))
          for q, m in zip(questions, matches, strict=True)), strict=True,
    )  # fmt: skip
    seen, hidden, targets = zip(
        *(_masked_objects(scene, random, config, words) for scene in shown), strict=True
    )
    batch = drop_sources(collate(asked, seen, feature_size=feature_size), [BARE] * len(questions))
    wanted = torch.full(batch.kind.shape, IGNORED)
    for row, values in enumerate(labels):
        wanted[row, : len(values)] = torch.from_numpy(values)
    places = torch.zeros(batch.vision_mask.shape, dtype=torch.bool)
    for row, chosen in enumerate(hidden):
        places[row, torch.from_numpy(chosen)] = True
    return PretrainingBatch(
        batch, wanted, places, torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(matches.astype(np.float32)),
    )  # fmt: skip


def _masked_words(
    question: EncodedQuestion,
    random: np.random.Generator,
    config: PretrainingConfig,
    matches: bool,
) -> tuple[EncodedQuestion, np.ndarray]:
    """The question without its links to the picture, some words hidden where they match it."""
    bags = question.first
    starts = np.cumsum(bags.counts) - bags.counts
    usable = (question.kind == KINDS.index("token")) & (bags.counts == 1)
    chosen = np.flatnonzero(usable & (random.random(len(usable)) < config.masked))
    if not len(chosen) and usable.any():
        chosen = random.choice(np.flatnonzero(usable), 1)
    labels = np.full(len(question.kind), IGNORED, dtype=np.int64)
    ids = bags.ids.copy()
    if matches:
        labels[chosen] = ids[starts[chosen]]
        ids[starts[chosen]] = PADDING
    blind = question._replace(
        first=Bags(ids, bags.weights, bags.counts),
        edges=question.edges[:, :0],
        edge_weight=question.edge_weight[:0],
        pointed=question.pointed[:0],
        last_step=0,
    )
    return blind, labels


def _masked_objects(
    scene: EncodedScene, random: np.random.Generator, config: PretrainingConfig, words: int
) -> tuple[EncodedScene, np.ndarray, np.ndarray]:
    """The scene with some objects known by their box alone, which, and their classes (K, W)."""
    count = len(scene.geometry) - 1
    chosen = np.flatnonzero(random.random(count) < config.masked)
    target = np.zeros((len(chosen), words), dtype=np.float32)
    first_ids, second_weights = scene.first.ids.copy(), scene.second.weights.copy()
    starts = [np.cumsum(b.counts) - b.counts for b in (scene.first, scene.second)]
    for row, place in enumerate(chosen):
        span = slice(starts[0][place], starts[0][place] + scene.first.counts[place])
        np.add.at(target[row], first_ids[span], scene.first.weights[span].astype(np.float32))
        first_ids[span] = PADDING
        span = slice(starts[1][place], starts[1][place] + scene.second.counts[place])
        second_weights[span] = 0
    total = target.sum(axis=1, keepdims=True)
    target[:, PADDING] += (total[:, 0] == 0).astype(np.float32)  # an object without any class
    target /= np.maximum(target.sum(axis=1, keepdims=True), 1e-6)
    features = scene.features
    if features is not None:
        features = features.copy()
        features[chosen] = 0
    masked = scene._replace(
        first=Bags(first_ids, scene.first.weights, scene.first.counts),
        second=Bags(scene.second.ids, second_weights, scene.second.counts),
        features=features,
    )
    return masked, chosen, target
