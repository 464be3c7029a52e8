from __future__ import annotations

import json
from pathlib import Path

import pytest

from detectors.errors import InputError
from gqa_reasoner.program.arguments import (
    Alternatives,
    EmptyArgument,
    KnowledgeArgument,
    ObjectArgument,
    RelateArgument,
    RelationChoiceArgument,
    TypeArgument,
    ValueArgument,
    parse_argument,
)
from gqa_reasoner.program.operations import GQA_OPERATIONS, OPERATIONS, AnswerType, Family


def test_the_table_holds_exactly_the_136_names_of_gqa(shared: Path) -> None:
    names = json.loads((shared / "data" / "gqa" / "semantic_ops.json").read_text())
    assert len(names) == 136
    assert set(names) == GQA_OPERATIONS
    assert set(OPERATIONS) - GQA_OPERATIONS == {"filter knowledge", "verify knowledge"}


def test_rows_say_arity_type_and_answer() -> None:
    row = OPERATIONS["choose less healthy"]
    assert (row.family, row.arity, row.answer_type) == (Family.COMPARE, 2, AnswerType.CHOICE)
    row = OPERATIONS["filter face expression"]
    assert (row.family, row.attribute_type, row.arity) == (Family.FILTER, "face expression", 1)
    assert OPERATIONS["same"].arity == 1
    assert OPERATIONS["same color"].arity == 2
    assert OPERATIONS["select"].arity == 0


@pytest.mark.parametrize(
    ("operation", "text", "parsed"),
    [
        ("select", "wii controller (13)", ObjectArgument("wii controller", ("13",))),
        ("select", "animal (1,0,2)", ObjectArgument("animal", ("1", "0", "2"))),
        ("select", "shuttle (14) ", ObjectArgument("shuttle", ("14",))),
        ("select", "dog", ObjectArgument("dog")),
        (
            "relate",
            "wii controller,to the right of,s (13)",
            RelateArgument("wii controller", "to the right of", "s", ("13",)),
        ),
        ("relate", "_,wearing,o (-)", RelateArgument("_", "wearing", "o", ("-",))),
        ("relate", "food,same color,_ (4)", RelateArgument("food", "same color", "_", ("4",))),
        (
            "verify rel",
            "umbrella, standing under, o",
            RelateArgument("umbrella", "standing under", "o"),
        ),
        (
            "choose rel",
            "cup,on|under,s (1)",
            RelationChoiceArgument("cup", ("on", "under"), "s", ("1",)),
        ),
        ("filter", "not(long sleeved)", ValueArgument("long sleeved", negated=True)),
        ("verify color", "white ", ValueArgument("white")),
        ("choose name", "bus|train", Alternatives(("bus", "train"))),
        ("query", "hposition", TypeArgument("hposition")),
        ("exist", "?", EmptyArgument("?")),
        ("filter knowledge", "UsedFor,sitting", KnowledgeArgument("UsedFor", "sitting")),
    ],
)
def test_arguments_are_read_by_their_grammar(operation: str, text: str, parsed: object) -> None:
    assert parse_argument(operation, text) == parsed
    assert parse_argument(operation, str(parsed)) == parsed


def test_the_dash_means_no_object() -> None:
    assert parse_argument("select", "dog (-)").object_id is None
    assert parse_argument("select", "dog (7)").object_id == "7"
    assert parse_argument("select", "scene").is_scene


def test_same_relations_name_their_attribute_type() -> None:
    assert parse_argument("relate", "food,same color,_").same_type == "color"
    assert parse_argument("relate", "food,on,s").same_type is None


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(InputError, match="unknown operation 'paint'"):
        parse_argument("paint", "red")
