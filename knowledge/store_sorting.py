"""Sorting of records that need not fit into memory, for the store builder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

__all__ = ["by_key", "deduplicated"]


def deduplicated(block: np.ndarray) -> np.ndarray:
    """Triples sorted by head, relation and tail; of equal ones the heaviest stays."""
    order = np.lexsort((-block["weight"], block["tail"], block["relation"], block["head"]))
    block = block[order]
    if len(block) < 2:
        return block
    same = np.ones(len(block) - 1, dtype=bool)
    for name in ("head", "relation", "tail"):
        same &= block[name][1:] == block[name][:-1]
    return block[np.concatenate([[True], ~same])]


def by_key(blocks: Iterator[np.ndarray], key: str, keys: int, length: int) -> Iterator[np.ndarray]:
    """Regroup records into blocks of whole, ascending key ranges of about `length` records."""
    first = next(blocks, None)
    if first is None:
        return
    second = next(blocks, None)
    if second is None:
        yield first
        return
    with tempfile.TemporaryDirectory(prefix="gqa_reasoner_sort_") as folder:
        pool = Path(folder) / "all"
        degrees = np.zeros(keys, dtype=np.int64)
        with pool.open("wb") as stream:
            for block in _chain(first, second, blocks):
                degrees += np.bincount(block[key], minlength=keys)
                block.tofile(stream)
        bucket_of_key = (np.cumsum(degrees) - degrees) // length
        del degrees
        buckets = int(bucket_of_key[-1]) + 1
        paths = [Path(folder) / str(number) for number in range(buckets)]
        with pool.open("rb") as stream:
            while len(part := np.fromfile(stream, dtype=first.dtype, count=length)):
                numbers = bucket_of_key[part[key]]
                for number in np.unique(numbers):
                    with paths[number].open("ab") as target:
                        part[numbers == number].tofile(target)
        pool.unlink()
        for path in paths:
            if path.exists():
                yield np.fromfile(path, dtype=first.dtype)
                path.unlink()


def _chain(
    first: np.ndarray, second: np.ndarray, rest: Iterator[np.ndarray]
) -> Iterator[np.ndarray]:
    yield first
    yield second
    yield from rest
