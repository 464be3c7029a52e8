"""`TripleStore`: commonsense triples in a memory-mapped file, looked up in microseconds.

Legend: T triples in head order, C concepts. Concept texts have spaces ("hot dog"); the store's own
language is written without a prefix. Built by `knowledge build` or `TripleStore.from_triples`.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from detectors.errors import InputError
from knowledge.concepts import parse_concept, without_article
from knowledge.lemmas import Lemmatizer
from knowledge.store_builder import StoreBuilder, concept_hash
from knowledge.store_format import StoreFile

if TYPE_CHECKING:
    import networkx

__all__ = ["Direction", "Path2", "Triple", "TripleSource", "TripleStore"]

_MEMO_LIMIT = 500_000
_BLOCK = 65_536
_SHORT = 24
"""Shorter lists are made item by item, longer ones by numpy."""

Direction = Literal["out", "in", "both"]


class Triple(NamedTuple):
    """`head --relation--> tail`; relations are ConceptNet's names without "/r/"."""

    head: str
    relation: str
    tail: str
    weight: float = 1.0


class Path2(NamedTuple):
    """A two-hop path: `first` joins the start to `middle`, `second` joins `middle` to the end."""

    middle: str
    first: Triple
    second: Triple
    weight: float
    """The lower of the two weights."""


class TripleSource(Protocol):
    """What a store and the live conceptnet-lite backend have in common."""

    def edges(
        self, concept: str, k: int | None = None, *, direction: Direction = "both"
    ) -> list[Triple]:
        """The triples of a concept, best weight first."""

    def between(self, first: str, second: str) -> list[Triple]:
        """The triples that join two concepts, in either direction."""


