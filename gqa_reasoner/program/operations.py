"""The operations of GQA programs: one typed table, generated from families and attribute types.

Names are GQA's (Hudson & Manning 2019, section 3.2; 136 names occur in its programs). Two
operations are this project's own: `filter knowledge` and `verify knowledge`, which ask a triple
instead of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

__all__ = [
    "COMPARISONS",
    "GQA_OPERATIONS",
    "OPERATIONS",
    "AnswerType",
    "ArgumentKind",
    "Comparison",
    "Family",
    "Operation",
]


class Family(str, Enum):
    """What an operation does, apart from its attribute type."""

    SELECT = "select"
    RELATE = "relate"
    FILTER = "filter"
    VERIFY = "verify"
    CHOOSE = "choose"
    COMPARE = "compare"
    QUERY = "query"
    EXIST = "exist"
    AND = "and"
    OR = "or"
    SAME = "same"
    DIFFERENT = "different"
    COMMON = "common"


class ArgumentKind(str, Enum):
    """Which grammar an argument follows; `arguments.parse_argument` reads each."""

    OBJECT = "object"
    """`name (id)`, `name (-)`, `name (id,id)`, `name` or `scene`."""
    RELATION = "relation"
    """`name,predicate,s|o (id)`; the name may be `_`; `name,same color,_ (id)`."""
    RELATION_CHOICE = "relation choice"
    """`name,predicate|predicate,s|o (id)`."""
    VALUE = "value"
    """`x` or `not(x)`, sometimes with a trailing space."""
    ALTERNATIVES = "alternatives"
    """`a|b`."""
    ATTRIBUTE_TYPE = "attribute type"
    """`color`, `name`, `type`, …"""
    KNOWLEDGE = "knowledge"
    """`Relation,tail`, such as `UsedFor,sitting`."""
    EMPTY = "empty"
    """Nothing, or `?` after `exist`."""


class AnswerType(str, Enum):
    """What a step yields."""

    OBJECTS = "objects"
    BOOLEAN = "boolean"
    VALUE = "value"
    """An open answer: a name, an attribute, an attribute type."""
    CHOICE = "choice"
    """One of two alternatives that the step names (or of its two objects)."""


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    `attribute_type` is GQA's word (`color`, `face expression`, …; `name` and `rel` for the two
    choices that are not about an attribute), None where the operation has none. `inputs` says
    what each dependency must yield; its length is the arity.
    """

    name: str
    family: Family
    attribute_type: str | None
    argument: ArgumentKind
    inputs: tuple[AnswerType, ...]
    answer_type: AnswerType

    @property
    def arity(self) -> int:
        """How many steps this operation depends on."""
        return len(self.inputs)


@dataclass(frozen=True)
class Comparison:
    """A comparative: `sign` +1 takes the object with more of `dimension`, -1 the one with less."""

    dimension: str
    sign: int


COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {
        "bigger": Comparison("size", +1),
        "larger": Comparison("size", +1),
        "smaller": Comparison("size", -1),
        "longer": Comparison("length", +1),
        "shorter": Comparison("length", -1),
        "higher": Comparison("elevation", +1),
        "lower": Comparison("elevation", -1),
        "older": Comparison("age", +1),
        "younger": Comparison("age", -1),
        "healthier": Comparison("health", +1),
        "less healthy": Comparison("health", -1),
    }
)

_SHARED_TYPES = (
    "activity",
    "age",
    "brightness",
    "cleanliness",
    "color",
    "company",
    "depth",
    "fatness",
    "flavor",
    "gender",
    "hardness",
    "height",
    "hposition",
    "length",
    "material",
    "opaqness",
    "pattern",
    "pose",
    "race",
    "shape",
    "size",
    "sportActivity",
    "state",
    "thickness",
    "tone",
    "vposition",
    "weather",
    "weight",
    "width",
    "face expression",
)
_FILTER_TYPES = (
    *_SHARED_TYPES,
    "event",
    "liquid",
    "orientation",
    "realism",
    "room",
    "sport",
    "texture",
)
_VERIFY_TYPES = (*_SHARED_TYPES, "location", "place", "realism", "room", "texture", "type")
_CHOOSE_TYPES = (*_SHARED_TYPES, "location", "place", "name")
_SAME_TYPES = ("color", "material", "shape")
_DIFFERENT_TYPES = ("color", "shape")

