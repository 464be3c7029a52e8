from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from detectors.errors import InputError
from gqa_reasoner.program.steps import Program, Step, validate
from tests.program.programs import programs, wild_programs

REFERENCE = (
    "Select: hamburger → Relate: girl, holding → Filter size: small → Relate: object, left → "
    "Filter color: red → Relate: food, on → Choose color: yellow | brown"
)
QUESTION_FILES = (
    "testdev_questions.json",
    "train_questions.json",
    "val_questions.json",
    "val_graph_questions.json",
)


def test_the_reference_example_displays_exactly_as_in_the_design() -> None:
    program = Program.from_semantic_str(
        "select: hamburger->relate: girl,holding,s [0]->filter size: small [1]"
        "->relate: object,to the left of,s [2]->filter color: red [3]->relate: food,on,s [4]"
        "->choose color: yellow|brown [5]"
    )
    assert program.to_display() == REFERENCE
    assert Program.from_display(REFERENCE) == program
    validate(program)


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_every_real_record_round_trips_in_all_three_forms(shared: Path, name: str) -> None:
    records = json.loads((shared / "data" / "gqa" / name).read_text(encoding="utf-8"))
    checked = 0
    for record in records.values():
        if "semantic" not in record:
            continue
        program = Program.from_semantic(record["semantic"])
        validate(program)
        assert program.to_semantic() == record["semantic"]
        assert program.to_semantic_str() == record["semanticStr"]
        assert Program.from_semantic_str(record["semanticStr"]) == program
        assert Program.from_display(program.to_display()) == program
        bare = program.without_object_ids()
        validate(bare)
        assert Program.from_display(bare.to_display()) == bare
        checked += 1
    assert checked


@given(programs())
def test_generated_programs_are_valid_and_round_trip(program: Program) -> None:
    validate(program)
    assert Program.from_semantic(json.loads(json.dumps(program.to_semantic()))) == program
    assert Program.from_semantic_str(program.to_semantic_str()) == program
    assert Program.from_display(program.to_display()) == program


@given(wild_programs)
@settings(max_examples=300)
def test_any_text_round_trips_in_display_and_semantic_form(program: Program) -> None:
    assert Program.from_semantic(program.to_semantic()) == program
    assert Program.from_display(program.to_display()) == program


@given(wild_programs)
def test_semantic_string_is_exact_or_refused(program: Program) -> None:
    try:
        written = program.to_semantic_str()
    except InputError as error:
        assert "step" in str(error)
    else:
        assert Program.from_semantic_str(written) == program


def test_display_shows_what_a_reader_would_not_assume() -> None:
    program = Program.from_semantic_str(
        "select: man (1) ->relate: hat,wearing,o (-) [0]->exist: ? [1]->select: cat (2)"
        "->exist: ? [3]->or:  [2, 4]"
    )
    assert program.to_display() == (
        'Select: "man (1) " → Relate: hat, wearing, o (-) → Exist → Select: cat (2) → Exist → '
        "Or [2, 4]"
    )
    assert Program.from_display("Select: man -> Query: name") == Program(
        (Step("select", "man"), Step("query", "name", (0,)))
    )


def test_object_ids_are_removed_as_a_parser_would_give_them() -> None:
    program = Program.from_semantic_str(
        "select: animal (1,0,2)->relate: umbrella, standing under, o (7) [0]->filter: open  [1]"
    )
    bare = program.without_object_ids()
    assert [step.argument for step in bare.steps] == [
        "animal",
        "umbrella,standing under,o",
        "open",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one step"),
        ("choose: dog", "step 0 (choose): expected 1 dependencies, got 0"),
        ("paint: dog", "step 0: unknown operation 'paint'"),
        ("select: dog->query: name [1]", "step 1 (query): depends on step 1"),
        ("select: dog->query: name [2]->select: cat", "step 1 (query): depends on step 2"),
        ("select: dog->query: name [-1]", "step 1 (query): depends on step -1"),
        ("select: dog->and:  [0, 0]", "step 1 (and): needs boolean from step 0"),
        ("select: dog->query: name [0, 0]", "step 1 (query): expected 1 dependencies, got 2"),
        ("select: dog->choose color: red [0]", "step 1: choose color: expected alternatives"),
        ("select: dog->relate: cat [0]", "step 1: relate: expected 'name,predicate,s|o (id)'"),
        ("select: dog->relate: cat,on,x [0]", "step 1: relate: expected"),
        ("select:  ", "step 0: select: expected 'name'"),
        ("select: dog->filter knowledge: chairs [0]", "step 1: filter knowledge: expected"),
    ],
)
def test_malformed_programs_are_refused_with_the_step_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(Program.from_semantic_str(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "records",
    [
        {"operation": "select"},
        ["select"],
        [{"operation": 1, "argument": "", "dependencies": []}],
        [{"operation": "select", "argument": None, "dependencies": []}],
        [{"operation": "select", "argument": "dog", "dependencies": [True]}],
        [{"operation": "select", "argument": "dog", "dependencies": "0"}],
        [{"operation": "select", "argument": "dog"}],
    ],
)
def test_semantic_of_wrong_types_is_refused(records: object) -> None:
    with pytest.raises(InputError):
        Program.from_semantic(records)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["select", "select: dog->query", "->"])
def test_unreadable_semantic_strings_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="step"):
        Program.from_semantic_str(text)


@pytest.mark.parametrize("text", [": dog", 'Select: dog → "x', 'Select: "\\q"'])
def test_unreadable_display_strings_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="step"):
        Program.from_display(text)
