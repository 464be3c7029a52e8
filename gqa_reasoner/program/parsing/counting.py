"""Forms of "how many": this project's extension of GQA's language, answered by `query: count`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gqa_reasoner.program.parsing.builders import Builder, Outcome, on_last

__all__ = ["COUNT_FORMS"]

_COUNT = ("query", "count")


def count_of(values: Sequence[Any]) -> Outcome:
    """`How many red cars are there`: the phrase."""
    yield on_last(values[0].chain, _COUNT), ()


def count_related(values: Sequence[Any]) -> Outcome:
    """`How many dogs are left of the car`: counted things, predicate, phrase."""
    counted, predicate, phrase = values
    name = counted.chain[0][1]
    relate = ("relate", f"{name},{predicate},s")
    yield on_last(phrase.chain, relate, *counted.chain[1:], _COUNT), ()


COUNT_FORMS: list[tuple[str, str, Builder]] = [
    ("count", "how many <np> BE there <img>", count_of),
    ("count", "how many <np> do|can you see <img>", count_of),
    ("count", "how many <np> do|can you count <img>", count_of),
    ("count", "how many <np> BE|appear shown|pictured|visible <img>", count_of),
    ("count", "how many <np> BE? in|on DET? IMAGE", count_of),
    ("count", "how many <np> DO the|this IMAGE show|contain|have", count_of),
    ("count", "what BE the number of <np> <img>", count_of),
    ("count-rel", "how many <np> BE <rel> <np>", count_related),
]
