"""`Context`: what the knowledge room hands to the reasoner for one scene and question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["MODES", "CoClickQuery", "Context", "Mode", "ScoredTriple"]

Mode = Literal[
    "none", "triples", "coclick", "both", "random", "shuffled", "empty", "coclick_random"
]
MODES: tuple[Mode, ...] = (
    "none",
    "triples",
    "coclick",
    "both",
    "random",
    "shuffled",
    "empty",
    "coclick_random",
)
"""Sources of context. The last four are controls: triples drawn at random, true heads with wrong
tails, as many placeholders without content (matched parameters with empty context), and as many
queries of pictures drawn at random."""


@dataclass(frozen=True)
class ScoredTriple:
    """A retrieved triple.

    `relevance` is in [0, 1]; `object_ids` are the scene objects that it is about; `parts` are the
    factors of its relevance by name.
    """

    head: str
    relation: str
    tail: str
    weight: float
    relevance: float
    source: str
    text: str
    object_ids: tuple[str, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record of `knowledge expand --json` and `ask --json`."""
        return {
            "head": self.head,
            "relation": self.relation,
            "tail": self.tail,
            "weight": round(self.weight, 4),
            "relevance": round(self.relevance, 4),
            "source": self.source,
            "text": self.text,
            "objects": list(self.object_ids),
            "parts": {name: round(value, 4) for name, value in self.parts.items()},
        }


@dataclass(frozen=True)
class CoClickQuery:
    """A query that people clicked this picture (or one like it) for.

    `clicks` is the click count behind it; `image_id` the picture that was clicked; `source` says
    how it was reached: "own", "walk" (shared clicks) or "similar" (a picture like this one).
    """

    text: str
    clicks: float
    image_id: str
    relevance: float = 0.0
    source: str = "own"
    object_ids: tuple[str, ...] = ()
    question_id: str | None = None
    """The question that the query was made from, if any (leak rules use it)."""

    def to_json(self) -> dict[str, Any]:
        """The record of `knowledge expand --json` and `ask --json`."""
        return {
            "text": self.text,
            "relevance": round(self.relevance, 4),
            "clicks": round(self.clicks, 4),
            "image_id": self.image_id,
            "source": self.source,
            "objects": list(self.object_ids),
        }


@dataclass(frozen=True)
class Context:
    """Triples and queries, best first.

    `transductive` is true where the queries of the evaluated picture itself may be used: every
    output that rests on such a context must say so.
    """

    triples: tuple[ScoredTriple, ...] = ()
    queries: tuple[CoClickQuery, ...] = ()
    mode: Mode = "none"
    transductive: bool = False
    presupposed: Mapping[str, float] = field(default_factory=dict)
    """P(a thing of this name is there) as the queries take it for granted."""

    def __len__(self) -> int:
        return len(self.triples) + len(self.queries)

    def items(self) -> Iterator[ScoredTriple | CoClickQuery]:
        """Triples, then queries."""
        yield from self.triples
        yield from self.queries

    def holds(self, head: str, relation: str, tail: str) -> bool:
        """Whether this triple is among the context's."""
        return any(
            (item.head, item.relation, item.tail) == (head, relation, tail) for item in self.triples
        )

    def to_json(self) -> dict[str, Any]:
        """`{"mode", "transductive", "triples", "queries", "presupposed"}`."""
        return {
            "mode": self.mode,
            "transductive": self.transductive,
            "triples": [item.to_json() for item in self.triples],
            "queries": [item.to_json() for item in self.queries],
            "presupposed": {name: round(value, 4) for name, value in self.presupposed.items()},
        }
