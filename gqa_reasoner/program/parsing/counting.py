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


def count_filtered(values: Sequence[Any]) -> Outcome:
    """`How many cups are red`: phrase, filters."""
    phrase, filters = values
    yield on_last((*phrase.chain, *filters), _COUNT), ()


def count_owned(values: Sequence[Any]) -> Outcome:
    """`How many wheels does the car have`: counted things, owner."""
    counted, owner = values
    relate = ("relate", f"{counted.name},of,s")
    yield on_last(owner.chain, relate, *counted.filters, _COUNT), ()


COUNT_FORMS: list[tuple[str, str, Builder]] = [
    ("count", "how many <npx> BE there <img>", count_of),
    ("count", "how many <npx> do|can you see <img>", count_of),
    ("count", "how many <npx> do|can you count <img>", count_of),
    ("count", "how many <npx> BE|appear shown|pictured|visible <img>", count_of),
    ("count", "how many <npx> BE? in|on DET? IMAGE", count_of),
    ("count", "how many <npx> DO the|this IMAGE show|contain|have", count_of),
    ("count", "what BE the number of <npx> <img>", count_of),
    ("count", "how many <npx>", count_of),
    ("count", "how many <npx> can be seen <img>", count_of),
    ("count-has", "how many <npx> DO <np> have", count_owned),
    (
        "count-with",
        "how many <npx> have|has <np>",
        lambda values: count_related((values[0], "with", values[1])),
    ),
    ("count-is", "how many of? DET? <npx> BE|LOOK <pred> <img>", count_filtered),
    ("count-is", "how many <npx> BE there that BE|LOOK <pred>", count_filtered),
    ("count-rel", "how many of? DET? <npx> BE? <rel> <np>", count_related),
    ("count-rel", "how many <npx> BE there <rel> <np>", count_related),
    ("count-rel", "how many <npx> do|can you see <rel> <np>", count_related),
]
