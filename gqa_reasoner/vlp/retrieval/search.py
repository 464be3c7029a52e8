"""Exact nearest vectors by inner product, in blocks, without ever holding all scores.

Each block of rows is multiplied with all queries at once (BLAS); of its scores only those above a
query's k-th best so far are looked at, so beyond the product the work is a running maximum.

N: vectors, D: their width, Q: queries, K: results per query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.errors import InputError

__all__ = ["SearchResult", "search_exact"]

_CELLS = 1 << 24
"""Scores of one block (64 MB): few enough to hold, enough for the product to run at full speed."""
_SHORTEST = 2048


@dataclass(frozen=True)
class SearchResult:
    """Best first; ties in row order. Rows are -1 and scores -inf where there were fewer than K."""

    rows: np.ndarray
    """(Q, K) int64."""
    scores: np.ndarray
    """(Q, K) float32."""


def search_exact(vectors: np.ndarray, queries: np.ndarray, k: int) -> SearchResult:
    """The K rows with the largest inner product for every query.

    Args:
        vectors: (N, D) float32, may be memory-mapped.
        queries: (Q, D) or (D,).
        k: results wanted.

    Raises:
        InputError: another width, NaN in a query, or k below 1.
    """
    queries = np.ascontiguousarray(np.atleast_2d(np.asarray(queries, dtype=np.float32)))
    if queries.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise InputError(
            f"search: queries {queries.shape} do not fit vectors of width {vectors.shape[1]}"
        )
    if k < 1:
        raise InputError(f"search: k {k}: expected 1 or more")
    if not np.isfinite(queries).all():
        raise InputError("search: a query holds NaN or infinity")
    count = min(k, len(vectors))
    best = _Best(len(queries), count)
    if len(queries) and count:
        length = min(max(_CELLS // len(queries), _SHORTEST, count), len(vectors))
        buffer = np.empty((len(queries), length), dtype=np.float32)
        # A short first block sets the thresholds at little cost.
        first = min(length, max(_SHORTEST, 2 * count))
        for start in (0, *range(first, len(vectors), length)):
            block = vectors[start : start + (length if start else first)]
            scores = buffer[:, : len(block)]
            if len(queries) == 1:
                np.dot(block, queries[0], out=scores[0])
            else:
                np.matmul(queries, block.T, out=scores)
            best.take(scores, start)
    return best.result(k)


class _Best:
    """Running best of every query: candidates above the threshold, cut back when they pile up."""

    def __init__(self, queries: int, count: int) -> None:
        self.count = count
        self.threshold = np.full(queries, -np.inf, dtype=np.float32)
        self.rows = [np.empty(0, dtype=np.int64) for _ in range(queries)]
        self.scores = [np.empty(0, dtype=np.float32) for _ in range(queries)]

    def take(self, scores: np.ndarray, start: int) -> None:
        """Scores (Q, rows of the block) of rows from `start` on."""
        highest = scores.max(axis=1)
        full = np.isneginf(self.threshold)
        for query in np.flatnonzero((highest > self.threshold) | full).tolist():
            row = scores[query]
            if full[query]:
                found = _leading(row, self.count)
            else:
                found = np.flatnonzero(row > self.threshold[query])
                if len(found) > 4 * self.count:
                    found = found[_leading(row[found], self.count)]
            self._merge(query, found + start, row[found])

    def _merge(self, query: int, rows: np.ndarray, scores: np.ndarray) -> None:
        all_rows = np.concatenate((self.rows[query], rows))
        all_scores = np.concatenate((self.scores[query], scores))
        # Rows come in rising order, and the sort is stable: ties keep the lower row.
        order = np.argsort(-all_scores, kind="stable")[: self.count]
        self.rows[query], self.scores[query] = all_rows[order], all_scores[order]
        if len(order) == self.count:
            self.threshold[query] = self.scores[query][-1]

    def result(self, k: int) -> SearchResult:
        rows = np.full((len(self.rows), k), -1, dtype=np.int64)
        scores = np.full((len(self.rows), k), -np.inf, dtype=np.float32)
        for query, (found, values) in enumerate(zip(self.rows, self.scores, strict=True)):
            rows[query, : len(found)] = found
            scores[query, : len(found)] = values
        return SearchResult(rows, scores)


def _leading(scores: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` largest scores in rising order, lower positions first on ties."""
    if len(scores) <= count:
        return np.arange(len(scores))
    limit = np.partition(scores, len(scores) - count)[len(scores) - count]
    above = np.flatnonzero(scores > limit)
    ties = np.flatnonzero(scores == limit)[: count - len(above)]
    return np.sort(np.concatenate((above, ties)))
