"""Expansion of one scene and question: ground, retrieve, score, diversify, keep the best.

Legend: N objects, A anchors (distinct concepts of the scene), M candidate triples.
relevance = confidence * source * match / (match + 0.5); match = lexical + cue + mention + prior.
Deterministic: the same scene, question, store and seed give the same context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Protocol

import numpy as np

from detectors.errors import InputError
from detectors.scene import Scene
from knowledge.concepts import verbalize
from knowledge.context import MODES, CoClickQuery, Context, Mode, ScoredTriple
from knowledge.controls import empty_triples, random_triples, seeded, shuffled_triples
from knowledge.lexical import LexicalScorer, asked_types
from knowledge.matching import match_concepts, ontology_finder
from knowledge.ontology import TOP, Ontology
from knowledge.presuppositions import presuppositions
from knowledge.retrieval import Candidates, Retriever
from knowledge.store import Triple, TripleStore

__all__ = ["CoClickSource", "Expander", "TripleScorer", "expand"]

CUE_WEIGHT, BARE_CUE_WEIGHT, MENTION_WEIGHT = 0.4, 0.1, 0.25
ASKED_TYPE_WEIGHT = 0.5
REPEAT_FACTOR = 0.85
RELATION_PRIOR = {
    "HasProperty": 0.2,
    "UsedFor": 0.2,
    "MadeOf": 0.18,
    "CapableOf": 0.15,
    "IsA": 0.15,
    "AtLocation": 0.12,
    "HasA": 0.12,
    "PartOf": 0.12,
    "ReceivesAction": 0.12,
}
_OTHER_PRIOR = 0.05
_NEVER = frozenset({"ExternalURL", "EtymologicallyRelatedTo", "EtymologicallyDerivedFrom"})


class TripleScorer(Protocol):
    """Scores candidates against a question: (M,) float32, 0 for no relation to the question."""

    name: str

    def score_texts(self, question: str, texts: Sequence[str]) -> np.ndarray:
        """One score in [0, about 1] per text."""


class CoClickSource(Protocol):
    """What expansion needs of a co-click log."""

    transductive: bool

    def queries_for(
        self, scene: Scene, question: str, *, question_id: str | None = None, k: int = 6
    ) -> list[CoClickQuery]:
        """The best queries for a scene, under the leak rules."""

    def random_queries(
        self, kept: Sequence[CoClickQuery], scene: Scene, generator: np.random.Generator
    ) -> tuple[CoClickQuery, ...]:
        """As many queries of other pictures, drawn at random: the control."""


class Expander:
    """Expands scenes and questions with one store; caches candidates per image.

    Args:
        store: triples.
        ontology: categories of the objects.
        coclick: co-click queries for the modes "coclick" and "both".
        scorer: replaces the lexical match (embedding or learned).
        k: items kept of each kind.
        token_budget: words that all kept triples may have together.
        gate: triples below this relevance are dropped.
        cache_size: images whose candidates are remembered.
    """

    def __init__(
        self,
        store: TripleStore,
        ontology: Ontology,
        *,
        coclick: CoClickSource | None = None,
        scorer: TripleScorer | None = None,
        k: int = 12,
        token_budget: int = 96,
        gate: float = 0.0,
        cache_size: int = 4096,
    ) -> None:
        if k < 0 or token_budget < 0:
            raise InputError(
                f"expansion: k and token budget must not be negative, got {k}, {token_budget}"
            )
        self.store, self.ontology, self.coclick = store, ontology, coclick
        self.scorer = scorer
        self.k, self.token_budget, self.gate = k, token_budget, gate
        self._lexical = LexicalScorer(store)
        self._prior = np.array(
            [
                -np.inf if name in _NEVER else RELATION_PRIOR.get(name, _OTHER_PRIOR)
                for name in store.relations
            ],
            dtype=np.float32,
        )
        self._find_name = ontology_finder(ontology)
        self._is_a = lru_cache(maxsize=100_000)(ontology.is_a)
        self._verbalized = lru_cache(maxsize=50_000)(self._verbalize)
        self._retriever = Retriever(store, ontology, self._lexical, cache_size)

    def expand(
        self,
        scene: Scene,
        question: str,
        *,
        mode: Mode = "triples",
        seed: int = 0,
        question_id: str | None = None,
    ) -> Context:
        """The context of one scene and question.

        Args:
            scene: objects with names and scores.
            question: its text.
            mode: source of the context; see `MODES`.
            seed: of the controls "random" and "shuffled".
            question_id: lets the leak rules of co-click queries find the question's relatives.

        Raises:
            InputError: unknown mode, or a co-click mode without a co-click log.
        """
        if mode not in MODES:
            raise InputError(f"expansion: mode: expected one of {', '.join(MODES)}, got {mode!r}")
        if mode == "none":
            return Context()
        queries: tuple[CoClickQuery, ...] = ()
        if mode in ("coclick", "both", "coclick_random"):
            if self.coclick is None:
                raise InputError(f"expansion: mode {mode!r} needs a co-click log")
            queries = tuple(
                self.coclick.queries_for(scene, question, question_id=question_id, k=self.k)
            )
        transductive = bool(queries) and self.coclick is not None and self.coclick.transductive
        if mode == "coclick_random" and self.coclick is not None:
            generator = seeded(seed, scene.image_id, question, mode)
            queries = self.coclick.random_queries(queries, scene, generator)
            transductive = False
        granted = presuppositions(queries, self._find_name) if queries else {}
        if mode in ("coclick", "coclick_random"):
            return Context((), queries, mode, transductive, granted)
        triples = self._triples(scene, question)
        if mode in ("random", "shuffled"):
            generator = seeded(seed, scene.image_id, question, mode)
            triples = self._control(mode, triples, scene, generator)
        elif mode == "empty":
            triples = empty_triples(triples)
        return Context(tuple(triples), queries, mode, transductive, granted)

    def expand_batch(
        self,
        pairs: Iterable[tuple[Scene, str]],
        *,
        mode: Mode = "triples",
        seed: int = 0,
        question_ids: Sequence[str | None] | None = None,
    ) -> list[Context]:
        """The contexts of many pairs; questions about one image share its candidates."""
        listed = list(pairs)
        ids = question_ids if question_ids is not None else [None] * len(listed)
        return [
            self.expand(scene, question, mode=mode, seed=seed, question_id=question_id)
            for (scene, question), question_id in zip(listed, ids, strict=True)
        ]

    def candidates(self, scene: Scene) -> Candidates:
        """All triples that touch the scene's objects or their categories (cached per image)."""
        return self._retriever.candidates(scene)

    def _control(
        self, mode: Mode, kept: list[ScoredTriple], scene: Scene, generator: np.random.Generator
    ) -> list[ScoredTriple]:
        if mode == "shuffled":
            return shuffled_triples(kept, self.store, generator)
        anchors = {number: ids for number, (_, _, ids) in self._retriever.anchors(scene).items()}
        return random_triples(kept, self.store, generator, anchors)

    def retrieved(self, scene: Scene, question: str, limit: int = 20) -> list[ScoredTriple]:
        """The best candidates before diversity, budget and gate choose among them."""
        candidates = self.candidates(scene)
        if not len(candidates.indices):
            return []
        relevance, parts = self._scores(candidates, question)
        order = np.argsort(-relevance, kind="stable")[:limit].tolist()
        return [self._scored(candidates, row, float(relevance[row]), parts) for row in order]

    def _triples(self, scene: Scene, question: str) -> list[ScoredTriple]:
        candidates = self.candidates(scene)
        if not len(candidates.indices) or not self.k:
            return []
        return self._select(candidates, *self._scores(candidates, question))

    def _scores(
        self, candidates: Candidates, question: str
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Relevance (M,) of each candidate and the parts that it is made of, each (M,)."""
        relations = self.store.relation_numbers[candidates.indices]
        query = self._lexical.query(question, self._asked(question), candidates.grounded)
        lexical = self._lexical.score(query, candidates.rows)
        if self.scorer is not None:
            lexical = self._rescored(self.scorer, question, candidates, lexical)
        matched = lexical > 0
        cue = query.relation_cues[relations] * np.where(matched, CUE_WEIGHT, BARE_CUE_WEIGHT)
        mention = self._mentions(question, candidates)[candidates.anchors] * MENTION_WEIGHT
        prior = self._prior[relations]
        match = np.maximum(lexical + cue + mention + prior, 0.0)
        relevance = candidates.base * match / (match + 0.5)
        return relevance, {"lexical": lexical, "cue": cue, "mention": mention, "prior": prior}

    def _rescored(
        self, scorer: TripleScorer, question: str, candidates: Candidates, lexical: np.ndarray
    ) -> np.ndarray:
        """Let the scorer judge the candidates that the lexical match puts first."""
        order = np.argsort(
            -(lexical + self._prior[self.store.relation_numbers[candidates.indices]])
        )
        chosen = order[: max(8 * self.k, 64)]
        texts = [self._text(int(candidates.indices[row])) for row in chosen]
        scores = np.zeros_like(lexical)
        scores[chosen] = np.maximum(scorer.score_texts(question, texts), 0.0)
        return scores

    def _text(self, index: int) -> str:
        return self._verbalized(index)[1]

    def _verbalize(self, index: int) -> tuple[Triple, str, int]:
        """A triple, its text and how many words that has."""
        triple = self.store.triple_at(index)
        text = verbalize(triple.head, triple.relation, triple.tail)
        return triple, text, len(text.split())

    def _asked(self, question: str) -> dict[str, float]:
        """Lemmas of the attributes that the question asks for by their type."""
        return {
            attribute: ASKED_TYPE_WEIGHT
            for kind in asked_types(question)
            for attribute in self.ontology.attributes_of_type(kind)
        }

    def _mentions(self, question: str, candidates: Candidates) -> np.ndarray:
        """(A,) 1 where the question names the anchor or a category of it."""
        named = self.question_names(question)
        return np.array(
            [float(any([self._is_a(name, word) for word in named])) for name in candidates.names],
            dtype=np.float32,
        )

    def question_names(self, question: str) -> list[str]:
        """The object names and categories in a question, in order, without "object" itself."""
        found = match_concepts(question, self._find_name)
        return [name for name in dict.fromkeys(match.concept for match in found) if name != TOP]

    def _select(
        self, candidates: Candidates, relevance: np.ndarray, parts: dict[str, np.ndarray]
    ) -> list[ScoredTriple]:
        """Greedy choice: best first; a further triple of one anchor counts a little less."""
        pool = np.argsort(-relevance, kind="stable")[: max(8 * self.k, 64)]
        rows, anchors = pool.tolist(), candidates.anchors[pool].tolist()
        values = relevance[pool].astype(np.float64).tolist()
        indices = candidates.indices[pool].tolist()
        waiting: dict[int, list[int]] = {}  # anchor → its places in the pool, best last
        for place in range(len(rows) - 1, -1, -1):
            waiting.setdefault(anchors[place], []).append(place)
        kept_of = dict.fromkeys(waiting, 0)
        heap = [(-values[places[-1]], places.pop()) for places in waiting.values()]
        heapify(heap)
        kept: list[ScoredTriple] = []
        seen: set[int] = set()
        budget = self.token_budget
        while heap and len(kept) < self.k and -heap[0][0] > self.gate:
            _, place = heappop(heap)
            index, anchor = indices[place], anchors[place]
            words = self._verbalized(index)[2]
            if index not in seen and words <= budget:
                budget -= words
                kept.append(
                    self._scored(candidates, rows[place], float(relevance[rows[place]]), parts)
                )
                kept_of[anchor] += 1
            seen.add(index)
            if waiting[anchor]:
                following = waiting[anchor].pop()
                value = values[following]
                for _ in range(kept_of[anchor]):
                    value *= REPEAT_FACTOR
                heappush(heap, (-value, following))
        return sorted(kept, key=lambda item: -item.relevance)

    def _scored(
        self, candidates: Candidates, row: int, relevance: float, parts: dict[str, np.ndarray]
    ) -> ScoredTriple:
        triple, text, _ = self._verbalized(int(candidates.indices[row]))
        anchor = int(candidates.anchors[row])
        return ScoredTriple(
            *triple,
            relevance=relevance,
            source="triples",
            text=text,
            object_ids=candidates.object_ids[anchor],
            parts={
                **{name: float(values[row]) for name, values in parts.items()},
                "confidence": float(candidates.base[row]),
            },
        )


def expand(
    scene: Scene,
    question: str,
    *,
    store: TripleStore,
    ontology: Ontology,
    coclick: CoClickSource | None = None,
    mode: Mode = "triples",
    k: int = 12,
    seed: int = 0,
    question_id: str | None = None,
) -> Context:
    """Expand one scene and question; for many, keep an `Expander`, which caches per image."""
    expander = Expander(store, ontology, coclick=coclick, k=k)
    return expander.expand(scene, question, mode=mode, seed=seed, question_id=question_id)
