"""Recall of relations among the best K triples of a picture.

Legend: N objects, R predicates; a triple is (subject position, predicate, object position).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from detectors.boxes import box_iou
from detectors.scene import Scene

__all__ = ["INVERSES", "relation_recall"]

INVERSES: Mapping[str, str] = {
    "to the right of": "to the left of",
    "under": "on",
    "behind": "in front of",
    "below": "above",
}
"""Predicates that say the same as another one with subject and object exchanged."""
_NEVER = 1 << 30
Triple = tuple[int, str, int]


def relation_recall(
    truth: Sequence[Scene],
    predicted: Sequence[Scene],
    ks: Sequence[int] = (20, 50, 100),
    *,
    inverses: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Scene-graph detection recall at K (Lu et al. 2016; Xu et al. 2017, "SGDet").

    All (subject, predicate, object) triples of a picture are ranked by the product of both object
    scores and the relation probability. A true triple is found when one of the K best has its
    three names and overlaps both of its boxes by at least 0.5. Figures are means over pictures
    that have relations, the figures by predicate are over all relations.

    Args:
        truth: scenes.
        predicted: scenes of the same pictures.
        ks: numbers of triples.
        inverses: predicates to be read as others with subject and object exchanged, so that a
            relation which a file lists in both directions counts, and is ranked, once.

    Returns:
        `relation_recall@K`; `relation_recall@K_ceiling`, what a perfect ranking could reach (a
        picture may have more than K relations); `relation_recall@50_by_predicate` and
        `mean_relation_recall@50`, their mean.
    """
    turned = dict(inverses or {})
    hits: dict[int, list[float]] = {k: [] for k in ks}
    ceiling: dict[int, list[float]] = {k: [] for k in ks}
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for scene, guess in zip(truth, predicted, strict=True):
        wanted = _true_triples(scene, turned)
        if not wanted:
            continue
        ranks = _ranks(scene, guess, wanted, _ranked_triples(guess, max(ks), turned))
        for (_, predicate, _), rank in zip(wanted, ranks, strict=True):
            total[predicate] += 1
            found[predicate] += rank < 50
        for k in ks:
            hits[k].append(float(np.mean([rank < k for rank in ranks])))
            ceiling[k].append(min(k / len(wanted), 1.0))
    result: dict[str, Any] = {}
    for k in ks:
        result[f"relation_recall@{k}"] = float(np.mean(hits[k])) if hits[k] else None
        result[f"relation_recall@{k}_ceiling"] = float(np.mean(ceiling[k])) if hits[k] else None
    by_predicate = {name: found[name] / count for name, count in sorted(total.items())}
    if by_predicate:
        result["mean_relation_recall@50"] = float(np.mean(list(by_predicate.values())))
    result["relation_recall@50_by_predicate"] = {k: round(v, 4) for k, v in by_predicate.items()}
    return result


def _true_triples(scene: Scene, turned: Mapping[str, str]) -> list[Triple]:
    place = scene.index()
    triples = set()
    for relation in scene.relations:
        subject, target = place[relation.subject], place[relation.object]
        if relation.predicate in turned:
            triples.add((target, turned[relation.predicate], subject))
        else:
            triples.add((subject, relation.predicate, target))
    return sorted(triples)


def _ranked_triples(guess: Scene, count: int, turned: Mapping[str, str]) -> list[Triple]:
    """The best triples of a scene: from its dense array, else from its list."""
    scores = np.array([item.score for item in guess.objects], dtype=np.float64)
    names = guess.vocabulary.predicates
    if guess.relation_probabilities is None:
        names = tuple(sorted({relation.predicate for relation in guess.relations}))
        dense = np.zeros((len(scores), len(scores), len(names)))
        place = guess.index()
        for relation in guess.relations:
            spot = (
                place[relation.subject],
                place[relation.object],
                names.index(relation.predicate),
            )
            dense[spot] = max(dense[spot], relation.score)
    else:
        dense = guess.relation_probabilities.astype(np.float64)
    joint = dense * scores[:, None, None] * scores[None, :, None]
    for name, other in turned.items():
        if name in names and other in names:
            source, goal = names.index(name), names.index(other)
            joint[:, :, goal] = np.maximum(joint[:, :, goal], joint[:, :, source].T)
            joint[:, :, source] = 0
    order = np.argsort(-joint, axis=None, kind="stable")[:count]
    order = order[joint.reshape(-1)[order] > 0]
    return [
        (int(i), names[int(r)], int(j))
        for i, j, r in zip(*np.unravel_index(order, joint.shape), strict=True)
    ]


def _ranks(
    scene: Scene, guess: Scene, wanted: Sequence[Triple], ranked: Sequence[Triple]
) -> list[int]:
    """Position of the first ranked triple that finds each true one; huge where none does."""
    if not guess.objects:
        return [_NEVER] * len(wanted)
    overlaps = box_iou(torch.from_numpy(scene.boxes()), torch.from_numpy(guess.boxes())).numpy()
    same = np.array(
        [[item.name == other.name for other in guess.objects] for item in scene.objects]
    )
    fits = (overlaps >= 0.5) & same
    return [
        next(
            (
                rank
                for rank, (i, name, j) in enumerate(ranked)
                if name == predicate and fits[subject, i] and fits[target, j]
            ),
            _NEVER,
        )
        for subject, predicate, target in wanted
    ]
