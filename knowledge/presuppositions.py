"""What co-click queries take for granted: a query about "the dog" says that there is a dog.

Somebody who asks "What color is the dog?" and clicks the picture has seen a dog in it, however
well a detector sees; a definite description presupposes its referent (Strawson 1950, On
Referring). What a query asks for indefinitely ("Is there a dog?") may be there or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from knowledge.context import CoClickQuery
from knowledge.lemmas import tokenize
from knowledge.matching import Finder, match_concepts

__all__ = ["presupposed_names", "presuppositions"]

MENTION = 0.85
"""How far one mention in a query of the picture itself is believed."""
SOURCE_TRUST: Mapping[str, float] = {"own": 1.0, "walk": 0.4, "similar": 0.3}
"""How far queries reached in other ways are about this picture; others (controls) count fully."""
_DEFINITE = frozenset({"the", "this", "that", "these", "those"})
_BREAKS = frozenset(
    (
        *("a", "an", "any", "some", "no", "another", "or", "and", "of", "on", "in", "at", "with"),
        *("to", "is", "are", "do", "does", "what", "which", "who", "where", "how", "than"),
    )
)
_REACH = 4


def presupposed_names(query: str, find: Finder) -> list[str]:
    """The names that a query describes definitely ("the red dog" gives dog), in order.

    Args:
        query: its text.
        find: name to concept, or None; see `knowledge.matching`.
    """
    words = tokenize(query)
    found: dict[str, None] = {}
    for match in match_concepts(query, find):
        if _is_definite(words, match.start):
            found.setdefault(match.concept)
    return list(found)


def _is_definite(words: list[str], start: int) -> bool:
    """Whether "the" stands before the name, with nothing but modifiers between."""
    for place in range(start - 1, max(start - 1 - _REACH, -1), -1):
        if words[place] in _DEFINITE:
            return True
        if words[place] in _BREAKS:
            return False
    return False


def presuppositions(queries: Iterable[CoClickQuery], find: Finder) -> dict[str, float]:
    """P(it is in the picture) per name, from all queries together (noisy or).

    Args:
        queries: kept queries of one picture, of any source.
        find: name to concept, or None.
    """
    absent: dict[str, float] = {}
    for query in queries:
        trust = MENTION * SOURCE_TRUST.get(query.source, 1.0)
        for name in presupposed_names(query.text, find):
            absent[name] = absent.get(name, 1.0) * (1.0 - trust)
    return {name: 1.0 - share for name, share in absent.items()}
