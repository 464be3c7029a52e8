"""GQA question records: typed, streamed in bounded memory, written back equal.

Format: Hudson & Manning, "GQA", CVPR 2019; a file maps question ids to records, train_all is a
folder of such files. Fields that a record lacks stay absent when it is written back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectors.errors import InputError
from eval.errors import InputError as EvaluationInputError
from eval.json_items import iterate_json_items

__all__ = ["Question", "iterate_questions", "read_questions", "write_json_items", "write_questions"]

_TEXT = {"question": "question", "imageId": "image_id"}
_OPTIONAL: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "answer": ("answer", str),
    "fullAnswer": ("full_answer", str),
    "semantic": ("semantic", list),
    "semanticStr": ("semantic_str", str),
    "types": ("types", dict),
    "groups": ("groups", dict),
    "entailed": ("entailed", list),
    "equivalent": ("equivalent", list),
    "annotations": ("annotations", dict),
    "isBalanced": ("is_balanced", bool),
}


@dataclass
class Question:
    """One GQA question; `None` marks a field that the record does not have."""

    id: str
    question: str
    image_id: str
    answer: str | None = None
    full_answer: str | None = None
    semantic: list[dict[str, Any]] | None = None
    """The gold program: `{"operation", "dependencies", "argument"}` per step."""
    semantic_str: str | None = None
    types: dict[str, Any] | None = None
    """`structural`, `semantic` and `detailed` type."""
    groups: dict[str, Any] | None = None
    """`global` and `local` group, each a name or null."""
    entailed: list[str] | None = None
    equivalent: list[str] | None = None
    annotations: dict[str, dict[str, str]] | None = None
    """Token spans ("4:6") of question, answer and full answer to object ids."""
    is_balanced: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Every other field of the record, such as `otherAnswers` or `knowledge`."""

    @classmethod
    def from_gqa(
        cls, question_id: str, record: Mapping[str, Any], *, source: str = "questions"
    ) -> Question:
        """Read one record.

        Raises:
            InputError: `question` or `imageId` is missing, or a field has the wrong type; one
                line naming source, record and field.
        """
        where = f"{source}: question {question_id}"
        if not isinstance(record, Mapping):
            raise InputError(f"{where}: expected an object, got {type(record).__name__}")
        values: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, attribute in _TEXT.items():
            if not isinstance(record.get(key), str):
                raise InputError(
                    f"{where}: field {key!r} must be a string, got {record.get(key)!r}"
                )
            values[attribute] = record[key]
        for key, value in record.items():
            if key in _TEXT:
                continue
            if key not in _OPTIONAL or value is None:
                extra[key] = value
                continue
            attribute, expected = _OPTIONAL[key]
            if not isinstance(value, expected):
                wanted = getattr(expected, "__name__", str(expected))
                raise InputError(
                    f"{where}: field {key!r} must be of type {wanted}, got {type(value).__name__}"
                )
            values[attribute] = value
        return cls(id=str(question_id), extra=extra, **values)

    def to_gqa(self) -> dict[str, Any]:
        """The record as GQA writes it; equal to the one that was read."""
        record: dict[str, Any] = {key: getattr(self, name) for key, name in _TEXT.items()}
        for key, (name, _) in _OPTIONAL.items():
            if getattr(self, name) is not None:
                record[key] = getattr(self, name)
        return record | self.extra


def iterate_questions(path: str | Path) -> Iterator[Question]:
    """Yield the questions of a file (or of every JSON file of a folder), one at a time.

    Raises:
        InputError: the file or a record cannot be read; one line naming file, record and field.
    """
    for question_id, record in _items(path):
        yield Question.from_gqa(question_id, record, source=str(path))


def read_questions(path: str | Path) -> dict[str, Question]:
    """All questions of a file or folder by id, in file order; see `iterate_questions`."""
    return {question.id: question for question in iterate_questions(path)}


def write_questions(path: str | Path, questions: Iterable[Question]) -> int:
    """Write questions as one GQA file, streaming; returns how many."""
    return write_json_items(path, ((item.id, item.to_gqa()) for item in questions))


def write_json_items(path: str | Path, items: Iterable[tuple[str, Any]]) -> int:
    """Write `{key: value, …}` one item a line, to a side file that then replaces `path`."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    side = place.with_name(place.name + ".part")
    count = 0
    with side.open("w", encoding="utf-8") as stream:
        stream.write("{")
        for key, value in items:
            stream.write(",\n" if count else "\n")
            stream.write(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
            count += 1
        stream.write("\n}\n")
    side.replace(place)
    return count


def _items(path: str | Path) -> Iterator[tuple[str, Any]]:
    try:
        yield from iterate_json_items(path)
    except EvaluationInputError as error:
        raise InputError(str(error)) from None
