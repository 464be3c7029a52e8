from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gqa_reasoner.program.executor import Executor
from gqa_reasoner.program.steps import Program
from gqa_reasoner.questions.engine import Engine, QuestionSet, generate
from knowledge.ontology import Ontology
from knowledge.store import Triple, TripleStore

from .scenes import corpus, room


@pytest.fixture(scope="module")
def ontology() -> Ontology:
    return Ontology.default()


@pytest.fixture(scope="module")
def store() -> TripleStore:
    triples = [
        Triple("apple", "ReceivesAction", "eaten", 1.0),
        Triple("pear", "ReceivesAction", "eaten", 1.0),
        Triple("cup", "UsedFor", "drinking", 1.0),
        Triple("glass", "UsedFor", "drinking", 1.0),
        Triple("horse", "CapableOf", "gallop", 1.0),
        Triple("zebra", "CapableOf", "gallop", 1.0),
        Triple("couch", "UsedFor", "sleeping", 1.0),
        Triple("bed", "UsedFor", "sleeping", 1.0),
    ]
    return TripleStore.from_triples(triples)


@pytest.fixture(scope="module")
def made(ontology: Ontology, store: TripleStore) -> QuestionSet:
    return generate(corpus(), ontology, seed=3, per_scene=40, store=store)


def test_every_scene_gets_questions_of_many_types(made: QuestionSet) -> None:
    assert len({question.image_id for question in made.questions.values()}) == 12
    detailed = {question.types["detailed"] for question in made.questions.values()}
    assert len(detailed) > 40
    structural = {question.types["structural"] for question in made.questions.values()}
    assert structural == {"query", "verify", "choose", "logical", "compare"}


def test_gold_programs_executed_without_ids_give_the_answers(
    made: QuestionSet, ontology: Ontology
) -> None:
    scenes = {scene.image_id: scene for scene in corpus()}
    known = {
        ("apple", "ReceivesAction", "eaten"),
        ("cup", "UsedFor", "drinking"),
        ("horse", "CapableOf", "gallop"),
        ("couch", "UsedFor", "sleeping"),
    }
    executor = Executor(ontology, triples=lambda *triple: triple in known)
    for question in made.questions.values():
        program = Program.from_semantic(question.semantic)
        execution = executor.run(program, scenes[question.image_id])
        assert execution.answer == question.answer, question.question


def test_both_textual_forms_of_the_program_agree(made: QuestionSet) -> None:
    for question in made.questions.values():
        program = Program.from_semantic(question.semantic)
        assert Program.from_semantic_str(question.semantic_str) == program


def test_entailed_and_equivalent_ids_exist_and_agree(made: QuestionSet) -> None:
    for identity, question in made.questions.items():
        assert identity in question.equivalent
        assert identity not in question.entailed
        for other in question.entailed:
            assert made.questions[other].image_id == question.image_id
        for other in question.equivalent:
            assert made.questions[other].answer == question.answer
            assert identity in made.questions[other].equivalent


def test_yes_and_no_are_nearly_even(made: QuestionSet) -> None:
    answers = Counter(question.answer for question in made.questions.values())
    assert 0.42 < answers["yes"] / (answers["yes"] + answers["no"]) < 0.58


def test_choices_hold_the_answer(made: QuestionSet) -> None:
    assert set(made.choices) == set(made.questions)
    for identity, question in made.questions.items():
        choices = made.choices[identity]
        assert question.answer in choices["valid"]
        assert question.answer in choices["plausible"]


def test_annotations_point_at_objects_of_the_scene(made: QuestionSet) -> None:
    scenes = {scene.image_id: scene.index() for scene in corpus()}
    for question in made.questions.values():
        words = {"question": question.question, "fullAnswer": question.full_answer}
        for part, spans in question.annotations.items():
            for span, identity in spans.items():
                assert identity in scenes[question.image_id]
                end = [int(number) for number in span.split(":")][-1]
                if part in words:
                    assert end <= len(words[part].split())


def test_a_span_covers_its_noun(ontology: Ontology) -> None:
    made = generate([room()], ontology, seed=0, per_scene=60)
    checked = 0
    for question in made.questions.values():
        tokens = question.question.rstrip("?").split()
        for span, identity in question.annotations["question"].items():
            start, _, end = span.partition(":")
            phrase = " ".join(tokens[int(start) : int(end or int(start) + 1)])
            if identity == "4":
                checked += 1
                assert any(word in phrase for word in ("apple", "fruit", "food", "object", "thing"))
    assert checked > 5


def test_the_same_seed_gives_the_same_questions(ontology: Ontology) -> None:
    first = generate(corpus(4), ontology, seed=5, per_scene=15)
    second = generate(iter(corpus(4)), ontology, seed=5, per_scene=15)
    third = generate(corpus(4), ontology, seed=6, per_scene=15)
    assert first.questions == second.questions
    assert first.choices == second.choices
    assert first.questions != third.questions


def test_a_scene_is_asked_the_same_wherever_it_stands(ontology: Ontology) -> None:
    scenes = corpus(6)
    engine = Engine(ontology, seed=2)
    engine.count(scenes)
    alone = [question for question, _ in engine.records(scenes[3], 12)]
    for scene in scenes[:3]:
        list(engine.records(scene, 12))
    assert [question for question, _ in engine.records(scenes[3], 12)] == alone


def test_knowledge_questions_are_marked_and_name_their_triple(made: QuestionSet) -> None:
    knowledge = [q for q in made.questions.values() if q.extra.get("knowledge")]
    assert knowledge
    for question in knowledge:
        assert question.types["detailed"].startswith("knowledge")
        assert any("knowledge" in step["operation"] for step in question.semantic)
        assert question.answer == "no" or question.extra["triples"]


def test_without_a_store_there_are_no_knowledge_questions(ontology: Ontology) -> None:
    made = generate(corpus(4), ontology, seed=1, per_scene=30)
    assert not any(question.extra.get("knowledge") for question in made.questions.values())


def test_empty_scenes_and_scenes_without_relations_do_not_fail(ontology: Ontology) -> None:
    from detectors.scene import Scene, SceneObject

    empty = Scene("e", 10, 10)
    lonely = Scene("l", 100, 100, [SceneObject("1", "cat", 1.0, (1, 1, 20, 20))])
    made = generate([empty, lonely], ontology, seed=0, per_scene=10)
    assert all(question.image_id == "l" for question in made.questions.values())


def test_records_need_a_first_pass(ontology: Ontology) -> None:
    with pytest.raises(RuntimeError, match="count"):
        list(Engine(ontology, seed=0).records(room(), 3))


def test_questions_over_real_graphs_execute_to_their_answers(
    shared: Path, ontology: Ontology
) -> None:
    from gqa_reasoner.data.scene_graphs import read_scene_graphs

    path = shared / "data" / "gqa" / "val_sceneGraphs.json"
    scenes = read_scene_graphs(path, on_problem="repair")
    made = generate(list(scenes.values()), ontology, seed=1, per_scene=15)
    assert len(made.questions) > 500
    executor = Executor(ontology)
    for question in made.questions.values():
        program = Program.from_semantic(question.semantic)
        assert executor.run(program, scenes[question.image_id]).answer == question.answer
