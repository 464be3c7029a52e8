"""`ExpandedGraph`: everything that is known about one question and one picture, as one graph.

Nodes: question tokens, program steps, objects, triples, co-click queries. Typed edges (design,
section 3): object–relation–object, triple–anchors–object, step–depends–step,
step–mentions–token, query–mentions–object, token–names–object and, from the soft execution,
step–attends–object with the weights of the step.

This light form needs numpy alone; `to_hetero_data` makes a torch-geometric `HeteroData` of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from detectors.scene import Scene
from gqa_reasoner.program.steps import Program

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = [
    "EDGE_TYPES",
    "ContextLike",
    "EdgeType",
    "Edges",
    "ExecutionLike",
    "ExpandedGraph",
    "QueryLike",
    "Sources",
    "TripleLike",
    "build_graph",
    "relation_edges",
    "split_words",
    "stem",
]

_WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*|[^\sa-z0-9]")
_STOP = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "is",
        "are",
        "to",
        "in",
        "on",
        "and",
        "or",
        "not",
        "it",
        "this",
        "that",
    )
)


class TripleLike(Protocol):
    """What the graph needs of `knowledge.context.ScoredTriple`."""

    relevance: float
    object_ids: tuple[str, ...]

    @property
    def text(self) -> str:
        """As a reader would say it."""
        ...


class QueryLike(Protocol):
    """What the graph needs of `knowledge.context.CoClickQuery`."""

    relevance: float

    @property
    def text(self) -> str:
        """As a reader would say it."""
        ...


class ContextLike(Protocol):
    """What the graph needs of `knowledge.context.Context`."""

    @property
    def triples(self) -> Sequence[Any]:
        """Kept triples, each a `TripleLike`."""
        ...

    @property
    def queries(self) -> Sequence[Any]:
        """Kept queries, each a `QueryLike`."""
        ...


class ExecutionLike(Protocol):
    """What the graph needs of `gqa_reasoner.program.executor.Execution`."""

    @property
    def answer_distribution(self) -> Mapping[str, float]:
        """Answers to probabilities."""
        ...

    @property
    def step_weights(self) -> Sequence[np.ndarray]:
        """(N,) per step."""
        ...

    @property
    def step_truth(self) -> Sequence[float | None]:
        """P(yes) per step, None where a step is not true or false."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was missing or guessed."""
        ...

    @property
    def failed(self) -> bool:
        """Whether the answer rests on nothing in the scene."""
        ...


class EdgeType(NamedTuple):
    """Source node type, relation, target node type."""

    source: str
    relation: str
    target: str


EDGE_TYPES: Mapping[str, EdgeType] = {
    "relation": EdgeType("object", "relation", "object"),
    "anchors": EdgeType("triple", "anchors", "object"),
    "depends": EdgeType("step", "depends", "step"),
    "mentions": EdgeType("step", "mentions", "token"),
    "query_mentions": EdgeType("query", "mentions", "object"),
    "names": EdgeType("token", "names", "object"),
    "attends": EdgeType("step", "attends", "object"),
}


@dataclass(frozen=True)
class Edges:
    """Edges of one type: `index` (2, E) int64 source and target, `weight` (E,) float32.

    `labels` holds the predicate of each edge for object relations, else it is empty.
    """

    index: np.ndarray
    weight: np.ndarray
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, float]], labels: Sequence[str] = ()) -> Edges:
        """From (source, target, weight) rows."""
        table = np.asarray(list(rows), dtype=np.float64).reshape(-1, 3).T
        return cls(table[:2].astype(np.int64), table[2].astype(np.float32), tuple(labels))

    def __len__(self) -> int:
        return len(self.weight)


@dataclass(frozen=True)
class Sources:
    """Which parts of the expanded graph are present; the contribution table switches them off."""

    program: bool = True
    guidance: bool = True
    executed: bool = True
    relations: bool = True
    triples: bool = True
    queries: bool = True
    edges: bool = True


@dataclass(frozen=True)
class ExpandedGraph:
    """One question and one picture; see the module's text for nodes and edges."""

    tokens: tuple[str, ...]
    scene: Scene
    program: Program | None = None
    guidance: np.ndarray | None = None
    """(steps, objects) float32: the soft execution's weights."""
    executed: Mapping[str, float] = field(default_factory=dict)
    """The executed answer distribution, empty when there is none."""
    triples: tuple[Any, ...] = ()
    queries: tuple[Any, ...] = ()
    edges: Mapping[str, Edges] = field(default_factory=dict)

    def to_hetero_data(self) -> HeteroData:
        """As torch-geometric data: node counts, texts, object tensors and edge indexes."""
        import torch
        from torch_geometric.data import HeteroData

        data = HeteroData()
        scene = self.scene
        texts: dict[str, list[str]] = {
            "token": list(self.tokens),
            "step": [f"{s.operation}: {s.argument}" for s in self.program.steps]
            if self.program
            else [],
            "object": [item.name for item in scene.objects],
            "triple": [item.text for item in self.triples],
            "query": [item.text for item in self.queries],
        }
        for name, items in texts.items():
            data[name].num_nodes = len(items)
            data[name].text = items
        data["object"].box = torch.from_numpy(scene.boxes())
        for name in ("features", "class_probabilities", "attribute_probabilities"):
            values = getattr(scene, name)
            if values is not None:
                data["object"][name] = torch.from_numpy(np.asarray(values, dtype=np.float32))
        for name, kind in EDGE_TYPES.items():
            edges = self.edges.get(name, Edges.of([]))
            data[tuple(kind)].edge_index = torch.from_numpy(np.ascontiguousarray(edges.index))
            data[tuple(kind)].edge_weight = torch.from_numpy(edges.weight)
            if name == "relation":
                data[tuple(kind)].predicate = list(edges.labels)
        return data


