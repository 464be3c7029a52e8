"""One streaming pass over GQA questions: from records to a few compact columns.

Legend: Q balanced questions in file order, C every id seen (predicted, asked or entailed).
All figures of `eval.gqa` are sums over these columns; no question record is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.errors import InputError
from eval.json_stream import batches, files_of
from eval.predictions import Predictions
from eval.problems import Problems, shown

__all__ = ["Kind", "QuestionTable", "count_steps", "read_table"]

ABSENT, WRONG, RIGHT, UNPREDICTED = 0, 1, 2, 3
"""What the questions file says of an id: not in it; answered wrongly, rightly, not at all."""


class Kind(NamedTuple):
    """What a question is broken down by; None where the record does not say."""

    structural: str | None
    semantic: str | None
    detailed: str | None
    steps: int | None
    words: int | None


@dataclass
class QuestionTable:
    """The columns; `kind`, `cell` and `code` have one entry per balanced question (Q)."""

    sources: list[str]
    predictions: Predictions
    codes: dict[str, int]
    """Id to its code (C)."""
    answers: list[str | None]
    """Prediction by code."""
    status: bytearray
    """ABSENT, WRONG, RIGHT or UNPREDICTED by code (C)."""
    code: array[int] = field(default_factory=lambda: array("i"))
    kind: array[int] = field(default_factory=lambda: array("i"))
    cell: array[int] = field(default_factory=lambda: array("i"))
    image: array[int] = field(default_factory=lambda: array("i"))
    entailed: array[int] = field(default_factory=lambda: array("i"))
    """Codes entailed by the rightly answered balanced questions, one after the other."""
    entailed_count: array[int] = field(default_factory=lambda: array("i"))
    kinds: dict[Kind, int] = field(default_factory=dict)
    cells: dict[tuple[str | None, str, str | None], int] = field(default_factory=dict)
    """(global group, gold answer, prediction) to its number."""
    images: dict[str, int] = field(default_factory=dict)
    unbalanced: int = 0
    unbalanced_predicted: int = 0
    missing_balanced: list[str] = field(default_factory=list)
    missing_unbalanced: int = 0
    lacking: dict[str, int] = field(default_factory=dict)
    """Optional field to the number of balanced records without it."""

    def __len__(self) -> int:
        return len(self.code)

    def correct(self) -> np.ndarray:
        """(Q,) bool: the prediction equals the gold answer."""
        status = np.frombuffer(self.status, dtype=np.uint8)
        return status[np.frombuffer(self.code, dtype=np.int32)] == RIGHT

    def ids(self) -> list[str]:
        """The ids of the balanced questions in file order."""
        names = list(self.codes)
        return [names[code] for code in self.code]

    def column(self, name: str) -> np.ndarray:
        """A column as an int32 array without copying."""
        return np.frombuffer(getattr(self, name), dtype=np.int32)


def count_steps(semantic: Iterable[Mapping[str, Any]]) -> int:
    """Reasoning steps: those whose `operation: argument` names no exist, query or choose name."""
    steps = 0
    for step in semantic:
        text = step["operation"] + ": " + step["argument"]
        if not ("exist" in text or "query: name" in text or "choose name" in text):
            steps += 1
    return steps


Source = tuple[str, Iterable[Mapping[str, Any]]]


def question_batches(questions: Path | Mapping[str, Any]) -> Iterator[Source]:
    """(file, batches of id → record) of a file, a folder of files, or records in memory.

    Raises:
        InputError: a file whose top level is an array.
    """
    if isinstance(questions, Mapping):
        yield "questions", [questions]
        return
    for file in files_of(Path(questions)):
        yield str(file), _objects(file)


def _objects(file: Path) -> Iterator[Mapping[str, Any]]:
    for batch in batches(file):
        if not isinstance(batch, dict):
            raise InputError(f"{file}: whole file: expected {{question id: record}}, got an array")
        yield batch


Observer = Callable[[str, Mapping[str, Any]], None]


def read_table(
    questions: Path | Mapping[str, Any],
    predictions: Predictions,
    *,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> QuestionTable:
    """Read all questions once.

    Args:
        questions: file, folder of files, or {id: record}.
        predictions: the answers to score.
        observe: called with every balanced (id, record), for what the columns do not hold.
        progress: called with the number of records of each batch.

    Raises:
        InputError: records that cannot be scored, up to 20 lines.
    """
    codes = {identifier: code for code, identifier in enumerate(predictions.answers)}
    answers: list[str | None] = list(predictions.answers.values())
    table = QuestionTable([], predictions, codes, answers, bytearray(len(codes)))
    problems = Problems()
    for source, parts in question_batches(questions):
        table.sources.append(source)
        for batch in parts:
            _read_batch(table, batch, source, problems, observe)
            if progress is not None:
                progress(len(batch))
    if not len(table) and not table.unbalanced and not problems.count:
        problems.add(", ".join(table.sources), "", "", "holds no questions")
    problems.raise_if_any()
    return table


def _read_batch(
    table: QuestionTable,
    batch: Mapping[str, Any],
    source: str,
    problems: Problems,
    observe: Observer | None,
) -> None:
    """Add one batch of records to the columns."""
    codes, answers, status = table.codes, table.answers, table.status
    add_code, add_kind = table.code.append, table.kind.append
    add_cell, add_image = table.cell.append, table.image.append
    kinds, cells, images = table.kinds, table.cells, table.images
    for identifier, record in batch.items():
        try:
            gold, balanced = record["answer"], record["isBalanced"]
        except (KeyError, TypeError):
            gold = balanced = None
        if type(gold) is not str or type(balanced) is not bool:
            _explain(record, source, identifier, problems)
            continue
        code = codes.get(identifier)
        if code is None:
            code = _new_code(table, identifier)
        predicted = answers[code]
        if status[code]:
            problems.add(source, identifier, "", "the id occurs twice")
            continue
        status[code] = RIGHT if predicted == gold else UNPREDICTED if predicted is None else WRONG
        if not balanced:
            table.unbalanced += 1
            table.unbalanced_predicted += predicted is not None
            table.missing_unbalanced += predicted is None
            continue
        if predicted is None:
            table.missing_balanced.append(identifier)
        try:
            types, group = record["types"], record["groups"]["global"]
            kind = (
                types["structural"],
                types["semantic"],
                types["detailed"],
                count_steps(record["semantic"]),
                len(record["question"].split()),
            )
            entailed, image = record["entailed"], record["imageId"]
            cell = (group, gold, predicted)
            add_kind(kinds.setdefault(kind, len(kinds)))  # type: ignore[arg-type]
            add_cell(cells.setdefault(cell, len(cells)))
        except (KeyError, TypeError, AttributeError):
            entailed, image = _read_lenient(table, record, source, identifier, predicted, problems)
        add_code(code)
        add_image(images.setdefault(image, len(images)))
        if predicted == gold and entailed:
            _add_entailed(table, identifier, entailed)
        if observe is not None:
            observe(identifier, record)


def _new_code(table: QuestionTable, identifier: str) -> int:
    code = table.codes[identifier] = len(table.answers)
    table.answers.append(None)
    table.status.append(ABSENT)
    return code


def _add_entailed(table: QuestionTable, identifier: str, entailed: Iterable[str]) -> None:
    """Note the entailed ids of a rightly answered question, itself left out."""
    count = 0
    for other in entailed:
        if other != identifier:
            code = table.codes.get(other)
            table.entailed.append(_new_code(table, other) if code is None else code)
            count += 1
    if count:
        table.entailed_count.append(count)


def _explain(record: Any, source: str, identifier: str, problems: Problems) -> None:
    """Say why a record cannot be scored."""
    if not isinstance(record, Mapping):
        problems.add(source, identifier, "", f"expected an object, got {shown(record)}")
        return
    for name, wanted, expected in (
        ("answer", str, "a text"),
        ("isBalanced", bool, "true or false"),
    ):
        value = record.get(name)
        if type(value) is not wanted:
            got = "nothing" if name not in record else shown(value)
            problems.add(source, identifier, name, f"expected {expected}, got {got}")


def _read_lenient(
    table: QuestionTable,
    record: Mapping[str, Any],
    source: str,
    identifier: str,
    predicted: str | None,
    problems: Problems,
) -> tuple[list[str], str]:
    """Read a record that lacks optional fields; what it lacks is counted, wrong types refused.

    Returns:
        (entailed ids, image id)
    """

    def part(name: str, wanted: type, empty: Any) -> Any:
        value = record.get(name)
        if value is None:
            table.lacking[name] = table.lacking.get(name, 0) + 1
            return empty
        if not isinstance(value, wanted):
            what = f"expected {'a text' if wanted is str else wanted.__name__}"
            problems.add(source, identifier, name, f"{what}, got {shown(value)}")
            return empty
        return value

    types, groups = part("types", dict, {}), part("groups", dict, {})
    question, semantic = part("question", str, None), part("semantic", list, None)
    steps = None
    if semantic is not None:
        try:
            steps = count_steps(semantic)
        except (KeyError, TypeError):
            what = 'expected steps with the texts "operation" and "argument"'
            problems.add(source, identifier, "semantic", what)
    names = [_text(types.get(name), source, identifier, name, problems) for name in _TYPES]
    words = None if question is None else len(question.split())
    kind = Kind(names[0], names[1], names[2], steps, words)
    group = _text(groups.get("global"), source, identifier, "groups: global", problems)
    table.kind.append(table.kinds.setdefault(kind, len(table.kinds)))
    cell = (group, record["answer"], predicted)
    table.cell.append(table.cells.setdefault(cell, len(table.cells)))
    entailed = part("entailed", list, [])
    if not all(isinstance(other, str) for other in entailed):
        problems.add(source, identifier, "entailed", f"expected texts, got {shown(entailed)}")
        entailed = []
    return entailed, part("imageId", str, "")


_TYPES = ("structural", "semantic", "detailed")


def _text(value: Any, source: str, identifier: str, name: str, problems: Problems) -> str | None:
    if value is None or isinstance(value, str):
        return value
    problems.add(source, identifier, name, f"expected a text, got {shown(value)}")
    return None
