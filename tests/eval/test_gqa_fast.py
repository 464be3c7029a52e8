"""The quick columns equal those read record by record, or are left to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("msgspec")

from eval.gqa_columns import extract
from eval.gqa_fast import extract_quickly
from eval.json_stream import Piece, parse, pieces


def both(piece: Piece, said: dict[str, str]) -> tuple[Any, Any]:
    codes = {identifier: place for place, identifier in enumerate(said)}
    answers = list(said.values())
    return extract_quickly(piece, codes, answers), extract(parse(piece), "x", codes, answers)


@pytest.mark.parametrize("name", ["testdev", "val", "train"])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_real_records_give_equal_columns(shared: Path, name: str, every: int) -> None:
    path = shared / "data/gqa" / f"{name}_questions.json"
    records = json.loads(path.read_text())
    said = {i: r["answer"] for i, r in list(records.items())[::every]}
    for piece in pieces(path, 1 << 18):
        quick, slow = both(piece, said)
        assert quick == slow


RECORD = {
    "answer": "yes",
    "isBalanced": True,
    "types": {"structural": "verify", "semantic": None, "detailed": "x"},
    "groups": {"global": None},
    "semantic": [],
    "question": "é?",
    "entailed": ["1", "2"],
    "imageId": "n1",
}


def piece_of(text: str, entries: int = 1) -> Piece:
    return Piece(Path("q.json"), text.encode(), entries, 1)


def test_a_regular_record_is_read_quickly() -> None:
    quick, slow = both(piece_of(json.dumps({"1": RECORD})), {"1": "yes"})
    assert quick is not None
    assert quick == slow


@pytest.mark.parametrize(
    "changes",
    [{"answer": 1}, {"isBalanced": 1}, {"entailed": [1]}, {"types": {}}, {"semantic": [{}]}],
)
def test_irregular_records_are_left_to_the_slow_way(changes: dict[str, Any]) -> None:
    text = json.dumps({"1": RECORD | changes})
    assert extract_quickly(piece_of(text), {"1": 0}, ["yes"]) is None


def test_absent_fields_repeats_and_broken_text_are_left_to_the_slow_way() -> None:
    for name in RECORD:
        text = json.dumps({"1": {k: v for k, v in RECORD.items() if k != name}})
        assert extract_quickly(piece_of(text), {}, []) is None, name
    one = json.dumps(RECORD)
    assert extract_quickly(piece_of(f'{{"1": {one}, "1": {one}}}', 2), {}, []) is None
    assert extract_quickly(piece_of('{"1": {'), {}, []) is None
