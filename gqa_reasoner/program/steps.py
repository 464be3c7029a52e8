"""`Step` and `Program`: a question as a graph of operations, in three exact textual forms.

* `semantic`: GQA's JSON list of `{"operation", "argument", "dependencies"}`.
* `semanticStr`: GQA's `select: man (1)->relate: hat,wearing,o (2) [0]->query: color [1]`.
* display: `Select: man → Relate: hat, wearing, o → Query: color`, the form for people; what a
  reader would assume (the chain, the subject direction) is left out, everything else is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.errors import InputError
from gqa_reasoner.program.arguments import parse_argument, without_object_ids
from gqa_reasoner.program.operations import OPERATIONS, ArgumentKind

__all__ = ["Program", "Step", "display_step", "validate"]

_SHORT_PREDICATES = {"to the left of": "left", "to the right of": "right"}
_LONG_PREDICATES = {short: long for long, short in _SHORT_PREDICATES.items()}

_STEP_STR = re.compile(r"([^:]*): (.*?)(?: (\[-?\d+(?:, -?\d+)*\]))?", re.DOTALL)
_STEP_DISPLAY = re.compile(
    r'(?P<operation>"(?:[^"\\]|\\.)*"|[^":\[]*?)'
    r'(?:: (?P<argument>"(?:[^"\\]|\\.)*"|.*?))?'
    r"(?: ?(?P<dependencies>\[(?:-?\d+(?:, ?-?\d+)*)?\]))?",
    re.DOTALL,
)
_PLAIN_OPERATION = re.compile(r"[a-z][A-Za-z]*(?: [A-Za-z]+)*")
_RELATION = re.compile(r"(?P<name>[^,]+),(?P<predicate>[^,]+),(?P<direction>[^,()]+)")
_ARROW = re.compile(r"\s*(?:→|->)\s*")
_UNSAFE = re.compile(r'→|->|^\s|\s$|^"|\]$|[\r\n]')


@dataclass(frozen=True)
class Step:
    """One operation; operation and argument are kept exactly as in the source."""

    operation: str
    argument: str = ""
    dependencies: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """Steps in order; dependencies are positions in `steps`; the last step gives the answer."""

    steps: tuple[Step, ...]

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def from_semantic(cls, records: Sequence[Mapping[str, Any]]) -> Program:
        """Read GQA's `semantic` list.

        Raises:
            InputError: not a list of steps with the three fields of the right types.
        """
        if isinstance(records, (str, bytes, Mapping)) or not isinstance(records, Sequence):
            raise InputError(f"semantic: expected a list of steps, got {type(records).__name__}")
        return cls(tuple(_step_of(record, place) for place, record in enumerate(records)))

    def to_semantic(self) -> list[dict[str, Any]]:
        """GQA's `semantic` list."""
        return [
            {
                "operation": step.operation,
                "dependencies": list(step.dependencies),
                "argument": step.argument,
            }
            for step in self.steps
        ]

    @classmethod
    def from_semantic_str(cls, text: str) -> Program:
        """Read GQA's `semanticStr`.

        Raises:
            InputError: a step is not of the form `operation: argument [dependencies]`.
        """
        steps = []
        for place, part in enumerate(text.split("->") if text else []):
            found = _STEP_STR.fullmatch(part)
            if found is None:
                raise InputError(
                    f"step {place}: expected 'operation: argument [0, 1]', got {part!r}"
                )
            dependencies = tuple(json.loads(found.group(3) or "[]"))
            steps.append(Step(found.group(1), found.group(2), dependencies))
        return cls(tuple(steps))

    def to_semantic_str(self) -> str:
        """GQA's `semanticStr`.

        Raises:
            InputError: a step's text holds the format's own marks (`->`, a final `[0]`, a colon
                in the operation), so that it could not be read back.
        """
        parts = []
        for place, step in enumerate(self.steps):
            dependencies = f" {list(step.dependencies)}" if step.dependencies else ""
            part = f"{step.operation}: {step.argument}{dependencies}"
            parts.append(part)
            if "->" in part or Program.from_semantic_str(part).steps != (step,):
                raise InputError(f"step {place}: {part!r} cannot be written as semanticStr")
        return "->".join(parts)

    @classmethod
    def from_display(cls, text: str) -> Program:
        """Read the display form (`->` is accepted for `→`).

        Raises:
            InputError: a step is not of the form `Operation: argument [dependencies]`.
        """
        steps = []
        for place, part in enumerate(_ARROW.split(text.strip()) if text.strip() else []):
            steps.append(_from_display_step(part, place))
        return cls(tuple(steps))

    def to_display(self) -> str:
        """The form for people; `from_display` gives back this very program.

        An argument that the readable spelling could not give back exactly (a trailing space, a
        predicate that is literally `left`) is written as a JSON string.
        """
        return " → ".join(display_step(step, place) for place, step in enumerate(self.steps))

    def without_object_ids(self) -> Program:
        """The program a question alone can give: "(id)" removed, spaces normalized."""
        return Program(
            tuple(
                Step(
                    step.operation,
                    without_object_ids(step.operation, step.argument),
                    step.dependencies,
                )
                for step in self.steps
            )
        )


def _step_of(record: Any, place: int) -> Step:
    if not isinstance(record, Mapping):
        raise InputError(f"step {place}: expected an object, got {type(record).__name__}")
    operation, argument = record.get("operation"), record.get("argument")
    dependencies = record.get("dependencies")
    if not isinstance(operation, str):
        raise InputError(f"step {place}: field 'operation' must be a string, got {operation!r}")
    if not isinstance(argument, str):
        raise InputError(
            f"step {place} ({operation}): field 'argument' must be a string, got {argument!r}"
        )
    if not isinstance(dependencies, (list, tuple)) or not all(
        isinstance(item, int) and not isinstance(item, bool) for item in dependencies
    ):
        raise InputError(
            f"step {place} ({operation}): field 'dependencies' must be a list of integers, "
            f"got {dependencies!r}"
        )
    return Step(operation, argument, tuple(dependencies))