def split_words(text: str) -> list[str]:
    """Lower-case words and marks of a text."""
    return _WORD.findall(text.lower())


@lru_cache(maxsize=1 << 15)
def stems_of(text: str) -> frozenset[str]:
    """The stems of a text's words; texts repeat over questions and pictures."""
    return frozenset(stem(word) for word in split_words(text))


@lru_cache(maxsize=1 << 15)
def stem(word: str) -> str:
    """A crude singular, so that 'dogs' in a question meets the object 'dog'."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def build_graph(
    scene: Scene,
    question: str,
    *,
    program: Program | None = None,
    execution: ExecutionLike | None = None,
    context: ContextLike | None = None,
    sources: Sources | None = None,
    relations: bool = True,
    max_relations: int = 200,
) -> ExpandedGraph:
    """Join all that is known into one graph.

    Args:
        program: None when parsing failed.
        execution: the soft execution of `program` on `scene`.
        sources: which parts to leave out.
        relations: False leaves the object relations to whoever has them already.
        max_relations: the strongest object relations that are kept.
    """
    on = sources or Sources()
    tokens = tuple(split_words(question))
    steps = program if on.program else None
    guidance = None
    if steps is not None and execution is not None and on.guidance:
        guidance = _guidance(execution, len(steps), len(scene.objects))
    triples = tuple(context.triples) if context is not None and on.triples else ()
    queries = tuple(context.queries) if context is not None and on.queries else ()
    graph = ExpandedGraph(
        tokens,
        scene,
        steps,
        guidance,
        {} if execution is None or not on.executed else execution.answer_distribution,
        triples,
        queries,
    )
    edges = _edges(graph, on, max_relations if relations else 0) if on.edges else {}
    return ExpandedGraph(**{**graph.__dict__, "edges": edges})


def _guidance(execution: ExecutionLike, steps: int, objects: int) -> np.ndarray:
    weights = np.zeros((steps, objects), dtype=np.float32)
    for row, values in enumerate(execution.step_weights[:steps]):
        if len(values) == objects:
            weights[row] = values
    return np.nan_to_num(weights)


def _edges(graph: ExpandedGraph, on: Sources, max_relations: int) -> dict[str, Edges]:
    scene, steps = graph.scene, graph.program.steps if graph.program else ()
    stems = [stem(word) for word in graph.tokens]
    names = [stems_of(item.name) for item in scene.objects]
    edges: dict[str, Edges] = {}
    if on.relations and max_relations:
        edges["relation"] = relation_edges(scene, max_relations)
    edges["depends"] = Edges.of(
        (row, other, 1.0)
        for row, step in enumerate(steps)
        for other in step.dependencies
        if 0 <= other < len(steps)
    )
    edges["mentions"] = Edges.of(
        (row, position, 1.0)
        for row, step in enumerate(steps)
        for words in [stems_of(step.argument) - _STOP]
        for position, word in enumerate(stems)
        if word in words
    )
    edges["names"] = Edges.of(
        (position, row, 1.0)
        for position, word in enumerate(stems)
        if word not in _STOP
        for row, name in enumerate(names)
        if word in name
    )
    place = scene.index()
    edges["anchors"] = Edges.of(
        (row, place[object_id], float(triple.relevance))
        for row, triple in enumerate(graph.triples)
        for object_id in triple.object_ids
        if object_id in place
    )
    edges["query_mentions"] = Edges.of(
        (row, other, float(query.relevance))
        for row, query in enumerate(graph.queries)
        for words in [stems_of(query.text)]
        for other, name in enumerate(names)
        if name <= words
    )
    if graph.guidance is not None:
        rows, columns = np.nonzero(graph.guidance > 0.02)
        weight = graph.guidance[rows, columns].astype(np.float32)
        edges["attends"] = Edges(np.stack([rows, columns]).astype(np.int64), weight)
    return edges


def relation_edges(scene: Scene, most: int = 200) -> Edges:
    """The `most` strongest relations, from the dense probabilities where there are any."""
    probabilities, predicates = scene.relation_probabilities, scene.vocabulary.predicates
    if probabilities is not None and len(predicates):
        flat = np.asarray(probabilities, dtype=np.float32).ravel()
        keep = np.flatnonzero(flat > 0.15)
        if len(keep) > most:
            keep = keep[np.argsort(-flat[keep], kind="stable")[:most]]
        subject, target, predicate = np.unravel_index(keep, probabilities.shape)
        return Edges(
            np.stack([subject, target]).astype(np.int64),
            flat[keep],
            tuple(predicates[number] for number in predicate),
        )
    place = scene.index()
    chosen = sorted(scene.relations, key=lambda item: -item.score)[:most]
    chosen = [item for item in chosen if item.subject in place and item.object in place]
    return Edges.of(
        ((place[item.subject], place[item.object], item.score) for item in chosen),
        [item.predicate for item in chosen],
    )
