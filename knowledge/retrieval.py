"""Grounding and retrieval: which triples a scene can draw on.

Legend: N objects, A anchors (distinct concepts of the scene), M candidate triples.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from detectors.scene import Scene
from knowledge.lexical import LemmaRows, LexicalScorer
from knowledge.ontology import Ontology
from knowledge.store import TripleStore

__all__ = ["Candidates", "Retriever"]

OUTGOING_LIMIT, INCOMING_LIMIT = 256, 64
"""A concept brings at most so many triples, the best by weight."""
CATEGORY_FACTOR, INCOMING_FACTOR = 0.6, 0.5
CATEGORY_DEPTH = 3
_MEMO_LIMIT = 100_000


@dataclass(frozen=True)
class Candidates:
    """The triples that a scene can draw on: M rows.

    `indices` number the store's triples, `far` are the concepts at their other ends, `anchors`
    index `names` / `object_ids`, `base` is confidence * reach (1 for the object itself, less for
    its categories and for incoming edges) * the triple's own weight as a factor.
    """

    indices: np.ndarray
    far: np.ndarray
    anchors: np.ndarray
    base: np.ndarray
    names: tuple[str, ...]
    object_ids: tuple[tuple[str, ...], ...]
    rows: LemmaRows
    grounded: frozenset[str]
    """Lemmas of the scene's object names."""


class Retriever:
    """Finds the triples of a scene's objects and of their categories; caches them per image."""

    def __init__(
        self, store: TripleStore, ontology: Ontology, lexical: LexicalScorer, cache_size: int
    ) -> None:
        self.store, self.ontology = store, ontology
        self._lexical = lexical
        self._cache: OrderedDict[tuple[object, ...], Candidates] = OrderedDict()
        self._cache_size = cache_size
        self._concepts: dict[str, tuple[tuple[str, int, float], ...]] = {}

    def candidates(self, scene: Scene) -> Candidates:
        """All triples that touch the scene's objects or their categories (cached per image)."""
        key = (
            scene.image_id,
            tuple((item.id, item.name, round(float(item.score), 4)) for item in scene.objects),
        )
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._retrieve(scene)
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(key)
        return found

    def _grounded(self, name: str) -> tuple[tuple[str, int, float], ...]:
        """(name in the store, concept number, reach) of an object name and its categories."""
        found = self._concepts.get(name)
        if found is None:
            if len(self._concepts) >= _MEMO_LIMIT:
                self._concepts.clear()
            canonical = self.ontology.canonical(name)
            forms = [(name, 1.0), (canonical, 1.0)]
            above = [word for word in self.ontology.categories(name) if word != "object"]
            forms += [(word, CATEGORY_FACTOR) for word in above[:CATEGORY_DEPTH]]
            numbers: dict[int, tuple[str, int, float]] = {}
            for form, reach in forms:
                number = self.store.find(form)
                if number is not None and number not in numbers:
                    numbers[number] = (form, number, reach)
            found = self._concepts[name] = tuple(numbers.values())
        return found

    def anchors(self, scene: Scene) -> dict[int, tuple[str, float, list[str]]]:
        """Concept number to (name, confidence * reach, object ids), in order of appearance."""
        anchors: dict[int, tuple[str, float, list[str]]] = {}
        for item in scene.objects:
            for form, number, reach in self._grounded(item.name):
                strength = min(max(float(item.score), 0.0), 1.0) * reach
                old = anchors.get(number)
                if old is None:
                    anchors[number] = (form, strength, [item.id])
                else:
                    old[2].append(item.id)
                    if strength > old[1]:
                        anchors[number] = (form, strength, old[2])
        return anchors

    def _retrieve(self, scene: Scene) -> Candidates:
        store = self.store
        anchors = self.anchors(scene)
        outgoing, incoming = [], []
        strengths = np.array([strength for _, strength, _ in anchors.values()], np.float32)
        for number in anchors:
            start, end = store.out_range(number)
            outgoing.append(np.arange(start, min(end, start + OUTGOING_LIMIT)))
            first, last = store.in_range(number)
            incoming.append(store.tail_index[first : min(last, first + INCOMING_LIMIT)])
        sizes_out = [len(part) for part in outgoing]
        sizes_in = [len(part) for part in incoming]
        indices = np.concatenate([*outgoing, *incoming, np.empty(0, np.int64)]).astype(np.int64)
        numbers = np.arange(len(anchors))
        anchor_rows = np.concatenate([np.repeat(numbers, sizes_out), np.repeat(numbers, sizes_in)])
        is_out = np.arange(len(indices)) < sum(sizes_out)
        far = np.where(is_out, store.tails[indices], store.heads[indices]).astype(np.int64)
        base = strengths[anchor_rows] * np.where(is_out, 1.0, INCOMING_FACTOR)
        return Candidates(
            indices,
            far,
            anchor_rows,
            (base * _source_weight(store.weights[indices])).astype(np.float32),
            tuple(name for name, _, _ in anchors.values()),
            tuple(tuple(dict.fromkeys(ids)) for _, _, ids in anchors.values()),
            self._lexical.rows(far),
            frozenset(lemma for item in scene.objects for lemma in self._lexical.lemmas(item.name)),
        )


def _source_weight(weights: np.ndarray) -> np.ndarray:
    """A triple's own weight as a factor in [0, 1): 0.8 at ConceptNet's usual weight 1."""
    positive = np.maximum(weights, 0.0)
    return positive / (positive + 0.25)
