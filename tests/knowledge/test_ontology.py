from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.errors import InputError
from detectors.scene import Scene
from knowledge.ontology import Ontology
from knowledge.ontology_files import OntologyTables

SCENE = Scene.from_gqa(
    {
        "width": 10,
        "height": 10,
        "objects": {
            "17": {"name": "settee", "x": 0, "y": 0, "w": 5, "h": 5, "attributes": ["mauve"]},
            "18": {"name": "bloke", "x": 0, "y": 0, "w": 5, "h": 5, "attributes": []},
        },
    },
    "1",
)
QUESTION = {
    "imageId": "1",
    "answer": "mauve",
    "semantic": [
        {"operation": "select", "dependencies": [], "argument": "person (18)"},
        {"operation": "relate", "dependencies": [0], "argument": "furniture,near,o (17)"},
        {"operation": "filter texture", "dependencies": [1], "argument": "not(velvety)"},
        {"operation": "query", "dependencies": [2], "argument": "color"},
    ],
}


def test_is_a_is_reflexive_transitive_and_indifferent_to_number_and_synonyms() -> None:
    ontology = Ontology.default()
    assert ontology.is_a("couch", "couch")
    assert ontology.is_a("sofas", "furniture")
    assert ontology.is_a("strawberries", "food")
    assert ontology.is_a("men", "people")
    assert ontology.is_a("apple", "foods")
    assert not ontology.is_a("apple", "vegetable")
    assert not ontology.is_a("furniture", "couch")


def test_everything_is_an_object_and_a_thing() -> None:
    ontology = Ontology.default()
    assert ontology.is_a("girl", "object")
    assert ontology.is_a("never heard of it", "thing")
    assert ontology.categories("girl")[-1] == "object"


def test_categories_come_nearest_first() -> None:
    categories = Ontology.default().categories("strawberry")
    assert categories.index("fruit") < categories.index("food") < categories.index("object")


def test_members_are_transitive_and_agree_with_is_a() -> None:
    ontology = Ontology.default()
    members = ontology.members("food")
    assert {"apple", "hamburger", "carrot"} <= set(members)
    assert all(ontology.is_a(name, "food") for name in members)


def test_synonyms_share_a_canonical_name() -> None:
    ontology = Ontology.default()
    assert ontology.canonical("Sofas") == ontology.canonical("couch") == "couch"
    assert ontology.canonical("traffic_lights") == "traffic light"
    assert "sofa" in ontology.synonyms("couch")
    assert "couch" in ontology.synonyms("sofa")
    assert "couch" not in ontology.synonyms("couch")


def test_an_ambiguous_attribute_has_all_its_types() -> None:
    ontology = Ontology.default()
    assert {"weight", "tone"} <= set(ontology.attribute_types("light"))
    assert "black" in ontology.attributes_of_type("color")
    assert ontology.attribute_types("grey") == ontology.attribute_types("gray")
    assert ontology.canonical_attribute("wooden") == "wood"
    assert ontology.attribute_types("no such attribute") == ()
    assert "place" in ontology.attribute_types("courtyard")


def test_pronouns_refer_to_people_of_their_gender_or_of_none() -> None:
    ontology = Ontology.default()
    assert ontology.is_a("man", "he") and not ontology.is_a("lady", "he")
    assert ontology.is_a("woman", "she") and ontology.is_a("player", "she")
    assert not ontology.is_a("table", "he") and ontology.is_a("table", "it")


def test_every_tinygqa_class_has_its_category_and_every_attribute_a_type() -> None:
    from gqa_reasoner.tinygqa.catalogue import COLORS, MATERIALS, POSES, SIZES, catalogue

    ontology = Ontology.default()
    wrong = [row.name for row in catalogue().values() if not ontology.is_a(row.name, row.category)]
    assert wrong == []
    attributes = (*COLORS, *MATERIALS, *SIZES, *POSES)
    assert [word for word in attributes if not ontology.attribute_types(word)] == []