_OBJECTS = (AnswerType.OBJECTS,)
_BOOLEANS = (AnswerType.BOOLEAN, AnswerType.BOOLEAN)


def _typed_family(
    family: Family, types: tuple[str, ...], kind: ArgumentKind, answer: AnswerType
) -> Iterator[Operation]:
    """`family` alone and `family type` for every attribute type."""
    yield Operation(family.value, family, None, kind, _OBJECTS, answer)
    for attribute_type in types:
        name = f"{family.value} {attribute_type}"
        yield Operation(name, family, attribute_type, kind, _OBJECTS, answer)


def _gqa_rows() -> Iterator[Operation]:
    family, kind, answer = Family, ArgumentKind, AnswerType
    yield Operation("select", family.SELECT, None, kind.OBJECT, (), answer.OBJECTS)
    yield Operation("relate", family.RELATE, None, kind.RELATION, _OBJECTS, answer.OBJECTS)
    yield from _typed_family(family.FILTER, _FILTER_TYPES, kind.VALUE, answer.OBJECTS)
    yield from _typed_family(family.VERIFY, _VERIFY_TYPES, kind.VALUE, answer.BOOLEAN)
    yield Operation("verify rel", family.VERIFY, "rel", kind.RELATION, _OBJECTS, answer.BOOLEAN)
    yield from _typed_family(family.CHOOSE, _CHOOSE_TYPES, kind.ALTERNATIVES, answer.CHOICE)
    yield Operation(
        "choose rel", family.CHOOSE, "rel", kind.RELATION_CHOICE, _OBJECTS, answer.CHOICE
    )
    for comparative in COMPARISONS:
        yield Operation(
            f"choose {comparative}", family.COMPARE, None, kind.EMPTY, _OBJECTS * 2, answer.CHOICE
        )
    yield Operation("query", family.QUERY, None, kind.ATTRIBUTE_TYPE, _OBJECTS, answer.VALUE)
    yield Operation("exist", family.EXIST, None, kind.EMPTY, _OBJECTS, answer.BOOLEAN)
    yield Operation("and", family.AND, None, kind.EMPTY, _BOOLEANS, answer.BOOLEAN)
    yield Operation("or", family.OR, None, kind.EMPTY, _BOOLEANS, answer.BOOLEAN)
    for group, types in ((family.SAME, _SAME_TYPES), (family.DIFFERENT, _DIFFERENT_TYPES)):
        # `same: type [0]` compares within one set of objects, `same color: [0, 1]` two sets.
        yield Operation(group.value, group, None, kind.ATTRIBUTE_TYPE, _OBJECTS, answer.BOOLEAN)
        for attribute_type in types:
            name = f"{group.value} {attribute_type}"
            yield Operation(name, group, attribute_type, kind.EMPTY, _OBJECTS * 2, answer.BOOLEAN)
    yield Operation("common", family.COMMON, None, kind.EMPTY, _OBJECTS * 2, answer.VALUE)


def _own_rows() -> Iterator[Operation]:
    for family, answer in (
        (Family.FILTER, AnswerType.OBJECTS),
        (Family.VERIFY, AnswerType.BOOLEAN),
    ):
        name = f"{family.value} knowledge"
        yield Operation(name, family, "knowledge", ArgumentKind.KNOWLEDGE, _OBJECTS, answer)


_GQA_TABLE = {row.name: row for row in _gqa_rows()}

GQA_OPERATIONS: frozenset[str] = frozenset(_GQA_TABLE)
"""The 136 names of GQA's own programs."""

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    _GQA_TABLE | {row.name: row for row in _own_rows()}
)
"""Every operation by name: GQA's and this project's two knowledge operations."""
