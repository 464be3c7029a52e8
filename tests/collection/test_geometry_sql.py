"""The SQL formulas are those of the executor's geometry."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("duckdb")

import duckdb

from gqa_reasoner.collection.geometry_sql import pair_sql, place_sql
from gqa_reasoner.program.geometry import horizontal_place, pair_relation, vertical_place

KINDS = ("left", "right", "above", "below", "on", "in", "near", "front", "behind", "contact",
         "larger", "smaller")  # fmt: skip


@pytest.fixture(scope="module")
def boxes() -> np.ndarray:
    generator = np.random.default_rng(5)
    corners = generator.uniform(0, 200, (60, 2))
    near = corners[:30] + generator.normal(0, 15, (30, 2))
    corners = np.concatenate([corners, near])
    return np.concatenate([corners, corners + generator.uniform(1, 120, (90, 2))], axis=1)


@pytest.fixture(scope="module")
def connection(boxes: np.ndarray) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    columns = dict(zip(("x1", "y1", "x2", "y2"), boxes.T, strict=True))
    connection.register("boxes", {"n": np.arange(len(boxes)), **columns})
    return connection


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_agree_with_the_executor(
    connection: duckdb.DuckDBPyConnection, boxes: np.ndarray, kind: str
) -> None:
    rows = connection.execute(
        f"SELECT a.n, b.n, {pair_sql(kind, 'a', 'b')} FROM boxes a, boxes b WHERE a.n <> b.n"
    ).fetchall()
    expected = pair_relation(boxes, kind)
    assert len(rows) == 90 * 89
    for one, other, found in rows:
        assert found == pytest.approx(expected[one, other], abs=1e-6)


@pytest.mark.parametrize("place", ["left", "right", "middle", "top", "bottom"])
def test_places_agree_with_the_executor(
    connection: duckdb.DuckDBPyConnection, boxes: np.ndarray, place: str
) -> None:
    kind = "vposition" if place in ("top", "bottom") else "hposition"
    reading = vertical_place if kind == "vposition" else horizontal_place
    found = connection.execute(
        f"SELECT {place_sql(place, kind, 'o', 'i')} AS p FROM boxes o, "
        "(SELECT 350 AS width, 350 AS height) i ORDER BY o.n"
    ).fetchnumpy()["p"]
    np.testing.assert_allclose(found, reading(boxes, 350, place), atol=1e-6)


def test_an_unknown_place_is_none() -> None:
    assert place_sql("beyond", "hposition", "o", "i") is None
