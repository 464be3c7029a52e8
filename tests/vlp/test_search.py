from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval import search
from gqa_reasoner.vlp.retrieval.search import search_exact


def naive(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """All scores, then a stable sort: best first, ties in row order."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 300), st.integers(1, 5), st.integers(0, 6), st.integers(1, 40), st.integers(0, 9)
)
def test_equals_a_full_sort_with_ties(n: int, d: int, q: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers: products are exact and there are many ties.
    vectors = rng.integers(-2, 3, (n, d)).astype(np.float32)
    queries = rng.integers(-2, 3, (q, d)).astype(np.float32)
    found = search_exact(vectors, queries, k)
    expected = naive(vectors, queries, k)
    assert found.rows.shape == (q, k)
    assert np.array_equal(found.rows[:, : expected.shape[1]], expected)
    assert (found.rows[:, n:] == -1).all() and np.isneginf(found.scores[:, n:]).all()


def test_many_small_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1000, 8)).astype(np.float32)
    queries = rng.normal(size=(7, 8)).astype(np.float32)
    whole = search_exact(vectors, queries, 10)
    monkeypatch.setattr(search, "_SHORTEST", 16)
    monkeypatch.setattr(search, "_CELLS", 1)
    parts = search_exact(vectors, queries, 10)
    assert np.array_equal(whole.rows, parts.rows)
    assert np.allclose(whole.scores, parts.scores)


def test_one_query_may_be_a_vector() -> None:
    vectors = np.eye(4, dtype=np.float32)
    assert search_exact(vectors, np.array([0, 0, 1, 0.5]), 2).rows.tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("queries", "k", "word"),
    [(np.zeros((1, 3)), 1, "width"), (np.zeros(4), 0, "k 0"), (np.full(4, np.nan), 1, "NaN")],
)
def test_refuses_what_does_not_fit(queries: np.ndarray, k: int, word: str) -> None:
    with pytest.raises(InputError, match=word):
        search_exact(np.eye(4, dtype=np.float32), queries, k)
