"""An `ExpandedGraph` as numbers: tokens with two bags of words each, and typed edges.

Legend: T text tokens ([answer slot], executed answer, words, steps, triples, queries), N objects,
V = N + 1 vision tokens (the objects, then the picture as a whole), M bag entries, E edges.
A token is the sum of its first bag and a projection of its second: an object is its class
distribution and its attribute distribution, a step its argument and its operation. The words are
shared by all, so a question's "dog" meets an object's "dog".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from detectors.scene import Scene
from gqa_reasoner.model.expanded_graph import EDGE_TYPES, Edges, ExpandedGraph, split_words
from gqa_reasoner.model.vocabulary import UNKNOWN, ReasonerVocabulary

__all__ = [
    "EDGE_KINDS",
    "KINDS",
    "VISION",
    "Bags",
    "EncodedQuestion",
    "EncodedScene",
    "edge_kind_count",
    "encode_question",
    "encode_scene",
    "special_words",
]

KINDS = ("answer", "executed", "token", "step", "triple", "query", "object", "picture")
EDGE_KINDS = ("anchors", "depends", "mentions", "query_mentions", "names", "attends")
"""Each in both directions; the object relations follow, a pair of kinds per predicate."""
VISION = 4096
"""Added to an edge's end that is a vision token, whose place is known only in a batch."""
GEOMETRY = 7
POSITIONS = 64


class Bags(NamedTuple):
    """Weighted words of a row of tokens: `counts[i]` entries of `ids` and `weights` each."""

    ids: np.ndarray
    weights: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[tuple[int, float]]]) -> Bags:
        """From (id, weight) entries per token."""
        flat = [entry for row in rows for entry in row]
        return cls(
            np.asarray([entry[0] for entry in flat], dtype=np.uint16),
            np.asarray([entry[1] for entry in flat], dtype=np.float16),
            np.asarray([len(row) for row in rows], dtype=np.uint16),
        )


class EncodedScene(NamedTuple):
    """The part that all questions about one picture share."""

    first: Bags
    second: Bags
    geometry: np.ndarray
    """(V, 7): box corners over picture size, area, score, is an object."""
    features: np.ndarray | None
    """(N, F) float16."""
    edges: np.ndarray
    """(3, E) int32: query, key (both + VISION) and kind."""
    edge_weight: np.ndarray
    familiar: bool
    """The detector is one of the training's, and most names are known."""


class EncodedQuestion(NamedTuple):
    """The part of one question."""

    kind: np.ndarray
    position: np.ndarray
    first: Bags
    second: Bags
    edges: np.ndarray
    edge_weight: np.ndarray
    last_step: int
    """The text token of the program's last step; 0, the answer slot, without a program."""
    pointed: np.ndarray
    """(N,) float16: the soft execution's weights at the last step that yields objects."""
    executed: np.ndarray
    """(K,) int32 ids of executed answers, -1 for those outside the vocabulary."""
    executed_share: np.ndarray
    """(K,) float32, descending."""
    signals: np.ndarray
    """(6,) float32 confidence signals for the mixture's gate, see `_signals`."""


@dataclass(frozen=True)
class Limits:
    """How much of each source is kept."""

    words: int = 60
    steps: int = 16
    triples: int = 8
    queries: int = 4
    classes: int = 4
    attributes: int = 8
    executed: int = 8


DEFAULT_LIMITS = Limits()


def special_words(operations: Iterable[str]) -> tuple[str, ...]:
    """Words that stand for operations, beside the words of language."""
    return tuple(f"<{name}>" for name in operations)


def edge_kind_count(vocabulary: ReasonerVocabulary) -> int:
    """How many edge kinds the trunk needs."""
    return 2 * (len(EDGE_KINDS) + 1 + len(vocabulary.predicates))


class _Words:
    """Cached ids of texts."""

    def __init__(self, vocabulary: ReasonerVocabulary) -> None:
        self.vocabulary = vocabulary
        self._cache: dict[str, list[int]] = {}

    def bag(self, text: str, weight: float = 1.0) -> list[tuple[int, float]]:
        """The words of `text`, sharing `weight`."""
        if text not in self._cache:
            self._cache[text] = self.vocabulary.word_list(split_words(text))
        ids = self._cache[text]
        return [(number, weight / len(ids)) for number in ids]

    def known(self, text: str) -> bool:
        return all(number != UNKNOWN for number, _ in self.bag(text))


def _words(vocabulary: ReasonerVocabulary) -> _Words:
    """One cache per vocabulary, kept on the vocabulary itself."""
    found = vocabulary.__dict__.get("_word_cache")
    if found is None:
        found = _Words(vocabulary)
        vocabulary.__dict__["_word_cache"] = found
    return found


