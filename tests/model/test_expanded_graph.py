from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gqa_reasoner.model.expanded_graph import (
    EDGE_TYPES,
    Sources,
    build_graph,
    relation_edges,
    split_words,
    stem,
)
from gqa_reasoner.program.steps import Program
from tests.model.worlds import CLASSES, Context, Query, Triple, scene_of


class Execution:
    def __init__(self) -> None:
        self.answer = "red"
        self.answer_distribution = {"red": 0.7, "brown": 0.3}
        self.step_weights = [np.asarray([0.9, 0.1, 0.0, 0.0]), np.zeros(4)]
        self.step_truth = [None, None]
        self.notes: list[str] = []
        self.failed = False


def graph_of(sources: Sources | None = None):  # type: ignore[no-untyped-def]
    scene = scene_of(0)
    name = scene.objects[0].name
    program = Program.from_semantic_str(f"select: {name}->query: color [0]")
    context = Context(
        [Triple(f"{name} is animal", ("0",)), Triple("fork is metal", ("99",))],
        [Query(f"what color are {name}s")],
    )
    return scene, build_graph(
        scene,
        f"What color is the {name}?",
        program=program,
        execution=Execution(),
        context=context,
        sources=sources,
    )


def test_edges_join_what_belongs_together() -> None:
    _, graph = graph_of()
    assert graph.tokens[-2:] == (graph.scene.objects[0].name, "?")
    place = len(graph.tokens) - 2

    def pairs(name: str) -> set[tuple[int, int]]:
        return set(zip(*graph.edges[name].index.tolist(), strict=True))

    assert pairs("depends") == {(1, 0)}
    assert pairs("mentions") == {(0, place), (1, 1)}
    assert pairs("names") == {(place, 0)}
    assert pairs("anchors") == {(0, 0)}
    assert pairs("query_mentions") == {(0, 0)}
    assert pairs("attends") == {(0, 0), (0, 1)}
    assert graph.edges["attends"].weight.tolist() == pytest.approx([0.9, 0.1])
    assert pairs("relation") == {(0, 1)}
    assert graph.edges["relation"].labels == ("on",)


@pytest.mark.parametrize(
    ("off", "gone"),
    [
        ("relations", "relation"),
        ("triples", "anchors"),
        ("queries", "query_mentions"),
        ("guidance", "attends"),
    ],
)
def test_each_source_can_be_switched_off(off: str, gone: str) -> None:
    _, graph = graph_of(Sources(**{off: False}))
    edges = graph.edges.get(gone)
    assert edges is None or len(edges) == 0
    others = set(EDGE_TYPES) - {gone}
    assert all(len(graph.edges[name]) for name in others)


def test_without_program_there_are_no_steps_and_no_guidance() -> None:
    _, graph = graph_of(Sources(program=False))
    assert graph.program is None and graph.guidance is None
    assert len(graph.edges["depends"]) == len(graph.edges["mentions"]) == 0


def test_without_edges_the_nodes_stay() -> None:
    _, graph = graph_of(Sources(edges=False))
    assert not graph.edges and graph.program is not None and graph.triples


def test_relations_come_from_dense_probabilities_strongest_first_kept() -> None:
    scene = scene_of(0)
    scene.relation_probabilities[:] = 0.0
    scene.relation_probabilities[1, 2, 1] = 0.9
    scene.relation_probabilities[2, 1, 0] = 0.5
    scene.relation_probabilities[3, 0, 0] = 0.1
    edges = relation_edges(scene, 1)
    assert edges.index.tolist() == [[1], [2]] and edges.labels == ("to the left of",)
    assert len(relation_edges(scene)) == 2
    assert len(relation_edges(scene_of(0, dense=False))) == 1


def test_plurals_meet_their_singular() -> None:
    assert [stem(word) for word in ("dogs", "cherries", "glass", "boxes", "benches", "is")] == [
        "dog",
        "cherry",
        "glass",
        "box",
        "bench",
        "is",
    ]
    assert split_words("Is it T-shirt-like, or 2?") == [
        "is",
        "it",
        "t-shirt-like",
        ",",
        "or",
        "2",
        "?",
    ]


def test_empty_scene_and_unreadable_question_give_a_graph() -> None:
    graph = build_graph(scene_of(0, count=0), "😀 Ωραία?")
    assert len(graph.edges["names"]) == 0 and graph.tokens


def test_hetero_data_holds_nodes_and_typed_edges_and_batches() -> None:
    pytest.importorskip("torch_geometric")
    from torch_geometric.data import Batch

    scene, graph = graph_of()
    data = graph.to_hetero_data()
    assert data["object"].num_nodes == 4 and data["step"].num_nodes == 2
    assert data["object"].class_probabilities.shape == (4, len(CLASSES))
    assert data["step", "attends", "object"].edge_index.tolist() == [[0, 0], [0, 1]]
    assert data["object", "relation", "object"].predicate == ["on"]
    assert set(data.edge_types) == {tuple(kind) for kind in EDGE_TYPES.values()}
    batch = Batch.from_data_list([data, build_graph(scene, "Is it red?").to_hetero_data()])
    assert batch["object"].num_nodes == 8
    assert batch["object"].batch.tolist() == [0] * 4 + [1] * 4


def test_the_light_form_imports_neither_torch_nor_pyg() -> None:
    code = (
        "import sys, gqa_reasoner.model.expanded_graph, gqa_reasoner.model.encode;"
        "print([m for m in ('torch', 'torch_geometric', 'transformers') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
