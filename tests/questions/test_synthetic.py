from __future__ import annotations

import pytest

from gqa_reasoner.program.operations import GQA_OPERATIONS
from gqa_reasoner.program.steps import validate
from gqa_reasoner.questions.synthetic import Vocabulary, question_program_pairs
from knowledge.ontology import Ontology
from knowledge.store import TripleStore


@pytest.fixture(scope="module")
def ontology() -> Ontology:
    return Ontology.default()


def test_pairs_are_well_formed_varied_and_without_ids(ontology: Ontology) -> None:
    pairs = list(question_program_pairs(1, 1500, ontology))
    assert len({question for question, _ in pairs}) > 1300
    shapes = {tuple(step.operation for step in program.steps) for _, program in pairs}
    assert len(shapes) > 250
    for question, program in pairs:
        validate(program)
        assert question.endswith("?") and question[0].isupper()
        assert "\x02" not in question and "{" not in question and "[" not in question
        assert all("(" not in step.argument or "not(" in step.argument for step in program.steps)


def test_pairs_use_gqa_operations_only_unless_a_store_is_given(ontology: Ontology) -> None:
    names = {
        step.operation for _, p in question_program_pairs(2, 1500, ontology) for step in p.steps
    }
    assert names <= set(GQA_OPERATIONS)
    assert len(names) > 70


def test_a_store_adds_knowledge_pairs(ontology: Ontology) -> None:
    pairs = question_program_pairs(2, 600, ontology, store=TripleStore.default())
    assert any("knowledge" in step.operation for _, p in pairs for step in p.steps)


def test_the_same_seed_gives_the_same_pairs(ontology: Ontology) -> None:
    first = list(question_program_pairs(4, 50, ontology))
    assert first == list(question_program_pairs(4, 50, ontology))
    assert first != list(question_program_pairs(5, 50, ontology))


def test_a_callers_words_are_used(ontology: Ontology) -> None:
    words = Vocabulary(names={"zorple": 500.0}, predicates={"zigging around": 300.0})
    text = " ".join(q for q, _ in question_program_pairs(1, 200, ontology, vocabulary=words))
    assert "zorple" in text and "zigging around" in text


def test_weights_choose_the_families(ontology: Ontology) -> None:
    from gqa_reasoner.questions.families import COUNTING, FAMILIES

    weights = {family.name: 0.0 for family in (*FAMILIES, COUNTING)} | {"ask scene": 1.0}
    pairs = question_program_pairs(1, 40, ontology, weights=weights)
    assert all(program.steps[0].argument == "scene" for _, program in pairs)
