"""From a batch of GQA question records to columns of numbers; runs in any process.

Legend: N records of the batch, Q balanced ones among them, in file order.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eval.problems import Problems, shown

__all__ = [
    "ABSENT",
    "RIGHT",
    "UNPREDICTED",
    "WRONG",
    "Columns",
    "Kind",
    "Observer",
    "add_entailed",
    "count_steps",
    "extract",
]

ABSENT, WRONG, RIGHT, UNPREDICTED = 0, 1, 2, 3
"""What the questions file says of an id: not in it; answered wrongly, rightly, not at all."""
Observer = Callable[[str, Mapping[str, Any]], None]


class Kind(NamedTuple):
    """What a question is broken down by; None where the record does not say."""

    structural: str | None
    semantic: str | None
    detailed: str | None
    steps: int | None
    words: int | None


Cell = tuple[str | None, str, str | None]
"""(global group, gold answer, prediction)"""


def _numbers() -> array[int]:
    return array("i")


@dataclass
class Columns:
    """One batch; the keys of `kinds`, `cells` and `images` stand at the places that Q names."""

    code: array[int] = field(default_factory=_numbers)
    """(N,) place among the predictions; -1 - k for `unknown[k]`."""
    outcome: bytearray = field(default_factory=bytearray)
    """(N,) WRONG, RIGHT or UNPREDICTED."""
    balanced: bytearray = field(default_factory=bytearray)
    """(N,) 0 or 1."""
    kind: array[int] = field(default_factory=_numbers)
    cell: array[int] = field(default_factory=_numbers)
    image: array[int] = field(default_factory=_numbers)
    entailed: array[int] = field(default_factory=_numbers)
    """Codes entailed by the rightly answered balanced questions, one after the other; -1 for an
    id without prediction, whose hash is the next of `strangers`."""
    strangers: array[int] = field(default_factory=lambda: array("q"))
    entailed_count: array[int] = field(default_factory=_numbers)
    kinds: dict[Kind, int] = field(default_factory=dict)
    cells: dict[Cell, int] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    lacking: dict[str, int] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)


def count_steps(semantic: Iterable[Mapping[str, Any]]) -> int:
    """Reasoning steps: those whose `operation: argument` names no exist, query or choose name."""
    steps = 0
    for step in semantic:
        text = f"{step['operation']}: {step['argument']}"
        if not ("exist" in text or "query: name" in text or "choose name" in text):
            steps += 1
    return steps


def extract(
    batch: Mapping[str, Any],
    source: str,
    codes: Mapping[str, int],
    answers: list[str],
    observe: Observer | None = None,
) -> Columns:
    """The columns of one batch.

    Args:
        batch: question id to record.
        source: file name for error lines.
        codes: question id to its place in `answers`.
        answers: the predictions.
        observe: called with every balanced (id, record).
    """
    out = Columns()
    kinds, cells, images, unknown = out.kinds, out.cells, out.images, out.unknown
    add_kind, add_cell, add_image = out.kind.append, out.cell.append, out.image.append
    add_code, add_outcome, add_balanced = (
        out.code.append,
        out.outcome.append,
        out.balanced.append,
    )
    for identifier, record in batch.items():
        try:
            gold, balanced = record["answer"], record["isBalanced"]
        except (KeyError, TypeError):
            gold = balanced = None
        if type(gold) is not str or type(balanced) is not bool:
            _explain(record, source, identifier, out.problems)
            continue
        code = codes.get(identifier)
        if code is None:
            code = -1 - unknown.setdefault(identifier, len(unknown))
            predicted, outcome = None, UNPREDICTED
        else:
            predicted = answers[code]
            outcome = RIGHT if predicted == gold else WRONG
        add_code(code)
        add_outcome(outcome)
        add_balanced(balanced)
        if not balanced:
            continue
        try:
            types = record["types"]
            kind: tuple[Any, ...] = (
                types["structural"],
                types["semantic"],
                types["detailed"],
                count_steps(record["semantic"]),
                len(record["question"].split()),
            )
            cell = (record["groups"]["global"], gold, predicted)
            entailed, image = record["entailed"], record["imageId"]
            if type(entailed) is not list or type(image) is not str:
                raise TypeError
            kind_place, cell_place = kinds.get(kind), cells.get(cell)  # type: ignore[call-overload]
            if kind_place is None:
                kind_place = _new_place(kinds, kind, kind[:3])
            if cell_place is None:
                cell_place = _new_place(cells, cell, cell[:1])
        except (KeyError, TypeError, AttributeError):
            kind, cell, entailed, image = _read_lenient(out, record, source, identifier, predicted)
            kind_place = kinds.setdefault(kind, len(kinds))
            cell_place = cells.setdefault(cell, len(cells))
        add_kind(kind_place)
        add_cell(cell_place)
        add_image(images.setdefault(image, len(images)))
        if outcome == RIGHT and entailed:
            if all(type(other) is str for other in entailed):
                add_entailed(out, code, entailed, codes)
            else:
                what = f"expected question ids as texts, got {shown(entailed)}"
                out.problems.add(source, identifier, "entailed", what)
        if observe is not None:
            observe(identifier, record)
    return out


def _new_place(places: dict[Any, int], key: tuple[Any, ...], texts: tuple[Any, ...]) -> int:
    """The place of a key seen for the first time; its `texts` are checked only then.

    Raises:
        TypeError: one of `texts` is neither a text nor None.
    """
    if not all(text is None or type(text) is str for text in texts):
        raise TypeError
    return places.setdefault(key, len(places))


def add_entailed(out: Columns, own: int, entailed: Sequence[str], codes: Mapping[str, int]) -> None:
    """Note the entailed ids of a rightly answered question with code `own`, itself left out."""
    find = codes.get
    found = [find(other, -1) for other in entailed]
    if -1 in found:
        pairs = zip(entailed, found, strict=True)
        out.strangers.extend([hash(other) for other, code in pairs if code < 0])
    if own in found:
        found = [code for code in found if code != own]
    if found:
        out.entailed.extend(found)
        out.entailed_count.append(len(found))


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


_NAMES: dict[type, str] = {str: "a text", dict: "an object", list: "a list"}


def _read_lenient(
    out: Columns, record: Mapping[str, Any], source: str, identifier: str, predicted: str | None
) -> tuple[Kind, Cell, list[str], str]:
    """Read a record that lacks optional fields; what it lacks is counted, wrong types refused."""

    def part(holder: Mapping[str, Any], name: str, wanted: type, empty: Any) -> Any:
        value = holder.get(name)
        if value is None:
            if name not in ("global", "structural", "semantic", "detailed") or holder is record:
                out.lacking[name] = out.lacking.get(name, 0) + 1
            return empty
        if not isinstance(value, wanted):
            what = f"expected {_NAMES[wanted]}, got {shown(value)}"
            out.problems.add(source, identifier, name, what)
            return empty
        return value

    types, groups = part(record, "types", dict, {}), part(record, "groups", dict, {})
    question, semantic = part(record, "question", str, None), part(record, "semantic", list, None)
    try:
        steps = None if semantic is None else count_steps(semantic)
    except (KeyError, TypeError):
        what = 'expected steps with the texts "operation" and "argument"'
        out.problems.add(source, identifier, "semantic", what)
        steps = None
    names = [part(types, name, str, None) for name in ("structural", "semantic", "detailed")]
    words = None if question is None else len(question.split())
    entailed = part(record, "entailed", list, [])
    if not all(isinstance(other, str) for other in entailed):
        what = f"expected question ids as texts, got {shown(entailed)}"
        out.problems.add(source, identifier, "entailed", what)
        entailed = []
    cell = (part(groups, "global", str, None), record["answer"], predicted)
    kind = Kind(names[0], names[1], names[2], steps, words)
    return kind, cell, entailed, part(record, "imageId", str, "")
