"""The lexical scorer: BM25-like matching of a question with triples, over lemmas.

Legend: M candidate triples, L lemma occurrences in their far ends, W lemmas of the store.
Formula: sum over shared lemmas of idf(l) (k1 + 1) / (1 + k1 (1 - b + b len / mean len)), divided by
the greatest idf, so that one rare shared lemma counts about 1 (Robertson & Zaragoza 2009; term
frequencies are 0 or 1 here).
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from knowledge.concepts import RELATIONS
from knowledge.lemmas import STOP_WORDS, Lemmatizer, tokenize
from knowledge.store import TripleStore, scalars
from knowledge.store_builder import concept_hash

__all__ = ["LemmaRows", "LexicalScorer", "QueryLemmas"]

_K1, _B = 1.2, 0.75
_MEMO_LIMIT = 100_000
_ASKED_TYPES = ("color", "material", "shape", "size", "flavor", "pattern", "texture", "sport")
CUE_LEMMA_WEIGHT = 0.3
"""Weight of a question word that already names a relation ("used for")."""
GROUNDED_LEMMA_WEIGHT = 0.4
"""Weight of a question word that names an object of the scene by itself."""
MAX_WORDS = 200
"""Words of a question that are read; the rest of a longer text is ignored."""


@dataclass(frozen=True)
class LemmaRows:
    """The lemmas of M concepts, flat: `lemmas` (L,) belong to row `rows` (L,); `norm` (M,)."""

    lemmas: np.ndarray
    rows: np.ndarray
    norm: np.ndarray


@dataclass(frozen=True)
class QueryLemmas:
    """A question as weighted lemma numbers, and the relations that its wording asks for."""

    numbers: np.ndarray
    weights: np.ndarray
    relation_cues: np.ndarray
    """(relations of the store,) float: 1 where the question has a cue of the relation."""


class LexicalScorer:
    """Scores concepts of one store against questions."""

    name = "lexical"

    def __init__(self, store: TripleStore) -> None:
        self._store = store
        sections = store.sections
        self._lemmas = sections["concept_lemmas"]
        self._ends = sections["concept_lemma_offsets"]
        self._counts = sections["lemma_counts"]
        self._hashes = scalars(sections, "lemma_hashes", "Q")
        self._mean_length = max(len(self._lemmas) / max(store.concept_count, 1), 1.0)
        self._tables = threading.local()
        self._numbers: dict[str, int | None] = {}
        self._lemmatizer = Lemmatizer.default()
        self._cues = [_cue_lemmas(name, self._lemmatizer) for name in store.relations]
        self._greatest = math.log(1 + (store.concept_count + 0.5) / 1.5) or 1.0

    def lemmas(self, text: str) -> list[str]:
        """The lemmas of a text, as questions and concepts are read."""
        return self._lemmatizer.lemmas(text)

    def lemma_number(self, lemma: str) -> int | None:
        """The number of a lemma of the store, None if no concept has it."""
        if lemma not in self._numbers:
            if len(self._numbers) >= _MEMO_LIMIT:
                self._numbers.clear()
            self._numbers[lemma] = self._search(lemma.encode("utf-8", "surrogatepass"))
        return self._numbers[lemma]

    def _search(self, lemma: bytes) -> int | None:
        """A lemma's number is the rank of its hash."""
        key = concept_hash(lemma)
        number = bisect_left(self._hashes, key)
        return number if number < len(self._hashes) and self._hashes[number] == key else None

    def rows(self, concepts: np.ndarray) -> LemmaRows:
        """Gather the lemmas of concepts (M,), once per scene."""
        starts = self._ends[concepts].astype(np.int64)
        lengths = self._ends[concepts + 1].astype(np.int64) - starts
        rows = np.repeat(np.arange(len(concepts)), lengths)
        first = np.cumsum(lengths) - lengths
        flat = np.arange(len(rows)) - np.repeat(first - starts, lengths)
        norm = (_K1 + 1) / (1 + _K1 * (1 - _B + _B * lengths / self._mean_length))
        return LemmaRows(self._lemmas[flat], rows, norm.astype(np.float32))

    def query(
        self,
        question: str,
        asked: Mapping[str, float] | None = None,
        grounded: Collection[str] = (),
    ) -> QueryLemmas:
        """Read a question.

        Args:
            question: its text.
            asked: further lemmas with weights, such as the colours where it asks for a colour.
            grounded: lemmas that name an object of the scene; a triple that leads to one adds less.
        """
        forms = tokenize(question)[:MAX_WORDS]
        words = [self._lemmatizer.lemma(word) for word in forms]
        phrase = f" {' '.join(words)} "
        matched = [[cue for cue in cues if cue in phrase] for cues in self._cues]
        asking = {word for cues in matched for cue in cues for word in cue.split()}
        wanted = dict(asked or {})
        wanted |= {
            lemma: CUE_LEMMA_WEIGHT
            if lemma in asking
            else GROUNDED_LEMMA_WEIGHT
            if lemma in grounded
            else 1.0
            for lemma, form in zip(words, forms, strict=True)
            if form not in STOP_WORDS
        }
        found = {
            number: weight * self._idf(number)
            for lemma, weight in wanted.items()
            if (number := self.lemma_number(lemma)) is not None
        }
        cues = [float(bool(found_cues)) for found_cues in matched]
        return QueryLemmas(
            np.fromiter(found, dtype=np.int64, count=len(found)),
            np.fromiter(found.values(), dtype=np.float32, count=len(found)),
            np.asarray(cues, dtype=np.float32),
        )

    def score(self, query: QueryLemmas, rows: LemmaRows) -> np.ndarray:
        """How well each of M concepts matches a question: (M,) float32, 0 for no shared lemma."""
        table = getattr(self._tables, "weights", None)
        if table is None:
            table = np.zeros(len(self._counts) + 1, dtype=np.float32)
            self._tables.weights = table
        table[query.numbers] = query.weights
        values = table[rows.lemmas]
        table[query.numbers] = 0.0
        summed = np.bincount(rows.rows, weights=values, minlength=len(rows.norm))
        return (summed * rows.norm).astype(np.float32)

    def _idf(self, number: int) -> float:
        count, total = int(self._counts[number]), self._store.concept_count
        return math.log(1 + (total - count + 0.5) / (count + 0.5)) / self._greatest


def asked_types(question: str) -> tuple[str, ...]:
    """The attribute types that a question names ("what color ..." -> color)."""
    words = set(tokenize(question))
    return tuple(kind for kind in _ASKED_TYPES if kind in words)


def _cue_lemmas(relation: str, lemmatizer: Lemmatizer) -> tuple[str, ...]:
    known = RELATIONS.get(relation)
    if known is None:
        return ()
    return tuple(f" {' '.join(lemmatizer.lemmas(cue))} " for cue in known.cues)
