"""Exact vector search against the bare products: python benchmarks/bench_vector_search.py

A folder with 1 million rows of 512 numbers is written (2 GB), opened as an index, and searched
one query and 256 queries at a time. Every figure is the median over rounds; in each round ours
and the bare NumPy product run one after the other on the same memory-mapped data, so that a busy
machine slows both. The bare product of 256 queries is done in slices (`--slice` rows, one BLAS
call each), since all scores at once would take another gigabyte.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gqa_reasoner.vlp.retrieval.index import IndexWriter, VectorIndex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-rounds", type=int, default=2)
    parser.add_argument("--slice", type=int, default=100_000)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where to keep the index")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "index"
        if not (folder / "index.json").is_file():
            write(folder, arguments.rows, arguments.width)
        print(json.dumps(measure(folder, arguments), indent=1))


def write(folder: Path, rows: int, width: int) -> None:
    """Random directions, in parts."""
    rng = np.random.default_rng(0)
    with IndexWriter(folder, "benchmark", width) as writer:
        for start in range(0, rows, 50_000):
            part = rng.standard_normal((min(50_000, rows - start), width), dtype=np.float32)
            part /= np.linalg.norm(part, axis=1, keepdims=True)
            names = range(start, start + len(part))
            writer.append(part, [{"name": f"picture-{row}.jpg"} for row in names])


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """All figures."""
    start = time.perf_counter()
    index = VectorIndex.open(folder, "benchmark")
    opened = time.perf_counter() - start
    vectors = index.vectors
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((256, vectors.shape[1]), dtype=np.float32)
    vectors @ queries[0]  # every page is read once

    def product() -> None:
        for begin in range(0, len(vectors), arguments.slice):
            queries @ vectors[begin : begin + arguments.slice].T

    k = arguments.k
    one = compare(
        lambda: index.search(queries[0], k), lambda: vectors @ queries[0], arguments.rounds
    )
    many = compare(lambda: index.search(queries, k), product, arguments.batch_rounds)
    hits = time_of(lambda: index.hits(queries[0], k))
    return {
        "rows": len(index),
        "width": index.dimension,
        "k": k,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load_average": os.getloadavg()[0],
        "open_seconds": round(opened, 5),
        "single_query": one,
        "batch_of_256": many,
        "single_query_with_metadata_seconds": round(hits, 4),
    }


def compare(ours: Callable[[], object], bare: Callable[[], object], rounds: int) -> object:
    """Medians and the median of the rounds' ratios."""
    pairs = [(time_of(ours), time_of(bare)) for _ in range(rounds)]
    return {
        "ours_seconds": round(float(np.median([a for a, _ in pairs])), 4),
        "bare_product_seconds": round(float(np.median([b for _, b in pairs])), 4),
        "ratio": round(float(np.median([a / b for a, b in pairs])), 3),
        "ratios": [round(a / b, 3) for a, b in pairs],
    }


def time_of(work: Callable[[], object]) -> float:
    """Seconds of the wall clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
