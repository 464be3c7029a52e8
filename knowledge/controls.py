"""Controls that any claim about knowledge needs: random, shuffled and empty contexts.

Each has as many items as the true context, with the same relevances (0 for empty ones).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from knowledge.concepts import verbalize
from knowledge.context import ScoredTriple
from knowledge.store import TripleStore

__all__ = ["empty_triples", "random_triples", "seeded", "shuffled_triples"]

_ATTEMPTS = 20


def random_triples(
    kept: Sequence[ScoredTriple],
    store: TripleStore,
    generator: np.random.Generator,
    anchors: Mapping[int, Sequence[str]],
) -> list[ScoredTriple]:
    """As many triples drawn from the whole store.

    Args:
        kept: the true context.
        store: drawn from uniformly.
        generator: source of the draws.
        anchors: concept number to the ids of the scene objects that it stands for.
    """
    found = []
    draws = generator.integers(len(store), size=len(kept)) if kept else ()
    for item, index in zip(kept, draws, strict=True):
        triple = store.triple_at(int(index))
        found.append(
            replace(
                item,
                **triple._asdict(),
                source="random",
                text=verbalize(triple.head, triple.relation, triple.tail),
                object_ids=tuple(dict.fromkeys(anchors.get(int(store.heads[index]), ()))),
                parts={},
            )
        )
    return found


def shuffled_triples(
    kept: Sequence[ScoredTriple], store: TripleStore, generator: np.random.Generator
) -> list[ScoredTriple]:
    """The true heads with tails of other triples of the store that do not hold for them."""
    found = []
    for item in kept:
        tail = item.tail
        for _ in range(_ATTEMPTS):
            index = int(generator.integers(len(store)))
            tail = store.concept_text(int(store.tails[index]))
            if tail != item.tail and not store.has(item.head, item.relation, tail):
                break
        text = verbalize(item.head, item.relation, tail)
        found.append(replace(item, tail=tail, source="shuffled", text=text, parts={}))
    return found


def empty_triples(kept: Sequence[ScoredTriple]) -> list[ScoredTriple]:
    """As many placeholders without content (matched parameters with empty context)."""
    return [ScoredTriple("", "", "", 0.0, 0.0, "empty", "") for _ in kept]


def seeded(seed: int, *words: str) -> np.random.Generator:
    """A generator that depends on the seed and the words only."""
    data = "\x1f".join((str(seed), *words)).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
