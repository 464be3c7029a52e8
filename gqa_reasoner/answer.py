"""`Answer`: what comes out, with its reasons; serializes to the JSON contract of `ask --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.program.steps import Program
    from knowledge.context import Context

__all__ = ["Answer", "Candidate"]


@dataclass(frozen=True)
class Candidate:
    """One possible answer with its probability."""

    answer: str
    score: float


@dataclass
class Answer:
    """An answer with its reasons."""

    text: str
    score: float
    """Probability of `text`, 0..1."""
    candidates: Sequence[Candidate]
    """The best answers, best first, `text` among them."""
    program: Program | None = None
    """The question as steps; None when it could not be parsed."""
    trace: list[dict[str, Any]] = field(default_factory=list)
    """Per step: `{"step": text, "objects": [{"name", "box", "weight"}]}`."""
    context: Context | None = None
    """The commonsense triples and co-click queries that were used."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know: absent objects, unknown detector, failed parse."""
    method: str = "mixture"
    """`mixture` (transformer and executed program), `program` or `neural`."""
    executor_weight: float | None = None
    """Share of the executed program in the mixture, 0..1; None when only one side answered."""
    scene: Scene | None = None

    def to_json(self) -> dict[str, Any]:
        """The record that `ask --json` prints."""
        triples = self.context.triples if self.context is not None else []
        queries = self.context.queries if self.context is not None else []
        return {
            "answer": self.text,
            "score": round(float(self.score), 4),
            "candidates": [
                {"answer": item.answer, "score": round(float(item.score), 4)}
                for item in self.candidates
            ],
            "program": self.program.to_semantic() if self.program is not None else None,
            "program_text": self.program.to_display() if self.program is not None else None,
            "trace": self.trace,
            "context": {
                "triples": [
                    {
                        "head": item.head,
                        "relation": item.relation,
                        "tail": item.tail,
                        "text": item.text,
                        "relevance": round(float(item.relevance), 4),
                        "source": item.source,
                    }
                    for item in triples
                ],
                "queries": [
                    {
                        "text": item.text,
                        "relevance": round(float(item.relevance), 4),
                        "source": item.source,
                    }
                    for item in queries
                ],
            },
            "method": self.method,
            "executor_weight": (
                None if self.executor_weight is None else round(float(self.executor_weight), 4)
            ),
            "notes": list(self.notes),
        }


def best_candidates(distribution: Mapping[str, float], count: int = 3) -> list[Candidate]:
    """The `count` most probable answers, best first (equal ones by name)."""
    ordered = sorted(distribution.items(), key=lambda item: (-item[1], item[0]))
    return [Candidate(answer, float(score)) for answer, score in ordered[:count]]
