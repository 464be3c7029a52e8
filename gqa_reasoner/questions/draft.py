"""`Draft`: a question being made: marked text, program, answer, and the facts that it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Draft", "Fact", "Reference", "StepDraft", "chain", "merge"]

StepDraft = tuple[str, str, tuple[int, ...]]
"""Operation, argument, dependencies."""
Fact = tuple[str, ...]
"""One thing that is so in the picture: ("value", id, type, value), ("relation", id, p, id), ..."""


@dataclass
class Reference:
    """A definite description of one object, with the program that finds it."""

    place: int
    object_id: str
    noun: str
    """The head noun as written."""
    plural: bool
    text: str
    """The whole phrase with its determiner; object ids are marked inline."""
    steps: list[tuple[str, str]]
    """A chain: every step rests on the one before it."""
    facts: set[Fact] = field(default_factory=set)
    pronoun: bool = False
    bare: bool = False
    """Whether it is a noun alone, so that "a" or "this" may replace "the"."""
    core: str = ""
    """The phrase without its determiner."""
    values: frozenset[str] = frozenset()
    """Attributes that the phrase itself mentions, which it would be idle to ask."""
    mentioned: frozenset[int] = frozenset()
    """Positions of the objects that the phrase mentions."""


@dataclass
class Draft:
    """A question before it has an id."""

    question: str
    steps: list[StepDraft]
    answer: str
    full_answer: str
    structural: str
    semantic: str
    detailed: str
    global_group: str | None = None
    local_group: str | None = None
    answer_id: str | None = None
    needs: frozenset[Fact] = frozenset()
    """Facts from which the answer follows."""
    reveals: frozenset[Fact] = frozenset()
    """Facts that question and answer together state."""
    valid: tuple[str, ...] = ()
    """Answers of the asked type, beyond those that the statistics know."""
    scope: tuple[str, ...] = ()
    """What plausible answers are looked up by: ("attribute", name, type), ("name", category)."""
    pattern: str = ""
    """The template that worded it, `family/number`."""
    extra: dict[str, Any] = field(default_factory=dict)


def chain(steps: Iterable[tuple[str, str]]) -> list[StepDraft]:
    """Steps that each rest on the one before."""
    return [
        (operation, argument, (number - 1,) if number else ())
        for number, (operation, argument) in enumerate(steps)
    ]


def merge(first: list[StepDraft], second: list[StepDraft]) -> list[StepDraft]:
    """Two programs one after the other; GQA writes a blank after the second one's select."""
    shift = len(first)
    moved = [
        (operation, argument, tuple(number + shift for number in dependencies))
        for operation, argument, dependencies in second
    ]
    if moved:
        operation, argument, dependencies = moved[0]
        moved[0] = (operation, argument + " ", dependencies)
    return [*first, *moved]
