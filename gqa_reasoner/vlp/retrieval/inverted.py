"""Approximate search for indexes beyond a million rows: inverted lists of a coarse quantiser.

Rows are sorted into the lists of their nearest centres (spherical k-means on a sample); a query
reads the lists of its nearest centres only (Jégou et al. 2011, the coarse part; the rows themselves
stay exact). Sorted rows lie side by side on disk, so a list is one contiguous read.

N: rows, D: width, C: centres, Q: queries, K: results.
"""

from __future__ import annotations

import json
import os

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval.index import VectorIndex
from gqa_reasoner.vlp.retrieval.search import SearchResult, search_exact

__all__ = ["InvertedLists"]

_FOLDER = "inverted"
_PART = 16384


class InvertedLists:
    """Lists beside an index, in its folder `inverted`."""

    def __init__(self, index: VectorIndex) -> None:
        """Open.

        Raises:
            InputError: there are none, or the index has changed since they were made.
        """
        folder = index.path / _FOLDER
        try:
            header = json.loads((folder / "inverted.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise InputError(f"{folder}: no inverted lists there; build them first") from error
        if header["of"] != _identity(index):
            raise InputError(f"{folder}: the index has changed since; build the lists anew")
        self.index = index
        self.centres = np.load(folder / "centres.npy")
        self.starts = np.load(folder / "starts.npy")
        self.rows = np.load(folder / "rows.npy", mmap_mode="r")
        self.vectors = np.load(folder / "vectors.npy", mmap_mode="r").view(np.ndarray)

    @classmethod
    def build(
        cls, index: VectorIndex, *, centres: int | None = None, rounds: int = 8, seed: int = 0
    ) -> InvertedLists:
        """Make the lists.

        Args:
            index: its rows should have equal lengths.
            centres: C; None: about 4 sqrt(N).
            rounds: of k-means, on at most 64 rows a centre.
            seed: of the sample.

        Raises:
            InputError: fewer rows than centres.
        """
        count = centres or max(1, min(len(index), int(4 * len(index) ** 0.5)))
        if not 1 <= count <= len(index):
            raise InputError(f"{index.path}: {count} centres for {len(index)} rows")
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(len(index))[: 64 * count])
        table = _k_means(np.array(index.vectors[chosen]), count, rounds, rng)
        owner = np.concatenate(
            [
                _nearest(index.vectors[start : start + _PART], table)
                for start in range(0, len(index), _PART)
            ]
        )
        rows = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[rows], np.arange(count + 1))
        folder = index.path / _FOLDER
        folder.mkdir(exist_ok=True)
        np.save(folder / "centres.npy", table)
        np.save(folder / "starts.npy", starts)
        np.save(folder / "rows.npy", rows)
        shape = (len(index), index.dimension)
        place = folder / "vectors.npy"
        sorted_ = np.lib.format.open_memmap(place, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(index), _PART):
            sorted_[start : start + _PART] = index.vectors[rows[start : start + _PART]]
        sorted_.flush()
        part = folder / f"inverted.json.{os.getpid()}.part"
        part.write_text(json.dumps({"of": _identity(index)}), encoding="utf-8")
        part.replace(folder / "inverted.json")
        return cls(index)

    def search(self, queries: np.ndarray, k: int = 10, *, probes: int = 16) -> SearchResult:
        """The best K among the rows of each query's nearest lists.

        Args:
            queries: (Q, D) or (D,).
            k: results per query.
            probes: lists read per query; all of them is exact search.
        """
        queries = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        near = search_exact(self.centres, queries, min(probes, len(self.centres))).rows
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for number, query in enumerate(queries):
            spans = [(self.starts[c], self.starts[c + 1]) for c in np.sort(near[number])]
            numbers = np.concatenate([self.rows[low:high] for low, high in spans])
            values = np.concatenate([self.vectors[low:high] @ query for low, high in spans])
            order = np.lexsort((numbers, -values))[:k]
            rows[number, : len(order)], scores[number, : len(order)] = numbers[order], values[order]
        return SearchResult(rows, scores)


def _identity(index: VectorIndex) -> list[object]:
    return [index.fingerprint, index.generation, len(index)]


def _nearest(vectors: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.argmax(vectors @ table.T, axis=1)


def _k_means(sample: np.ndarray, count: int, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Centres of length 1; an empty one moves to a row drawn anew."""
    table = sample[rng.permutation(len(sample))[:count]].copy()
    for _ in range(rounds):
        owner = np.concatenate(
            [_nearest(sample[at : at + _PART], table) for at in range(0, len(sample), _PART)]
        )
        order = np.argsort(owner, kind="stable")
        found, first = np.unique(owner[order], return_index=True)
        sums = np.add.reduceat(sample[order], first, axis=0)
        table[found] = sums
        empty = np.setdiff1d(np.arange(count), found)
        table[empty] = sample[rng.integers(0, len(sample), len(empty))]
        table /= np.linalg.norm(table, axis=1, keepdims=True).clip(min=1e-12)
    return table