class TripleStore:
    """Look-ups over one store file; immutable, cheap to open, shared between processes."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        sections, meta = file.sections, file.meta
        self.relations: tuple[str, ...] = tuple(meta["relations"])
        self.language: str = meta["language"]
        self.fingerprint: str = meta["fingerprint"]
        self.heads, self.tails = sections["head"], sections["tail"]
        self.relation_numbers = sections["relation"]
        self.weights = sections["weight"]
        self.tail_index = sections["tail_index"]
        view = functools.partial(scalars, sections)
        self._texts = sections["concept_texts"].data.cast("B")
        self._text_ends = view("concept_offsets", "Q")
        self._hashes, self._hash_concepts = view("hashes", "Q"), view("hash_concepts", "I")
        self._out, self._in = view("head_offsets", "Q"), view("tail_offsets", "Q")
        self._relation_ends = view("relation_offsets", "Q")
        self._head_scalars, self._tail_scalars = view("head", "I"), view("tail", "I")
        self._relation_scalars = view("relation", "H")
        self._weight_scalars = view("weight", "f")
        self._in_scalars = view("tail_index", "I")
        self._text_memo: dict[int, str] = {}

    @classmethod
    def open(cls, path: str | Path) -> TripleStore:
        """Map a store file.

        Raises:
            InputError: not a store, another version, truncated or damaged.
        """
        return cls(StoreFile(Path(path)))

    @classmethod
    def from_triples(
        cls, triples: Iterable[tuple[str, str, str, float]], *, language: str = "en"
    ) -> TripleStore:
        """A store in memory of (head, relation, tail, weight) tuples."""
        builder = StoreBuilder(language=language)
        builder.add_all(triples)
        return cls(StoreFile(builder.to_bytes()))

    @classmethod
    @functools.lru_cache(maxsize=1)
    def default(cls) -> TripleStore:
        """The triples shipped with the project (one shared object)."""
        from knowledge.triples_tsv import default_triples

        return cls.from_triples(default_triples())

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers reopen the file instead of copying it."""
        source = self._file.path or bytes(self._file.buffer)
        return _reopen, (source,)

    def __len__(self) -> int:
        return len(self.tails)

    def __iter__(self) -> Iterator[Triple]:
        """Every triple, in head order."""
        for start in range(0, len(self), _BLOCK):
            yield from self._triples(slice(start, start + _BLOCK))

    def __repr__(self) -> str:
        return f"TripleStore({self._file.name}, {len(self)} triples, {self.concept_count} concepts)"

    @property
    def concept_count(self) -> int:
        """How many distinct concepts the triples join."""
        return len(self._text_ends) - 1

    @property
    def sections(self) -> dict[str, np.ndarray]:
        """The raw arrays, for scorers; see `knowledge/store_format.py`."""
        return self._file.sections

    def verify(self) -> None:
        """Check all checksums; raises InputError where the file is damaged."""
        self._file.verify()

    def concept_id(self, text: str) -> int | None:
        """The number of a concept by its exact stored text."""
        data = text.encode("utf-8", "surrogatepass")
        key = concept_hash(data)
        position = bisect_left(self._hashes, key)
        while position < len(self._hashes) and self._hashes[position] == key:
            concept = self._hash_concepts[position]
            start, end = self._text_ends[concept], self._text_ends[concept + 1]
            if end - start == len(data) and self._texts[start:end] == data:
                return concept
            position += 1
        return None

    def concept_text(self, concept: int) -> str:
        """The text of a concept number."""
        text = self._text_memo.get(concept)
        if text is None:
            if len(self._text_memo) >= _MEMO_LIMIT:
                self._text_memo.clear()
            start, end = self._text_ends[concept], self._text_ends[concept + 1]
            text = self._text_memo[concept] = str(self._texts[start:end], "utf-8")
        return text

    def find(self, name: str) -> int | None:
        """The number of a concept by any of its forms.

        Tried in turn: the normalized text, without its article, its last word's lemma, all lemmas.
        """
        found = self.concept_id(name)
        if found is not None:
            return found
        language, text, sense = parse_concept(name, language=self.language)
        if sense:
            text = f"{text}/{sense}"
        if language != self.language:
            return self.concept_id(f"{language}/{text}")
        found = self.concept_id(text)
        if found is None and text:
            for form in _forms(text):
                found = self.concept_id(form)
                if found is not None:
                    break
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def edges(
        self, concept: str, k: int | None = None, *, direction: Direction = "both"
    ) -> list[Triple]:
        """The triples of a concept, best weight first; [] for an unknown concept.

        Args:
            concept: name in any form that `find` knows.
            k: at most so many.
            direction: as head ("out"), as tail ("in") or both; a loop is listed once.
        """
        number = self.find(concept)
        if number is None:
            return []
        limit = len(self.tails) if k is None else max(k, 0)
        found: list[Triple] = []
        if direction != "in":
            start, end = self.out_range(number)
            found = self._listed(start, min(end, start + limit))
        if direction != "out":
            start, end = self.in_range(number)
            incoming = self._listed(start, min(end, start + limit), self._in_scalars)
            if direction == "both":
                text = self.concept_text(number)
                incoming = [triple for triple in incoming if triple[0] != text]
            merging = bool(found) and bool(incoming)
            found += incoming
            if merging:
                found.sort(key=_by_weight)
        return found[:limit]

    def between(self, first: str, second: str) -> list[Triple]:
        """The triples that join two concepts, in either direction, best weight first."""
        start, end = self.find(first), self.find(second)
        if start is None or end is None:
            return []
        found = self._triples(self._indices(start, end))
        if start != end:
            found += self._triples(self._indices(end, start))
        return sorted(found, key=_by_weight)

    def has(self, head: str, relation: str, tail: str) -> bool:
        """Whether exactly this triple is stored."""
        start, end = self.find(head), self.find(tail)
        if start is None or end is None:
            return False
        return any(
            self.relations[number] == relation
            for number in self.relation_numbers[self._indices(start, end)].tolist()
        )

    def with_relation(self, relation: str, k: int | None = None) -> list[Triple]:
        """The triples of a relation, best weight first; [] for an unknown relation."""
        if relation not in self.relations:
            return []
        number = self.relations.index(relation)
        start, end = self._relation_ends[number], self._relation_ends[number + 1]
        if k is not None:
            end = min(end, start + max(k, 0))
        return self._triples(self.sections["relation_index"][start:end])

    def parents(self, concept: str) -> list[str]:
        """What a concept IsA, best weight first (the ontology's fallback)."""
        return [t.tail for t in self.edges(concept, direction="out") if t.relation == "IsA"]

    def paths(self, start: str, end: str, k: int = 10) -> list[Path2]:
        """Two-hop paths between two concepts over edges of either direction, best first."""
        first, last = self.find(start), self.find(end)
        if first is None or last is None:
            return []
        ends = (first, last)
        shared = np.intersect1d(self._neighbours(first), self._neighbours(last))
        found: list[Path2] = []
        for middle in shared.tolist():
            if middle in ends:
                continue
            one, two = self._best_link(first, middle), self._best_link(middle, last)
            found.append(Path2(self.concept_text(middle), one, two, min(one.weight, two.weight)))
        found.sort(key=lambda path: (-path.weight, path.middle))
        return found[:k]

    def triple_at(self, index: int) -> Triple:
        """The triple of a number between 0 and `len(store)`."""
        return Triple(
            self.concept_text(self._head_scalars[index]),
            self.relations[self._relation_scalars[index]],
            self.concept_text(self._tail_scalars[index]),
            round(self._weight_scalars[index], 6),
        )

    def out_range(self, concept: int) -> tuple[int, int]:
        """The numbers of a concept's outgoing triples: start and end."""
        return self._out[concept], self._out[concept + 1]

    def in_range(self, concept: int) -> tuple[int, int]:
        """The positions in `tail_index` of a concept's incoming triples: start and end."""
        return self._in[concept], self._in[concept + 1]

    def to_networkx(self) -> networkx.MultiDiGraph:
        """All triples as a directed multigraph: nodes are texts, edges have relation and weight."""
        import networkx

        graph = networkx.MultiDiGraph(language=self.language, fingerprint=self.fingerprint)
        graph.add_nodes_from(self.concept_text(number) for number in range(self.concept_count))
        graph.add_edges_from(
            (t.head, t.tail, {"relation": t.relation, "weight": t.weight}) for t in self
        )
        return graph

    def to_pyg(self) -> Any:
        """All triples as PyG `Data`: edge_index (2, T), edge_type (T,), edge_weight (T,)."""
        import torch
        from torch_geometric.data import Data

        edge_index = torch.from_numpy(np.stack([self.heads, self.tails]).astype(np.int64))
        return Data(
            edge_index=edge_index,
            edge_type=torch.from_numpy(self.relation_numbers.astype(np.int64)),
            edge_weight=torch.from_numpy(self.weights.astype(np.float32)),
            num_nodes=self.concept_count,
        )

    def _listed(self, start: int, end: int, index: memoryview | None = None) -> list[Triple]:
        """The triples of a range of numbers, or of positions in `index`; quick for short ones."""
        if end - start > _SHORT:
            return self._triples(slice(start, end) if index is None else self.tail_index[start:end])
        heads, tails, text = self._head_scalars, self._tail_scalars, self.concept_text
        relations, kinds, weights = self.relations, self._relation_scalars, self._weight_scalars
        return [
            Triple(text(heads[i]), relations[kinds[i]], text(tails[i]), round(weights[i], 6))
            for i in (range(start, end) if index is None else index[start:end])
        ]

    def _triples(self, chosen: slice | np.ndarray) -> list[Triple]:
        """The triples of a range or of an array of numbers, in that order."""
        text, relations = self.concept_text, self.relations
        return [
            Triple(text(head), relations[relation], text(tail), weight)
            for head, relation, tail, weight in zip(
                self.heads[chosen].tolist(),
                self.relation_numbers[chosen].tolist(),
                self.tails[chosen].tolist(),
                np.round(self.weights[chosen].astype(np.float64), 6).tolist(),
                strict=True,
            )
        ]

    def _indices(self, head: int, tail: int) -> np.ndarray:
        """Numbers of the triples from head to tail, walking the shorter of the two lists."""
        start, end = self.out_range(head)
        first, last = self.in_range(tail)
        if end - start <= last - first:
            return np.flatnonzero(self.tails[start:end] == tail) + start
        chosen = self.tail_index[first:last]
        return np.sort(chosen[(chosen >= start) & (chosen < end)])

    def _neighbours(self, concept: int) -> np.ndarray:
        start, end = self.out_range(concept)
        first, last = self.in_range(concept)
        heads = self.heads[self.tail_index[first:last]]
        return np.unique(np.concatenate([self.tails[start:end], heads]))

    def _best_link(self, one: int, two: int) -> Triple:
        links = [self._indices(one, two), self._indices(two, one)]
        return min(self._triples(np.concatenate(links)), key=_by_weight)


def _by_weight(triple: Triple) -> tuple[float, str, str, str]:
    head, relation, tail, weight = triple
    return -weight, head, relation, tail


def scalars(sections: dict[str, np.ndarray], name: str, code: str) -> memoryview:
    """A section as a memoryview, whose single items are read much faster than numpy's."""
    values = sections[name]
    if values.size == 0:
        return memoryview(b"").cast(code)  # type: ignore[call-overload]
    return values.data.cast("B").cast(code)  # type: ignore[call-overload]


def _forms(text: str) -> Iterator[str]:
    plain = without_article(text)
    if plain != text:
        yield plain
    lemmatizer = Lemmatizer.default()
    before, space, last = plain.rpartition(" ")
    lemma = lemmatizer.lemma(last)
    if lemma != last:
        yield before + space + lemma
    if space:
        every = " ".join(lemmatizer.lemma(word) for word in plain.split(" "))
        if every != plain:
            yield every


def _reopen(source: Path | bytes) -> TripleStore:
    if isinstance(source, Path) and not source.is_file():
        raise InputError(f"{source}: triple store: the file is gone")
    return TripleStore(StoreFile(source))