def test_saving_and_loading_keeps_everything(tmp_path: Path) -> None:
    induced = Ontology.induce([QUESTION], [SCENE], base=Ontology.default())
    induced.save(tmp_path / "ontology.json")
    loaded = Ontology.load(tmp_path / "ontology.json")
    assert loaded.tables == induced.tables
    assert loaded.evidence == induced.evidence


def test_induction_learns_categories_and_attribute_types_with_counts() -> None:
    ontology = Ontology.induce([QUESTION, QUESTION], {"1": SCENE})
    assert ontology.is_a("settees", "furniture")
    assert ontology.is_a("bloke", "person")
    assert ontology.attribute_types("velvety") == ("texture",)
    assert ontology.attribute_types("mauve") == ("color",)
    assert ontology.evidence.memberships["settee", "furniture"] == 2
    assert not ontology.is_a("couch", "furniture")


def test_induction_extends_a_base_and_drops_rare_facts() -> None:
    ontology = Ontology.induce([QUESTION], [SCENE], base=Ontology.default())
    assert ontology.is_a("settee", "furniture") and ontology.is_a("couch", "furniture")
    rare = Ontology.induce([QUESTION], [SCENE], base=Ontology.default(), min_count=2)
    assert not rare.is_a("settee", "furniture")


def test_cyclic_categories_end() -> None:
    tables = OntologyTables(parents={"a": ("b",), "b": ("c",), "c": ("a",)})
    ontology = Ontology(tables)
    assert ontology.is_a("a", "c") and ontology.is_a("c", "b")
    assert ontology.categories("a") == ("b", "c", "object")
    assert set(ontology.members("a")) == {"b", "c"}


def test_an_unknown_compound_is_what_its_head_is() -> None:
    ontology = Ontology.default()
    assert not ontology.knows("purple velvet armchair")
    assert ontology.is_a("purple velvet armchairs", "furniture")
    assert ontology.categories("purple velvet armchair")[0] == "armchair"
    assert ontology.is_a("jar of quince jam", "container")
    assert not ontology.is_a("jar of quince jam", "fruit")
    assert ontology.categories("zorblax") == ("object",)


class _Parents:
    def parents(self, concept: str) -> list[str]:
        return {"quokka": ["marsupial"], "marsupial": ["animal"]}.get(concept, [])


def test_a_store_answers_for_names_that_the_ontology_does_not_know() -> None:
    plain = Ontology.default()
    ontology = plain.with_fallback(_Parents())
    assert not plain.is_a("quokka", "animal")
    assert ontology.is_a("quokkas", "animal")
    assert ontology.is_a("dog", "animal")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": "gqa_reasoner ontology", "version": 99}', "\ufeff{}"]
)
def test_files_that_are_not_ontologies_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "o.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        Ontology.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_field_of_the_wrong_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    Ontology.default().save(path)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["parents"] = {"dog": "animal"}
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="parents"):
        Ontology.load(path)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_can_be_asked_about(name: str, category: str) -> None:
    ontology = Ontology.default()
    assert isinstance(ontology.is_a(name, category), bool)
    assert ontology.is_a(name, name)
    assert ontology.canonical(ontology.canonical(name)) == ontology.canonical(name)


def test_real_programs_agree_with_the_shipped_ontology(shared: Path) -> None:
    from gqa_reasoner.data.questions import iterate_questions
    from gqa_reasoner.data.scene_graphs import iterate_scene_graphs
    from knowledge.ontology_induction import collect_evidence

    folder = shared / "data" / "gqa"
    scenes = [
        scene
        for part in ("train", "val")
        for scene in iterate_scene_graphs(folder / f"{part}_sceneGraphs.json", on_problem="repair")
    ]
    questions = [
        question
        for part in ("train", "val", "testdev")
        for question in iterate_questions(folder / f"{part}_questions.json")
    ]
    evidence = collect_evidence(questions, scenes)
    ontology = Ontology.default()
    facts = evidence.memberships
    right = sum(n for (name, category), n in facts.items() if ontology.is_a(name, category))
    assert right / sum(facts.values()) > 0.95
    types = evidence.attribute_types
    typed = sum(n for (name, kind), n in types.items() if kind in ontology.attribute_types(name))
    assert typed / sum(types.values()) > 0.95
