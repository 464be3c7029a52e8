"""Step arguments as types: what `name (id)`, `name,rel,s`, `not(x)`, `a|b`, … say.

`parse_argument` reads an argument's meaning (surrounding spaces do not count);
`str(argument)` writes GQA's canonical spelling. The exact source text stays in `Step.argument`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from detectors.errors import InputError
from gqa_reasoner.program.operations import OPERATIONS, ArgumentKind

__all__ = [
    "Alternatives",
    "Argument",
    "EmptyArgument",
    "KnowledgeArgument",
    "ObjectArgument",
    "RelateArgument",
    "RelationChoiceArgument",
    "TypeArgument",
    "ValueArgument",
    "parse_argument",
    "split_object_ids",
    "without_object_ids",
]

ANY_NAME = "_"
"""The object name of a relation that leaves the other object open."""
SCENE_NAME = "scene"
"""The object name that stands for the whole picture."""

_IDS = re.compile(r"\s*\(([^()]*)\)\s*$")
_NEGATION = re.compile(r"not\((.*)\)$", re.DOTALL)


def _ids_text(object_ids: tuple[str, ...]) -> str:
    return f" ({','.join(object_ids)})" if object_ids else ""


@dataclass(frozen=True)
class ObjectArgument:
    """`name (id)`; several ids where the name means a group; `("-",)` says GQA found none."""

    name: str
    object_ids: tuple[str, ...] = ()

    @property
    def object_id(self) -> str | None:
        """The first id, None where there is none or it is `-`."""
        return next((item for item in self.object_ids if item != "-"), None)

    @property
    def is_scene(self) -> bool:
        """Whether this selects the whole picture."""
        return self.name == SCENE_NAME

    def __str__(self) -> str:
        return self.name + _ids_text(self.object_ids)


@dataclass(frozen=True)
class RelateArgument:
    """`name,predicate,direction (id)`.

    Direction `s`: the new object is the subject ("girl,holding,s": a girl that holds the input);
    `o`: it is the object ("_,wearing,o": what the input wears); `_`: a symmetric one
    ("animal,same color,_").
    """

    name: str
    predicate: str
    direction: str
    object_ids: tuple[str, ...] = ()

    @property
    def object_id(self) -> str | None:
        """The first id, None where there is none or it is `-`."""
        return next((item for item in self.object_ids if item != "-"), None)

    @property
    def same_type(self) -> str | None:
        """The attribute type of `same color`, `same material`, …; None for a real predicate."""
        if self.direction == "_" and self.predicate.startswith("same "):
            return self.predicate[len("same ") :]
        return None

    def __str__(self) -> str:
        return f"{self.name},{self.predicate},{self.direction}{_ids_text(self.object_ids)}"


@dataclass(frozen=True)
class RelationChoiceArgument:
    """`name,predicate|predicate,direction (id)`."""

    name: str
    predicates: tuple[str, ...]
    direction: str
    object_ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        predicates = "|".join(self.predicates)
        return f"{self.name},{predicates},{self.direction}{_ids_text(self.object_ids)}"


@dataclass(frozen=True)
class ValueArgument:
    """`x` or `not(x)`."""

    value: str
    negated: bool = False

    def __str__(self) -> str:
        return f"not({self.value})" if self.negated else self.value


@dataclass(frozen=True)
class Alternatives:
    """`a|b`."""

    options: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(self.options)


@dataclass(frozen=True)
class TypeArgument:
    """The attribute type that `query`, `same` and `different` ask about, or `name`, `type`."""

    attribute_type: str

    def __str__(self) -> str:
        return self.attribute_type


@dataclass(frozen=True)
class KnowledgeArgument:
    """`Relation,tail`: an object qualifies where the triple (its name, Relation, tail) holds."""

    relation: str
    tail: str

    def __str__(self) -> str:
        return f"{self.relation},{self.tail}"


@dataclass(frozen=True)
class EmptyArgument:
    """No argument; `exist` writes it as `?`."""

    text: str = ""

    def __str__(self) -> str:
        return self.text


Argument = (
    ObjectArgument
    | RelateArgument
    | RelationChoiceArgument
    | ValueArgument
    | Alternatives
    | TypeArgument
    | KnowledgeArgument
    | EmptyArgument
)


def split_object_ids(argument: str) -> tuple[str, tuple[str, ...]]:
    """`"man (1,0)"` → `("man", ("1", "0"))`; without ids the second part is empty."""
    found = _IDS.search(argument)
    if found is None:
        return argument.strip(), ()
    ids = tuple(part.strip() for part in found.group(1).split(","))
    return argument[: found.start()].strip(), tuple(part for part in ids if part)


def without_object_ids(operation: str, argument: str) -> str:
    """The argument with "(id)" removed and spaces normalized, as a question alone can give it."""
    row = OPERATIONS.get(operation)
    kind = row.argument if row else ArgumentKind.VALUE
    if kind is ArgumentKind.OBJECT:
        return split_object_ids(argument)[0]
    if kind in (ArgumentKind.RELATION, ArgumentKind.RELATION_CHOICE):
        text, _ = split_object_ids(argument)
        return ",".join(part.strip() for part in text.split(","))
    return argument.strip()


@lru_cache(maxsize=65536)
def parse_argument(operation: str, argument: str) -> Argument:
    """Read an argument by the grammar of its operation.

    Raises:
        InputError: the operation is unknown or the argument does not follow its grammar.
    """
    row = OPERATIONS.get(operation)
    if row is None:
        raise InputError(f"unknown operation {operation!r}")
    return _READERS[row.argument](argument, operation)


def _read_object(text: str, operation: str) -> ObjectArgument:
    name, ids = split_object_ids(text)
    if not name:
        raise InputError(f"{operation}: expected 'name' or 'name (id)', got {text!r}")
    return ObjectArgument(name, ids)


def _relation_parts(text: str, operation: str) -> tuple[str, str, str, tuple[str, ...]]:
    body, ids = split_object_ids(text)
    parts = [part.strip() for part in body.split(",")]
    if len(parts) != 3 or not all(parts) or parts[2] not in ("s", "o", "_"):
        raise InputError(f"{operation}: expected 'name,predicate,s|o (id)', got {text!r}")
    return parts[0], parts[1], parts[2], ids


def _read_relation(text: str, operation: str) -> RelateArgument:
    return RelateArgument(*_relation_parts(text, operation))


def _read_relation_choice(text: str, operation: str) -> RelationChoiceArgument:
    name, predicates, direction, ids = _relation_parts(text, operation)
    return RelationChoiceArgument(name, _options(predicates, operation), direction, ids)


def _options(text: str, operation: str) -> tuple[str, ...]:
    options = tuple(part.strip() for part in text.split("|"))
    if len(options) < 2 or not all(options):
        raise InputError(f"{operation}: expected alternatives 'a|b', got {text!r}")
    return options


def _read_value(text: str, operation: str) -> ValueArgument:
    value = text.strip()
    negation = _NEGATION.match(value)
    inner = negation.group(1).strip() if negation else value
    if not inner:
        raise InputError(f"{operation}: expected a value or 'not(value)', got {text!r}")
    return ValueArgument(inner, negation is not None)


def _read_alternatives(text: str, operation: str) -> Alternatives:
    return Alternatives(_options(text, operation))


def _read_type(text: str, operation: str) -> TypeArgument:
    if not text.strip():
        raise InputError(f"{operation}: expected an attribute type such as 'color', got {text!r}")
    return TypeArgument(text.strip())


def _read_knowledge(text: str, operation: str) -> KnowledgeArgument:
    relation, comma, tail = (part.strip() for part in text.partition(","))
    if not (relation and comma and tail):
        raise InputError(f"{operation}: expected 'Relation,tail', got {text!r}")
    return KnowledgeArgument(relation, tail)


def _read_empty(text: str, operation: str) -> EmptyArgument:
    value = text.strip()
    if value not in ("", "?"):
        raise InputError(f"{operation}: expected no argument, got {text!r}")
    return EmptyArgument(value)


_READERS: dict[ArgumentKind, Callable[[str, str], Argument]] = {
    ArgumentKind.OBJECT: _read_object,
    ArgumentKind.RELATION: _read_relation,
    ArgumentKind.RELATION_CHOICE: _read_relation_choice,
    ArgumentKind.VALUE: _read_value,
    ArgumentKind.ALTERNATIVES: _read_alternatives,
    ArgumentKind.ATTRIBUTE_TYPE: _read_type,
    ArgumentKind.KNOWLEDGE: _read_knowledge,
    ArgumentKind.EMPTY: _read_empty,
}
