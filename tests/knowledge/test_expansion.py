from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from detectors.scene import Scene, SceneObject
from knowledge.context import MODES, Context
from knowledge.expansion import Expander, expand
from knowledge.ontology import Ontology
from knowledge.store import TripleStore

NAMES = ("apple", "chair", "knife", "dog", "fries", "bottle", "apple")


def scene(names: tuple[str, ...] = NAMES, scores: tuple[float, ...] | None = None) -> Scene:
    objects = [
        SceneObject(str(i), name, scores[i] if scores else 0.9, (0, 0, 10, 10))
        for i, name in enumerate(names)
    ]
    return Scene("picture", 100, 100, objects)


@pytest.fixture(scope="module")
def expander() -> Expander:
    return Expander(TripleStore.default(), Ontology.default())


@pytest.mark.parametrize(
    ("question", "head", "relation", "tail"),
    [
        ("Which object can be eaten?", "apple", "ReceivesAction", "eaten"),
        ("What can be used for sitting?", "chair", "UsedFor", "sitting"),
        ("Which object can bark?", "dog", "CapableOf", "bark"),
        ("What is usually made of glass?", "bottle", "MadeOf", "glass"),
        ("What is used to cut paper or bread?", "knife", "UsedFor", "cutting"),
        ("Are the fries yellow?", "fries", "HasProperty", "yellow"),
    ],
)
def test_the_triple_that_answers_the_question_is_kept(
    expander: Expander, question: str, head: str, relation: str, tail: str
) -> None:
    context = expander.expand(scene(), question)
    assert context.holds(head, relation, tail), [item.text for item in context.triples]


def test_triples_anchor_to_their_objects_and_read_as_phrases(expander: Expander) -> None:
    context = expander.expand(scene(), "What color are the fries, yellow or brown?")
    item = next(item for item in context.triples if item.tail == "yellow")
    assert item.text == "fries is yellow"
    assert item.object_ids == ("4",)
    eaten = expander.expand(scene(), "Which object can be eaten?")
    assert next(i for i in eaten.triples if i.head == "apple").object_ids == ("0", "6")


def test_relevances_are_sorted_bounded_and_explained_by_their_parts(expander: Expander) -> None:
    items = expander.expand(scene(), "Which object can be eaten?").triples
    values = [item.relevance for item in items]
    assert values == sorted(values, reverse=True)
    assert all(0 < value <= 1 for value in values)
    for item in items:
        parts = item.parts
        match = parts["lexical"] + parts["cue"] + parts["mention"] + parts["prior"]
        assert item.relevance == pytest.approx(
            parts["confidence"] * match / (match + 0.5), abs=1e-5
        )


def test_uncertain_objects_count_less(expander: Expander) -> None:
    sure = expander.expand(scene(("apple", "bread"), (1.0, 0.2)), "Which object can be eaten?")
    ranked = [i.head for i in sure.triples if i.tail == "eaten"]
    assert ranked[0] == "apple"
    swapped = expander.expand(scene(("apple", "bread"), (0.2, 1.0)), "Which object can be eaten?")
    assert next(i.head for i in swapped.triples if i.tail == "eaten") == "bread"


def test_equal_calls_give_equal_contexts_in_every_mode(expander: Expander) -> None:
    fresh = Expander(TripleStore.default(), Ontology.default())
    for mode in ("none", "triples", "random", "shuffled", "empty"):
        one = expander.expand(scene(), "Which object can be eaten?", mode=mode, seed=3)
        two = fresh.expand(scene(), "Which object can be eaten?", mode=mode, seed=3)
        assert one == two


def test_controls_have_as_many_items_but_not_the_knowledge(expander: Expander) -> None:
    question = "Which object can be eaten?"
    true = expander.expand(scene(), question)
    for mode in ("random", "shuffled", "empty"):
        control = expander.expand(scene(), question, mode=mode, seed=1)
        assert len(control.triples) == len(true.triples)
    shuffled = expander.expand(scene(), question, mode="shuffled", seed=1)
    store = expander.store
    assert [i.head for i in shuffled.triples] == [i.head for i in true.triples]
    assert not any(store.has(i.head, i.relation, i.tail) for i in shuffled.triples)
    random = expander.expand(scene(), question, mode="random", seed=1)
    assert random != expander.expand(scene(), question, mode="random", seed=2)
    assert all(store.has(i.head, i.relation, i.tail) for i in random.triples)
    empty = expander.expand(scene(), question, mode="empty")
    assert all(i.text == "" and i.relevance == 0 for i in empty.triples)
    assert expander.expand(scene(), question, mode="none") == Context()