def encode_scene(
    scene: Scene, vocabulary: ReasonerVocabulary, relations: Edges | None, *, features: bool = True
) -> EncodedScene:
    """Encode the objects, the picture as a whole and the object relations.

    Args:
        relations: `ExpandedGraph.edges["relation"]`, None when switched off.
        features: whether to keep the region features.
    """
    words = _words(vocabulary)
    classes = _distributions(
        scene.class_probabilities,
        scene.vocabulary.classes,
        [{item.name: item.score} for item in scene.objects],
        DEFAULT_LIMITS.classes,
    )
    attributes = _distributions(
        scene.attribute_probabilities,
        scene.vocabulary.attributes,
        [item.attributes for item in scene.objects],
        DEFAULT_LIMITS.attributes,
    )
    first = [[e for name, p in row for e in words.bag(name, p)] for row in classes]
    second = [[e for name, p in row for e in words.bag(name, p)] for row in attributes]
    first.append([e for name, p in _picture(scene) for e in words.bag(name, p)])
    second.append([])
    edges, weight = _relation_edges(relations, vocabulary)
    known = [words.known(item.name) for item in scene.objects]
    familiar = scene.detector in vocabulary.detectors and sum(known) >= 0.7 * len(known)
    return EncodedScene(
        Bags.of(first),
        Bags.of(second),
        _geometry(scene),
        scene.features.astype(np.float16) if features and scene.features is not None else None,
        edges,
        weight,
        familiar,
    )


def _distributions(
    probabilities: np.ndarray | None,
    names: Sequence[str],
    fallback: Sequence[Mapping[str, float]],
    most: int,
) -> list[list[tuple[str, float]]]:
    """The strongest names per object, from the dense array or from the objects themselves."""
    if probabilities is None or not len(names):
        return [
            sorted(((n, float(p)) for n, p in row.items()), key=lambda item: -item[1])[:most]
            for row in fallback
        ]
    result = []
    for row in np.asarray(probabilities, dtype=np.float32):
        order = np.argsort(-row, kind="stable")[:most]
        result.append([(names[i], float(row[i])) for i in order if row[i] > 0.03])
    return result


def _picture(scene: Scene) -> list[tuple[str, float]]:
    """Scene attributes as weighted words; values may be a name, names, or names with scores."""
    result: list[tuple[str, float]] = []
    for key in ("location", "place", "weather"):
        value: Any = scene.scene_attributes.get(key)
        if isinstance(value, str):
            result.append((value, 1.0))
        elif isinstance(value, Mapping):
            scored = [(n, p) for n, p in value.items() if isinstance(p, (int, float)) and p > 0.05]
            result.extend((str(name), float(share)) for name, share in scored)
        elif isinstance(value, (list, tuple)):
            result.extend((str(name), 1.0) for name in value)
    return result


def _geometry(scene: Scene) -> np.ndarray:
    size = np.asarray([scene.width, scene.height] * 2, dtype=np.float32).clip(min=1)
    boxes = scene.boxes() / size
    rows = np.zeros((len(scene.objects) + 1, GEOMETRY), dtype=np.float16)
    if len(boxes):
        rows[:-1, :4] = boxes
        rows[:-1, 4] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        rows[:-1, 5] = [item.score for item in scene.objects]
        rows[:-1, 6] = 1
    return rows


def _relation_edges(
    relations: Edges | None, vocabulary: ReasonerVocabulary
) -> tuple[np.ndarray, np.ndarray]:
    if relations is None or not len(relations):
        return np.zeros((3, 0), dtype=np.int32), np.zeros(0, dtype=np.float16)
    ids = vocabulary.predicate_ids
    kind = np.asarray([ids.get(name, 0) for name in relations.labels], dtype=np.int32)
    kind = 2 * (len(EDGE_KINDS) + kind)
    source, target = relations.index.astype(np.int32) + VISION
    edges = np.concatenate(
        [np.stack([source, target, kind]), np.stack([target, source, kind + 1])], axis=1
    )
    return edges, np.tile(relations.weight, 2).astype(np.float16)


