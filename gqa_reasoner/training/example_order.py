"""The order in which a run sees its questions: a function of (seed, phase, step) alone.

Examples of some shards are shuffled together at a time, so that a run over more data than memory
reads from a few files; batches hold questions of similar length. Since every draw follows from
seed, phase, epoch and window, a resumed run goes on with the batch that would have come next.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gqa_reasoner.training.mapped_store import ExampleIndex

__all__ = ["batches_from"]

_STREAM = 12
_SPAN = 16
"""Batches whose questions are sorted by length together."""


def batches_from(
    index: ExampleIndex,
    pool: np.ndarray,
    *,
    size: int,
    seed: int,
    phase: int,
    window: int,
    skip: int,
) -> Iterator[np.ndarray]:
    """Batches of `size` places of `index` without end, epoch after epoch.

    Args:
        pool: (K,) the places to draw from, ascending.
        window: shards that are shuffled together; 0: all.
        skip: batches that were seen before.

    Raises:
        ValueError: the pool is empty.
    """
    if not len(pool):
        raise ValueError("no examples to draw from")
    epoch = 0
    while True:
        random = np.random.default_rng([seed, _STREAM, phase, epoch])
        for number, part in enumerate(_windows(index, pool, window, random)):
            count = max(1, len(part) // size)
            if skip >= count:
                skip -= count
                continue
            random = np.random.default_rng([seed, _STREAM, phase, epoch, number + 1])
            chosen = random.permutation(part)[: count * size]
            batches = list(_of_similar_length(chosen, index.length, size))
            for place in random.permutation(count)[skip:]:
                yield batches[place]
            skip = 0
        epoch += 1


def _windows(
    index: ExampleIndex, pool: np.ndarray, window: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """The pool in parts: all of it, or `window` shards at a time in a random order."""
    shards, starts = np.unique(index.shard[pool], return_index=True)
    if not window or len(shards) <= window:
        yield pool
        return
    parts = np.split(pool, starts[1:])
    order = random.permutation(len(parts))
    for start in range(0, len(parts), window):
        yield np.concatenate([parts[number] for number in order[start : start + window]])


def _of_similar_length(places: np.ndarray, lengths: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Batches of similar length: sorted by length within spans of `_SPAN` batches."""
    for start in range(0, len(places), size * _SPAN):
        part = places[start : start + size * _SPAN]
        part = part[np.argsort(lengths[part], kind="stable")]
        for first in range(0, len(part), size):
            yield part[first : first + size]
