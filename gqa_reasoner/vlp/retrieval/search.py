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
_SPAN = 1024
"""Rows whose maximum is taken together."""


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
        for query in np.flatnonzero(np.isneginf(self.threshold)).tolist():
            found = _leading(scores[query], self.count)
            self._merge(query, found + start, scores[query, found])
            scores[query] = -np.inf  # this block of it is done
        whole = scores.shape[1] // _SPAN * _SPAN
        spans = scores[:, :whole].reshape(len(scores), -1, _SPAN)
        self._take_spans(spans, start)
        self._take_spans(scores[:, None, whole:], start + whole)

    def _take_spans(self, spans: np.ndarray, start: int) -> None:
        """Scores (Q, spans, rows of a span): only spans whose best is above are looked into."""
        if not spans.size:
            return
        hit, span = np.nonzero(spans.max(axis=2) > self.threshold[:, None])
        ends = np.searchsorted(hit, np.arange(len(spans) + 1))
        for query in np.unique(hit).tolist():
            places = span[ends[query] : ends[query + 1]]
            values = spans[query, places]
            which, row = np.nonzero(values > self.threshold[query])
            rows, found = start + places[which] * spans.shape[2] + row, values[which, row]
            if len(rows) > 4 * self.count:
                kept = _leading(found, self.count)
                rows, found = rows[kept], found[kept]
            self._merge(query, rows, found)

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