def test_k_and_the_token_budget_are_kept() -> None:
    store, ontology = TripleStore.default(), Ontology.default()
    small = Expander(store, ontology, k=3).expand(scene(), "Which object can be eaten?")
    assert len(small.triples) == 3
    tight = Expander(store, ontology, token_budget=10).expand(scene(), "What can be eaten?")
    assert 0 < sum(len(item.text.split()) for item in tight.triples) <= 10
    assert Expander(store, ontology, k=0).expand(scene(), "What?").triples == ()
    assert Expander(store, ontology, gate=0.99).expand(scene(), "What?").triples == ()


def test_the_batch_is_the_same_as_one_by_one(expander: Expander) -> None:
    pairs = [(scene(), "Which object can be eaten?"), (scene(("car", "dog")), "Is it loud?")]
    assert expander.expand_batch(pairs) == [expander.expand(*pair) for pair in pairs]


def test_threads_do_not_disturb_each_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    expander = Expander(TripleStore.default(), Ontology.default())
    questions = ["Which object can be eaten?", "What is used for sitting?", "Which can bark?"] * 40
    expected = [expander.expand(scene(), question) for question in questions[:3]] * 40
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda question: expander.expand(scene(), question), questions))
    assert found == expected


def test_a_scene_without_objects_or_with_unknown_names_gives_no_triples(
    expander: Expander,
) -> None:
    assert len(expander.expand(scene(()), "What is this?")) == 0
    assert len(expander.expand(scene(("xyzzy",)), "What is this?")) == 0


def test_unknown_modes_and_missing_logs_are_refused() -> None:
    arguments = {"store": TripleStore.default(), "ontology": Ontology.default()}
    with pytest.raises(InputError, match="mode"):
        expand(scene(), "What?", mode="everything", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="co-click"):
        expand(scene(), "What?", mode="coclick", **arguments)
    with pytest.raises(InputError):
        Expander(*arguments.values(), k=-1)  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=6))
def test_any_question_and_any_names_are_expanded(question: str, names: list[str]) -> None:
    context = expand(
        scene(tuple(names)), question, store=TripleStore.default(), ontology=Ontology.default()
    )
    assert len(context.triples) <= 12


def test_long_questions_are_bounded(expander: Expander) -> None:
    assert len(expander.expand(scene(), "apple " * 2000)) > 0


def test_every_mode_is_named_once() -> None:
    assert len(set(MODES)) == len(MODES)


def test_every_tinygqa_knowledge_fact_reaches_the_context(expander: Expander) -> None:
    """Whatever a triple says of a class, a question for it brings that triple into the context."""
    import random

    from gqa_reasoner.tinygqa.catalogue import class_names

    wordings = {
        "UsedFor": "What can be used for {}?",
        "ReceivesAction": "Which object can be {}?",
        "CapableOf": "Which object can {}?",
        "MadeOf": "What is usually made of {}?",
    }
    classes = class_names()
    facts: dict[tuple[str, str], set[str]] = {}
    for name in classes:
        for triple in expander.store.edges(name, direction="out"):
            if triple.relation in wordings and triple.head == name:
                facts.setdefault((triple.relation, triple.tail), set()).add(name)
    rng = random.Random(0)
    missed = 0
    for _ in range(200):
        names = rng.sample(classes, 8)
        (relation, tail), heads = rng.choice(
            [fact for fact in facts.items() if fact[1] & set(names)]
        )
        context = expander.expand(scene(tuple(names)), wordings[relation].format(tail))
        missed += not all(context.holds(h, relation, tail) for h in heads & set(names))
    assert missed <= 4
