"""The question forms, and the matcher that reads a whole question by them.

A form is a line of elements: `what|which` literal words, `word?` an optional one, `BE` `DO` `LOOK`
word classes, `<slot>` a slot of `slots.SLOTS`. All forms share one trie, so a slot that several
forms begin with is read once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

from gqa_reasoner.program.operations import OPERATIONS
from gqa_reasoner.program.parsing import forms, words
from gqa_reasoner.program.parsing.builders import Builder, Draft, Outcome
from gqa_reasoner.program.parsing.chart import Features, Item
from gqa_reasoner.program.parsing.phrases import PhraseChart
from gqa_reasoner.program.parsing.relations import REVERSED
from gqa_reasoner.program.parsing.slots import SKIP, SLOTS

__all__ = ["Reading", "read_question"]

_CLASSES = {
    "BE": words.BE,
    "DO": words.DO,
    "LOOK": words.LOOK,
    "HAVE": frozenset(("have", "has")),
    "DET": words.DETERMINERS,
    "IMAGE": words.IMAGE_NOUNS,
    "KIND": words.KIND_NOUNS,
    "USUALLY": words.USUALLY,
}


class Reading(NamedTuple):
    """One reading of a whole question."""

    score: float
    draft: Draft
    features: Features
    form: str


_Complete = tuple[str, Builder, tuple[Any, ...], float, Features]
"""Form, builder, values of the slots, score and features of a way through the trie."""


class _Node:
    """A node of the trie of forms."""

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.slots: dict[str, _Node] = {}
        self.rules: list[tuple[str, Builder]] = []


def _expanded(pattern: str) -> Iterator[list[str]]:
    choices = []
    for element in pattern.split():
        optional = element.endswith("?")
        element = element.rstrip("?")
        names = element.split("|") if not element.startswith("<") else [element]
        choices.append([[name] for name in names] + ([[]] if optional else []))
    for parts in product(*choices):
        yield [name for part in parts for name in part]


@lru_cache(maxsize=1)
def _trie() -> _Node:
    root = _Node()
    for name, pattern, builder in forms.FORMS:
        for elements in _expanded(pattern):
            nodes = [root]
            for element in elements:
                if element in SLOTS:
                    nodes = [node.slots.setdefault(element, _Node()) for node in nodes]
                else:
                    nodes = [
                        node.words.setdefault(word, _Node())
                        for node in nodes
                        for word in sorted(_CLASSES.get(element, (element,)))
                    ]
            for node in nodes:
                if not any(rule[0] == name for rule in node.rules):
                    node.rules.append((name, builder))
    return root


def read_question(chart: PhraseChart) -> list[Reading]:
    """All readings of the question, best first; [] if no form covers it."""
    readings: list[Reading] = []
    complete: list[_Complete] = []
    _walk(chart, _trie(), 0, (), 0.0, (), complete)
    for name, builder, values, score, features in complete:
        for draft, extra in _completed(chart, builder(values)):
            draft = tuple(map(_forward, draft))
            if all(operation in OPERATIONS for operation, _, _ in draft):
                own = _own(chart, name, extra)
                readings.append(Reading(score + own.score, draft, features + own.features, name))
    readings.sort(key=lambda reading: (-reading.score, reading.draft))
    return readings


def _completed(chart: PhraseChart, outcomes: Outcome) -> Outcome:
    """Replace `?`, the category that two alternatives share, by each category it may be."""
    for draft, extra in outcomes:
        operation, argument, dependencies = draft[-2] if len(draft) > 1 else ("", "", ())
        if not (operation == "relate" and argument.startswith("?,")):
            yield draft, extra
            continue
        first, _, second = draft[-1][1].partition("|")
        shared = chart.vocabulary.common_categories(first, second)
        for rank, name in enumerate((*shared[:4], "_")):
            step = (operation, name + argument[1:], dependencies)
            mark = (f"category:{rank if name != '_' else '_'}", 1.0)
            seen = (f"category:{name}", 1.0)
            yield (*draft[:-2], step, draft[-1]), (*extra, mark, seen)


_OTHER_END = {"s": "o", "o": "s"}


def _forward(step: tuple[str, str, tuple[int, ...]]) -> tuple[str, str, tuple[int, ...]]:
    """`hat,~wearing,s` (the hat that is worn by it) → `hat,wearing,o`."""
    operation, argument, dependencies = step
    if f",{REVERSED}" not in argument:
        return step
    name, predicate, direction = argument.split(",")
    predicate = predicate.removeprefix(REVERSED)
    return operation, f"{name},{predicate},{_OTHER_END.get(direction, direction)}", dependencies


def _own(chart: PhraseChart, form: str, extra: Features) -> Item:
    """What a reading has beside the readings of its slots."""
    return chart.remembered(
        ("form", form, extra), lambda: ((f"form:{form}", 1.0), *_resolved(chart, extra))
    )


def _resolved(chart: PhraseChart, extra: Features) -> Iterator[tuple[str, float]]:
    for name, value in extra:
        if name.startswith("~place|"):
            place = name.partition("|")[2]
            known = chart.vocabulary.noun_class(place) == "place"
            known = known or bool({"place", "room"} & set(chart.vocabulary.attribute_types(place)))
            yield f"place:{known:d}", 1.0
        elif name.startswith("~~"):
            verb, noun = name[2:].removeprefix(REVERSED).split("|", 1)
            group = chart.vocabulary.noun_class(noun)
            form = "verb" if verb.endswith("ing") else "other"
            yield f"relates:{form}:s:{group}", 1.0
            yield f"relates:{verb}:s:{group}", 1.0
        elif name.startswith("~"):
            kind, attribute, noun = name[1:].split("|", 2)
            yield from chart.agreement(kind, attribute, noun)
        else:
            yield name, value


def _walk(
    chart: PhraseChart,
    node: _Node,
    position: int,
    values: tuple[Any, ...],
    score: float,
    features: Features,
    complete: list[_Complete],
) -> None:
    """Add every way from `node` to the end of the question to `complete`."""
    if position == chart.size:
        for name, builder in node.rules:
            complete.append((name, builder, values, score, features))
    else:
        following = node.words.get(chart.tokens[position])
        if following is not None:
            _walk(chart, following, position + 1, values, score, features, complete)
    if not node.slots:
        return
    matches = chart.matches(position)
    for name, after in node.slots.items():
        found = matches.get(name)
        if found is None:
            found = matches[name] = list(SLOTS[name](chart, position))
        for end, value, gain, more in found:
            if not after.slots and end < chart.size and chart.tokens[end] not in after.words:
                continue
            kept = values if value is SKIP else (*values, value)
            _walk(chart, after, end, kept, score + gain, features + more, complete)
