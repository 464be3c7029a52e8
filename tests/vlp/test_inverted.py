from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval.index import IndexWriter, VectorIndex
from gqa_reasoner.vlp.retrieval.inverted import InvertedLists


@pytest.fixture
def index(tmp_path: Path) -> VectorIndex:
    """Twenty bundles of a hundred directions."""
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(20, 1, 16))
    vectors = (middle + 0.3 * rng.normal(size=(20, 100, 16))).reshape(-1, 16)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with IndexWriter(tmp_path, "m", 16) as writer:
        writer.append(vectors, [{"name": str(row)} for row in range(len(vectors))])
    return VectorIndex.open(tmp_path)


def test_all_lists_are_exact_search(index: VectorIndex) -> None:
    lists = InvertedLists.build(index, centres=12)
    queries = index.vectors[::97] + 0.01
    exact, found = index.search(queries, 7), lists.search(queries, 7, probes=12)
    assert np.array_equal(exact.rows, found.rows)
    assert np.allclose(exact.scores, found.scores)


def test_few_lists_find_most(index: VectorIndex) -> None:
    lists = InvertedLists.build(index)
    assert len(lists.centres) == 178
    queries = np.array(index.vectors[::50])
    exact, found = index.search(queries, 10), lists.search(queries, 10, probes=12)
    hit = [len(set(a) & set(b)) for a, b in zip(exact.rows, found.rows, strict=True)]
    assert np.mean(hit) > 8
    assert (found.rows[:, 0] == np.arange(0, 2000, 50)).all()


def test_lists_of_a_changed_index_are_refused(index: VectorIndex) -> None:
    with pytest.raises(InputError, match="build them first"):
        InvertedLists(index)
    InvertedLists.build(index, centres=4)
    with IndexWriter(index.path, "m", 16) as writer:
        writer.append(np.zeros((1, 16)), [{"name": "new"}])
    with pytest.raises(InputError, match="changed"):
        InvertedLists(VectorIndex.open(index.path))
    with pytest.raises(InputError, match="centres"):
        InvertedLists.build(index, centres=9999)
