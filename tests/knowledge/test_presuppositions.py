from __future__ import annotations

import pytest

from detectors.scene import Scene, SceneObject
from gqa_reasoner.program.executor import execute
from gqa_reasoner.program.steps import Program
from knowledge.coclick import CoClickLog
from knowledge.context import CoClickQuery
from knowledge.expansion import expand
from knowledge.matching import ontology_finder
from knowledge.ontology import Ontology
from knowledge.presuppositions import presupposed_names, presuppositions
from knowledge.store import TripleStore


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("What color is the dog?", ["dog"]),
        ("Is the small brown dog to the left of the car?", ["dog", "car"]),
        ("Is there a dog?", []),
        ("Is there a cat near the sofa?", ["couch"]),
        ("Are there any dogs or cats?", []),
        ("What is the man that is holding a hamburger riding?", ["man"]),
        ("dogs on the beach", ["beach"]),
        ("", []),
    ],
)
def test_only_definite_descriptions_presuppose(query: str, names: list[str]) -> None:
    assert presupposed_names(query, ontology_finder(Ontology.default())) == names


def test_mentions_add_up_and_the_pictures_own_queries_count_more() -> None:
    find = ontology_finder(Ontology.default())
    own = CoClickQuery("Where is the dog?", 1, "a", source="own")
    walk = CoClickQuery("What is the dog doing?", 1, "b", source="walk")
    alone = presuppositions([own], find)["dog"]
    assert presuppositions([walk], find)["dog"] < alone < presuppositions([own, walk], find)["dog"]
    assert presuppositions([own, walk], find)["dog"] < 1
    assert presuppositions([], find) == {}


def test_a_missed_thing_is_believed_where_other_queries_take_it_for_granted() -> None:
    chair = SceneObject("0", "chair", 0.9, (0, 0, 10, 10))
    scene = Scene("picture", 100, 100, [chair], detector="some")
    log = CoClickLog([("What color is the dog?", "picture", 2.0), ("brown cat", "other", 1.0)])
    ontology, store = Ontology.default(), TripleStore.default()
    program = Program.from_semantic_str("select: dog->exist: ? [0]")

    def answer(mode: str, question: str = "Is there a dog?") -> str:
        context = expand(scene, question, store=store, ontology=ontology, coclick=log, mode=mode)
        return execute(program, scene, ontology, mode="soft", context=context).answer

    assert answer("none") == "no"
    assert answer("coclick") == "yes"
    assert answer("coclick_random") == "no"
    assert answer("coclick", "What color is the dog?") == "no", "a question does not prove itself"
    hard = execute(program, scene, ontology, mode="hard")
    assert hard.answer == "no"
