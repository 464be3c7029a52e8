from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from detectors.errors import InputError
from detectors.scene import Relation, Scene, SceneObject, SceneVocabulary
from gqa_reasoner.program.executor import Executor, execute
from gqa_reasoner.program.soft_evidence import NOT_STATED
from gqa_reasoner.program.steps import Program
from knowledge.ontology import Ontology
from tests.program.brute_force import UNCLEAR, interpret
from tests.program.programs import programs, scenes, scenes_with_programs

ONTOLOGY = Ontology.default()
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: the message shows program and notes, and minutes are saved."""


def _object(key: str, name: str, box: tuple[int, int, int, int], *attributes: str) -> SceneObject:
    return SceneObject(key, name, 1.0, box, dict.fromkeys(attributes, 1.0))


@pytest.fixture
def table() -> Scene:
    """The picture of the reference question, with a few things around it."""
    objects = [
        _object("1", "girl", (20, 60, 80, 200), "small", "happy"),
        _object("2", "hamburger", (50, 110, 70, 125)),
        _object("3", "table", (0, 150, 60, 220), "red", "wood"),
        _object("4", "fries", (10, 140, 30, 155), "yellow"),
        _object("5", "woman", (200, 40, 270, 210), "tall", "sitting"),
        _object("6", "chair", (190, 120, 280, 230), "wood", "brown"),
        _object("7", "dog", (120, 180, 160, 225), "brown"),
    ]
    relations = [
        Relation("1", "holding", "2"),
        Relation("3", "to the left of", "1"),
        Relation("1", "to the right of", "3"),
        Relation("4", "on", "3"),
        Relation("5", "sitting on", "6"),
        Relation("7", "to the left of", "5"),
        Relation("5", "to the right of", "7"),
    ]
    return Scene("1", 320, 240, objects, relations, {"location": "restaurant", "weather": "sunny"})


def _answer(text: str, scene: Scene, **options: object) -> str:
    program = Program.from_display(text)
    return execute(program, scene, ONTOLOGY, **options).answer  # type: ignore[arg-type]


REFERENCE = (
    "Select: hamburger → Relate: girl, holding → Filter size: small → Relate: object, left → "
    "Filter color: red → Relate: food, on → Choose color: yellow | brown"
)


@pytest.mark.parametrize("mode", ["hard", "soft"])
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (REFERENCE, "yellow"),
        ("Select: food → Filter color: yellow → Query: name", "fries"),
        ("Select: table → Relate: _, on → Query: name", "fries"),
        ("Select: girl → Relate: _, holding, o → Query: name", "hamburger"),
        ("Select: table → Query: material", "wood"),
        ("Select: table → Query: hposition", "left"),
        ("Select: chair → Choose hposition: left | right", "right"),
        ("Select: chair → Choose vposition: top | bottom", "bottom"),
        ("Select: chair → Verify color: brown", "yes"),
        ("Select: chair → Verify color: red", "no"),
        ("Select: chair → Filter color: not(brown) → Exist", "no"),
        ("Select: furniture → Filter color: not(brown) → Query: name", "table"),
        ("Select: elephant → Exist", "no"),
        ("Select: animal → Exist", "yes"),
        ("Select: cat → Exist → Select: dog → Exist → Or [1, 3]", "yes"),
        ("Select: cat → Exist → Select: dog → Exist → And [1, 3]", "no"),
        ("Select: woman → Verify rel: chair, sitting on, o", "yes"),
        ("Select: woman → Verify rel: table, sitting on, o", "no"),
        ("Select: woman → Verify rel: furniture, on, o", "yes"),
        ("Select: woman → Choose rel: dog, left | right", "left"),
        ("Select: girl → Verify gender: female", "yes"),
        ("Select: girl → Verify gender: male", "no"),
        ("Select: girl → Query: gender", "female"),
        ("Select: woman → Query: pose", "sitting"),
        ("Select: dog → Select: chair → Same color", "yes"),
        ("Select: dog → Select: table → Same color", "no"),
        ("Select: dog → Select: table → Different color", "yes"),
        ("Select: dog → Select: chair → Common", "color"),
        ("Select: table → Select: chair → Common", "material"),
        ("Select: animal → Same: type", "yes"),
        ("Select: furniture → Same: type", "no"),
        ("Select: furniture → Different: type", "yes"),
        ("Select: dog → Relate: furniture, same color, _ → Query: name", "chair"),
        ("Select: dog → Select: chair → Choose bigger", "chair"),
        ("Select: dog → Select: chair → Choose smaller", "dog"),
        ("Select: girl → Select: woman → Choose older", "woman"),
        ("Select: girl → Select: woman → Choose younger", "girl"),
        ("Select: hamburger → Select: dog → Choose higher", "hamburger"),
        ("Select: hamburger → Choose name: hamburger | pizza", "hamburger"),
        ("Select: scene → Query: place", "restaurant"),
        ("Select: scene → Query: weather", "sunny"),
        ("Select: scene → Verify place: restaurant", "yes"),
        ("Select: scene → Verify place: beach", "no"),
        ("Select: scene → Choose weather: rainy | sunny", "sunny"),
        ("Select: person → Relate: dog, left → Query: name", "dog"),
    ],
)
def test_every_family_answers(text: str, answer: str, mode: str, table: Scene) -> None:
    assert _answer(text, table, mode=mode) == answer


def test_the_reference_question_rests_on_the_objects_of_each_step(table: Scene) -> None:
    result = execute(Program.from_display(REFERENCE), table, ONTOLOGY)
    found = [int(weights.argmax()) for weights in result.step_weights[:6]]
    assert [table.objects[place].name for place in found] == [
        *("hamburger", "girl", "girl", "table", "table", "fries")
    ]
    assert not result.step_weights[6].any()
    assert result.notes == []
    assert not result.failed


def test_gold_ids_pick_the_object_and_can_be_ignored(table: Scene) -> None:
    table.objects.append(_object("8", "dog", (5, 5, 30, 30), "white"))
    assert _answer("Select: dog (8) → Query: color", table) == "white"
    result = execute(
        Program.from_display("Select: dog (8) → Query: color"), table, ONTOLOGY, object_ids=False
    )
    assert result.answer_distribution == {"brown": 0.5, "white": 0.5}


def test_exact_names_win_over_other_words_but_not_over_kinds() -> None:
    scene = Scene(
        "1", 100, 100, [_object("1", "hats", (0, 0, 9, 9)), _object("2", "hat", (50, 50, 60, 60))]
    )
    assert execute(Program.from_display("Select: hat"), scene, ONTOLOGY).step_weights[
        0
    ].tolist() == [0, 1]
    assert execute(Program.from_display("Select: clothing"), scene, ONTOLOGY).step_weights[
        0
    ].tolist() == [1, 1]


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_an_absent_object_is_answered_and_noted(mode: str, table: Scene) -> None:
    for text in ("Select: zebra → Verify color: red", "Select: zebra → Verify rel: table, on, o"):
        result = execute(Program.from_display(text), table, ONTOLOGY, mode=mode)  # type: ignore[arg-type]
        assert result.answer == "no"
        assert "no 'zebra' found in the picture" in result.notes
    result = execute(
        Program.from_display("Select: zebra → Query: color"), table, ONTOLOGY, mode=mode
    )  # type: ignore[arg-type]
    assert result.answer in ONTOLOGY.attributes_of_type("color")
    assert result.failed


def test_a_filter_that_fits_nothing_still_leaves_its_object_for_the_answer(table: Scene) -> None:
    result = execute(
        Program.from_display("Select: dog → Filter size: small → Query: color"), table, ONTOLOGY
    )
    assert result.answer == "brown"
    assert result.notes == ["no 'dog' is known to be 'small'"]
    assert _answer("Select: dog → Filter size: small → Exist", table) == "no"


def test_an_attribute_of_unknown_type_answers_where_nothing_else_does(table: Scene) -> None:
    table.objects.append(_object("9", "boat", (1, 1, 9, 9), "zigzagging"))
    assert _answer("Select: boat → Query: activity", table) == "zigzagging"


def test_malformed_programs_raise_with_the_step_named(table: Scene) -> None:
    with pytest.raises(InputError, match="step 1: unknown operation 'paint'"):
        execute(Program.from_semantic_str("select: dog->paint: red [0]"), table, ONTOLOGY)
    with pytest.raises(InputError, match="mode: expected"):
        execute(Program.from_display("Select: dog"), table, ONTOLOGY, mode="loud")  # type: ignore[arg-type]


KNOWN = {("chair", "UsedFor", "sitting"), ("hamburger", "CapableOf", "eat")}


def test_knowledge_comes_from_the_context_or_the_look_up(table: Scene) -> None:
    text = "Select: object → Filter knowledge: UsedFor, sitting → Query: name"
    triple = SimpleNamespace(head="chair", relation="UsedFor", tail="sitting", weight=1.0)
    context = SimpleNamespace(triples=[SimpleNamespace(triple=triple, relevance=0.9)])
    assert _answer(text, table, context=context) == "chair"
    assert _answer(text, table, context=context, mode="soft") == "chair"
    assert _answer(text, table, triples=lambda *triple: triple in KNOWN) == "chair"
    verify = "Select: chair → Verify knowledge: UsedFor, sitting"
    assert _answer(verify, table, context=context) == "yes"
    assert _answer(verify, table, context=SimpleNamespace(triples=[])) == "no"
    lost = execute(Program.from_display(text), table, ONTOLOGY)
    assert lost.failed
    assert "no knowledge source was given" in lost.notes


def _dense_scene() -> Scene:
    """Two animals that the detector is unsure about, in boxes side by side; no relations."""
    vocabulary = SceneVocabulary(("dog", "cat", "ball"), ("brown", "white", "red"), ())
    objects = [
        SceneObject("0", "dog", 0.6, (10, 50, 60, 100)),
        SceneObject("1", "cat", 0.5, (200, 50, 250, 100)),
        SceneObject("2", "ball", 0.9, (110, 80, 130, 100)),
    ]
    classes = np.array([[0.6, 0.4, 0.0], [0.4, 0.5, 0.0], [0.05, 0.0, 0.9]], dtype=np.float32)
    attributes = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.0], [0.0, 0.1, 0.9]], dtype=np.float32)
    return Scene(
        "1",
        300,
        150,
        objects,
        class_probabilities=classes,
        attribute_probabilities=attributes,
        vocabulary=vocabulary,
    )


def test_soft_mode_carries_probabilities_through() -> None:
    scene = _dense_scene()
    result = execute(Program.from_display("Select: animal"), scene, ONTOLOGY, mode="soft")
    np.testing.assert_allclose(result.step_weights[0], [1.0, 0.9, 0.05], atol=1e-6)
    program = Program.from_display("Select: animal → Filter color: white → Query: name")
    result = execute(program, scene, ONTOLOGY, mode="soft")
    np.testing.assert_allclose(result.step_weights[1], [0.1, 0.63, 0.005], atol=1e-6)
    assert result.answer == "cat"
    program = Program.from_display("Select: ball → Relate: animal, left → Query: color")
    assert execute(program, scene, ONTOLOGY, mode="soft").answer == "brown"
    program = Program.from_display("Select: animal → Filter color: red → Exist")
    assert execute(program, scene, ONTOLOGY, mode="soft").answer == "no"


def test_a_detector_gives_facts_of_the_picture_as_probabilities() -> None:
    from detectors import default

    assert NOT_STATED == default.NOT_STATED
    scene = _dense_scene()
    shares = {"kitchen": 0.6, "street": 0.1, NOT_STATED: 0.3}
    scene.scene_attributes = {"place": "kitchen", "probabilities": {"place": shares}}
    result = execute(
        Program.from_display("Select: scene → Query: place"), scene, ONTOLOGY, mode="soft"
    )
    assert result.answer_distribution == pytest.approx({"kitchen": 6 / 7, "street": 1 / 7})
    assert _answer("Select: scene → Verify place: street", scene, mode="soft") == "no"
    assert _answer("Select: scene → Query: place", scene) == "kitchen"


def test_boxes_stand_in_where_a_detector_gives_no_relations() -> None:
    scene = Scene(
        "1",
        300,
        300,
        [
            SceneObject("0", "cup", 0.9, (100, 60, 130, 105)),
            SceneObject("1", "table", 0.9, (40, 100, 240, 200)),
            SceneObject("2", "lamp", 0.8, (250, 20, 290, 110)),
        ],
    )
    for mode in ("hard", "soft"):
        assert _answer("Select: table → Relate: _, on → Query: name", scene, mode=mode) == "cup"
        assert _answer("Select: lamp → Choose rel: cup, left | right", scene, mode=mode) == "left"
        assert (
            _answer("Select: cup → Verify rel: table, to the right of, o", scene, mode=mode) == "no"
        )
        assert _answer("Select: table → Verify rel: cup, above", scene, mode=mode) == "yes"


def test_relation_probabilities_are_used_both_ways_round() -> None:
    vocabulary = SceneVocabulary(("man", "horse"), (), ("riding", "behind"))
    relations = np.zeros((3, 3, 2), dtype=np.float32)
    relations[0, 2, 0] = 0.8
    relations[1, 2, 1] = 0.9
    scene = Scene(
        "1",
        300,
        300,
        [
            SceneObject("0", "man", 0.9, (0, 0, 9, 9)),
            SceneObject("1", "man", 0.9, (100, 100, 190, 190)),
            SceneObject("2", "horse", 0.8, (200, 0, 299, 90)),
        ],
        class_probabilities=np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32),
        relation_probabilities=relations,
        vocabulary=vocabulary,
    )
    program = Program.from_display("Select: horse → Relate: man, riding")
    weights = execute(program, scene, ONTOLOGY, mode="soft").step_weights[1]
    assert weights.argmax() == 0
    program = Program.from_display("Select: man → Verify rel: horse, in front of")
    assert execute(program, scene, ONTOLOGY, mode="soft").step_weights[1][2] > 0.4


@given(programs(), scenes())
@settings(max_examples=150, deadline=None)
def test_any_program_on_any_scene_gives_a_distribution(program: Program, scene: Scene) -> None:
    for mode in ("hard", "soft"):
        result = execute(
            program, scene, ONTOLOGY, mode=mode, triples=lambda *triple: triple in KNOWN
        )  # type: ignore[arg-type]
        assert sum(result.answer_distribution.values()) == pytest.approx(1.0)
        assert min(result.answer_distribution.values()) >= 0
        assert result.answer in result.answer_distribution
        assert len(result.step_weights) == len(result.step_truth) == len(program.steps)
        for weights in result.step_weights:
            assert weights.shape == (len(scene.objects),)
            assert ((weights >= 0) & (weights <= 1 + 1e-9)).all()
        assert all(truth is None or 0 <= truth <= 1 for truth in result.step_truth)


def _assert_agrees_with_brute_force(program: Program, scene: Scene) -> None:
    def triples(*triple: str) -> bool:
        return triple in KNOWN

    expected = interpret(program, scene, ONTOLOGY, triples)
    if expected != UNCLEAR:
        result = execute(program, scene, ONTOLOGY, triples=triples)
        assert result.answer == expected, (program.to_display(), result.notes)


@given(programs(), scenes())
@settings(max_examples=100, deadline=None, phases=_PHASES)
def test_hard_mode_agrees_with_brute_force_on_any_program(program: Program, scene: Scene) -> None:
    _assert_agrees_with_brute_force(program, scene)


@given(scenes_with_programs())
@settings(max_examples=300, deadline=None, phases=_PHASES)
def test_hard_mode_agrees_with_brute_force_on_fitting_programs(
    drawn: tuple[Scene, Program],
) -> None:
    _assert_agrees_with_brute_force(drawn[1], drawn[0])


def _real_questions(shared: Path) -> list[tuple[dict, Scene]]:
    folder = shared / "data" / "gqa"
    graphs = {}
    for name in ("train_sceneGraphs.json", "val_sceneGraphs.json"):
        graphs |= json.loads((folder / name).read_text(encoding="utf-8"))
    found = {}
    for name in ("train_questions.json", "val_questions.json", "val_graph_questions.json"):
        for key, record in json.loads((folder / name).read_text(encoding="utf-8")).items():
            if record["imageId"] in graphs and "semantic" in record:
                image = record["imageId"]
                found[key] = (record, Scene.from_gqa(graphs[image], image, on_problem="repair"))
    return list(found.values())


@pytest.mark.parametrize("mode", ["hard", "soft"])
@pytest.mark.parametrize("object_ids", [True, False])
def test_real_questions_on_real_graphs(shared: Path, mode: str, object_ids: bool) -> None:
    questions = _real_questions(shared)
    executor = Executor(ONTOLOGY, mode=mode, object_ids=object_ids)  # type: ignore[arg-type]
    wrong = [
        (record["question"], record["answer"])
        for record, scene in questions
        if executor.run(Program.from_semantic(record["semantic"]), scene).answer != record["answer"]
    ]
    assert len(questions) >= 40
    assert len(wrong) <= 0.05 * len(questions), wrong


def test_one_soft_question_on_twenty_objects_takes_under_three_milliseconds() -> None:
    rng = np.random.default_rng(0)
    names, words = ONTOLOGY.names()[:90], [f"attribute {place}" for place in range(60)]
    objects = []
    for place in range(20):
        x, y = rng.integers(0, 250, 2).tolist()
        objects.append(SceneObject(str(place), names[place], 0.9, (x, y, x + 50, y + 50)))
    scene = Scene(
        "1",
        320,
        320,
        objects,
        class_probabilities=rng.dirichlet(np.full(90, 0.02), 20).astype(np.float32),
        attribute_probabilities=rng.random((20, 60), dtype=np.float32),
        vocabulary=SceneVocabulary(tuple(names), tuple(words)),
    )
    program = Program.from_display(REFERENCE)
    executor = Executor(ONTOLOGY, mode="soft")
    executor.run(program, scene)  # the first question also learns the vocabulary
    started = time.process_time()
    for _ in range(20):
        executor.run(program, scene)  # indexes the scene afresh
    assert (time.process_time() - started) / 20 < 0.003 * 3  # a loaded machine gets some room