def encode_question(
    graph: ExpandedGraph,
    vocabulary: ReasonerVocabulary,
    *,
    parse_score: float = 1.0,
    step_truth: Sequence[float | None] = (),
    doubt: float = 0.0,
) -> EncodedQuestion:
    """Encode the question's own tokens, its edges and the signals for the gate."""
    words, limits = _words(vocabulary), DEFAULT_LIMITS
    tokens = graph.tokens[: limits.words]
    steps = graph.program.steps[: limits.steps] if graph.program else ()
    triples, queries = graph.triples[: limits.triples], graph.queries[: limits.queries]
    executed = sorted(graph.executed.items(), key=lambda item: (-item[1], item[0]))
    executed = executed[: limits.executed]
    first: list[list[tuple[int, float]]] = [[], []]
    first[1] = [e for name, share in executed for e in words.bag(name, float(share))]
    first += [words.bag(word) for word in tokens]
    first += [words.bag(step.argument) for step in steps]
    first += [words.bag(item.text) for item in triples]
    first += [words.bag(item.text) for item in queries]
    second: list[list[tuple[int, float]]] = [[] for _ in first]
    ids = vocabulary.word_ids
    for place, step in enumerate(steps, start=2 + len(tokens)):
        second[place] = [(ids.get(f"<{step.operation}>", UNKNOWN), 1.0)]
    sizes = (1, 1, len(tokens), len(steps), len(triples), len(queries))
    starts = dict(zip(KINDS, np.cumsum((0, *sizes)), strict=False))
    kind = np.repeat(np.arange(6), sizes).astype(np.uint8)
    position = np.concatenate([np.arange(n) for n in sizes]).astype(np.uint8)
    edges, weight = _question_edges(graph, starts, dict(zip(KINDS, sizes, strict=False)))
    return EncodedQuestion(
        kind,
        position,
        Bags.of(first),
        Bags.of(second),
        edges,
        weight,
        int(starts["step"]) + len(steps) - 1 if steps else 0,
        _pointed(graph).astype(np.float16),
        np.asarray([vocabulary.answer_ids.get(name, -1) for name, _ in executed], dtype=np.int32),
        np.asarray([share for _, share in executed], dtype=np.float32),
        _signals(graph, parse_score, step_truth, doubt),
    )


def _question_edges(
    graph: ExpandedGraph, starts: Mapping[str, int], sizes: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """All edges but the object relations, in both directions."""
    sources, targets, kinds, weights = [], [], [], []
    for number, name in enumerate(EDGE_KINDS):
        edges = graph.edges.get(name)
        if edges is None or not len(edges):
            continue
        ends = []
        inside: np.ndarray | None = None
        for node, index in zip(EDGE_TYPES[name][::2], edges.index, strict=True):
            if node == "object":
                ends.append(index + VISION)
                continue
            ends.append(index + starts[node])
            if index.max() >= sizes[node]:
                kept = index < sizes[node]
                inside = kept if inside is None else inside & kept
        weight = edges.weight
        if inside is not None:
            ends, weight = [end[inside] for end in ends], weight[inside]
        sources += ends
        targets += ends[::-1]
        kinds += [(2 * number, len(weight)), (2 * number + 1, len(weight))]
        weights += [weight, weight]
    if not kinds:
        return np.zeros((3, 0), dtype=np.int32), np.zeros(0, dtype=np.float16)
    kind = np.repeat([k for k, _ in kinds], [n for _, n in kinds])
    table = (np.concatenate(sources), np.concatenate(targets), kind)
    return np.asarray(table, dtype=np.int32), np.concatenate(weights).astype(np.float16)


def _pointed(graph: ExpandedGraph) -> np.ndarray:
    """Weights of the last step that yields objects, normalised to sum to at most 1."""
    if graph.guidance is None or not graph.guidance.size:
        return np.zeros(len(graph.scene.objects), dtype=np.float32)
    rows = np.flatnonzero(graph.guidance.max(axis=1) > 0.05)
    if not len(rows):
        return np.zeros(len(graph.scene.objects), dtype=np.float32)
    weights = graph.guidance[rows[-1]].astype(np.float32)
    return weights / max(float(weights.sum()), 1.0)


def _signals(
    graph: ExpandedGraph, parse_score: float, step_truth: Sequence[float | None], doubt: float
) -> np.ndarray:
    """Parse score, least step truth, doubt of the truths, pointed score, size, executor's doubt."""
    truths = [float(value) for value in step_truth if value is not None]
    pointed = _pointed(graph)
    scores = np.asarray([item.score for item in graph.scene.objects], dtype=np.float32)
    return np.asarray(
        [
            min(max(parse_score, 0.0), 1.0),
            min(truths, default=1.0),
            max((4 * t * (1 - t) for t in truths), default=0.0),
            float(pointed @ scores) if len(scores) else 0.0,
            min(len(scores) / 20, 1.0),
            doubt,
        ],
        dtype=np.float32,
    )