def _default_dependencies(operation: str, place: int) -> tuple[int, ...]:
    """What a reader assumes: each step works on the step or the two steps before it."""
    row = OPERATIONS.get(operation)
    arity = row.arity if row else min(place, 1)
    return tuple(range(place - arity, place))


def _quote(text: str) -> str:
    """A JSON string without the marks that separate steps."""
    return json.dumps(text).replace(">", "\\u003e")


def display_step(step: Step, place: int) -> str:
    """One step of the display form; `place` is its position in the program."""
    plain = _PLAIN_OPERATION.fullmatch(step.operation) is not None
    text = step.operation[:1].upper() + step.operation[1:] if plain else _quote(step.operation)
    pretty = _pretty(step.operation, step.argument)
    if _UNSAFE.search(pretty) or _plain(step.operation, pretty) != step.argument:
        text += f": {_quote(step.argument)}"
    elif pretty:
        text += f": {pretty}"
    if step.dependencies != _default_dependencies(step.operation, place):
        text += f" {list(step.dependencies)}"
    return text


def _from_display_step(part: str, place: int) -> Step:
    found = _STEP_DISPLAY.fullmatch(part)
    if found is None or not found["operation"]:
        raise InputError(f"step {place}: expected 'Operation: argument [0]', got {part!r}")
    operation = found["operation"]
    try:
        if operation.startswith('"'):
            operation = json.loads(operation)
        else:
            operation = operation[:1].lower() + operation[1:]
        argument = found["argument"] or ""
        quoted = argument.startswith('"')
        argument = json.loads(argument) if quoted else _plain(operation, argument)
    except json.JSONDecodeError as error:
        raise InputError(f"step {place}: unreadable quoted text in {part!r}") from error
    if found["dependencies"] is None:
        return Step(operation, argument, _default_dependencies(operation, place))
    return Step(operation, argument, tuple(json.loads(found["dependencies"])))


def _kind(operation: str) -> ArgumentKind | None:
    row = OPERATIONS.get(operation)
    return row.argument if row else None


def _pretty(operation: str, argument: str) -> str:
    """The readable spelling of an argument (perhaps not exact; the caller compares)."""
    kind = _kind(operation)
    if operation == "exist":
        return "" if argument == "?" else argument
    if kind is ArgumentKind.ALTERNATIVES:
        return argument.replace("|", " | ")
    if kind is ArgumentKind.KNOWLEDGE:
        return argument.replace(",", ", ", 1)
    if kind in (ArgumentKind.RELATION, ArgumentKind.RELATION_CHOICE):
        body, bracket, ids = argument.partition(" (")
        found = _RELATION.fullmatch(body)
        if found is None:
            return argument
        predicate = " | ".join(
            _SHORT_PREDICATES.get(part, part) for part in found["predicate"].split("|")
        )
        direction = "" if found["direction"] == "s" else f", {found['direction']}"
        return f"{found['name']}, {predicate}{direction}{bracket}{ids}"
    return argument


def _plain(operation: str, pretty: str) -> str:
    """GQA's spelling of a readable argument."""
    kind = _kind(operation)
    if operation == "exist":
        return pretty or "?"
    if kind is ArgumentKind.ALTERNATIVES:
        return "|".join(part.strip() for part in pretty.split("|"))
    if kind is ArgumentKind.KNOWLEDGE:
        relation, comma, tail = pretty.partition(",")
        return relation.strip() + comma + tail.strip()
    if kind in (ArgumentKind.RELATION, ArgumentKind.RELATION_CHOICE):
        body, bracket, ids = pretty.partition(" (")
        parts = [part.strip() for part in body.split(",")]
        if len(parts) == 2:
            parts.append("s")
        if len(parts) == 3:
            predicates = (part.strip() for part in parts[1].split("|"))
            parts[1] = "|".join(_LONG_PREDICATES.get(part, part) for part in predicates)
        return ",".join(parts) + bracket + ids
    return pretty


def validate(program: Program) -> None:
    """Check that a program can be executed.

    Raises:
        InputError: an empty program, an unknown operation, a wrong number of dependencies, a
            dependency on itself or on a later step (which includes every cycle), a dependency
            that yields the wrong kind of thing, or a malformed argument; the step is named.
    """
    if not program.steps:
        raise InputError("program: expected at least one step, got none")
    for place, step in enumerate(program.steps):
        where = f"step {place} ({step.operation})"
        row = OPERATIONS.get(step.operation)
        if row is None:
            raise InputError(f"step {place}: unknown operation {step.operation!r}")
        if len(step.dependencies) != row.arity:
            raise InputError(
                f"{where}: expected {row.arity} dependencies, got {len(step.dependencies)}"
            )
        for dependency, wanted in zip(step.dependencies, row.inputs, strict=True):
            if not 0 <= dependency < place:
                raise InputError(
                    f"{where}: depends on step {dependency}, which does not come before it"
                )
            given = OPERATIONS[program.steps[dependency].operation].answer_type
            if given is not wanted:
                raise InputError(
                    f"{where}: needs {wanted.value} from step {dependency}, which gives "
                    f"{given.value}"
                )
        try:
            parse_argument(step.operation, step.argument)
        except InputError as error:
            raise InputError(f"step {place}: {error}") from error
