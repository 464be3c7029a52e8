"""Values of a yes-no question, a choice or a comparison → programs; see `builders`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gqa_reasoner.program.parsing.builders import (
    Builder,
    Outcome,
    agree,
    ask,
    linear,
    on_last,
    typed,
)
from gqa_reasoner.program.parsing.phrases import Chain, Phrase
from gqa_reasoner.program.parsing.relations import REVERSED
from gqa_reasoner.program.parsing.words import IMAGE_NOUNS

_PERSON_OF = {"he": "man", "she": "woman", "they": "people"}
EXIST = ("exist", "?")


def verify(values: Sequence[Any]) -> Outcome:
    """`Is the cup red`: phrase, attribute."""
    phrase, attribute = values
    step = (typed("verify", attribute[0]), attribute[1])
    yield on_last(phrase.chain, step), agree(phrase, attribute)


def verify_typed(values: Sequence[Any]) -> Outcome:
    """`Does the cup have red color`: phrase, attribute, type."""
    phrase, attribute, kind = values
    if attribute[0] == kind:
        yield on_last(phrase.chain, (f"verify {kind}", attribute[1])), ()


def verify_two(values: Sequence[Any]) -> Outcome:
    """`Is the cup red and large`: phrase, attribute, attribute; GQA orders them by value."""
    phrase, *attributes = values
    steps = linear(phrase.chain)
    base = len(steps) - 1
    for kind, value in sorted(attributes, key=lambda attribute: attribute[1]):
        steps.append((typed("verify", kind), value, (base,)))
    steps.append(("and", "", (base + 1, base + 2)))
    yield tuple(steps), agree(phrase, *attributes)


def verify_two_typed(values: Sequence[Any]) -> Outcome:
    """`Does the cup have red color and large size`: phrase, attribute, type, attribute, type."""
    phrase, first, kind, second, other = values
    if first[0] == kind and second[0] == other:
        yield from verify_two((phrase, first, second))


def choose(values: Sequence[Any]) -> Outcome:
    """`Is the cup red or blue`: phrase, attribute, attribute (of one type)."""
    phrase, first, second = values
    if first[0] == second[0] and first[1] != second[1]:
        step = (typed("choose", first[0]), f"{first[1]}|{second[1]}")
        yield on_last(phrase.chain, step), agree(phrase, first, second)


def verify_relation(values: Sequence[Any]) -> Outcome:
    """`Is the man wearing a hat`: phrase, predicate, phrase."""
    first, predicate, second = values
    if predicate == "with" and first.bare and first.name in IMAGE_NOUNS:
        return
    step = ("verify rel", f"{second.name},{predicate},o")
    if not predicate.startswith(REVERSED):
        yield on_last(first.chain, step), (("verify:o", 1.0), *_relates(first, predicate, second))
    step = ("verify rel", f"{_PERSON_OF.get(first.name, first.name)},{predicate},s")
    features = (("verify:s", 1.0), (f"verify:s:{first.bare:d}", 1.0))
    yield on_last(second.chain, step), (*features, *_relates(first, predicate, second))


def _relates(first: Phrase, predicate: str, second: Phrase) -> tuple[tuple[str, float], ...]:
    """A mark that the matcher turns into the class of the relation's subject, and how the words
    are shared between the two phrases."""
    form = "ing" if predicate.partition(" ")[0].endswith("ing") else "other"
    return (
        (f"~~{predicate.partition(' ')[0]}|{first.name}", 1.0),
        (f"split:{first.bare:d}:{second.bare:d}:{form}", 1.0),
        (f"verified:{second.determiner}", 1.0),
        (f"verified:drops:{bool(second.filters):d}", 1.0),
    )


def choose_relation(values: Sequence[Any]) -> Outcome:
    """`Is the cup left or right of the man`: phrase, (predicate, predicate), phrase."""
    first, (one, other), second = values
    name = _PERSON_OF.get(first.name, first.name)
    yield on_last(second.chain, ("choose rel", f"{name},{one}|{other},s")), ()


def choose_object(values: Sequence[Any]) -> Outcome:
    """`Is the cup on a table or a bed`: phrase, predicate, name, name."""
    phrase, predicate, first, second = values
    relate = ("relate", f"?,{predicate},o")
    yield from ask((*phrase.chain, relate), "name", ("name", first, second))


def verify_having(values: Sequence[Any]) -> Outcome:
    """`Does the man have a hat`: phrase, phrase; a described part is `verify_part`'s."""
    first, second = values
    if len(second.filters) != 1 or not second.bare:
        yield from verify_relation((first, "with", second))


def verify_part(values: Sequence[Any]) -> Outcome:
    """`Does the man have brown hair`: phrase, (name, filters)."""
    phrase, (name, filters) = values
    operation, value = filters[0]
    if operation != "filter knowledge":
        check = (operation.replace("filter", "verify"), value)
        yield on_last(phrase.chain, ("relate", f"{name},of,s"), check), ()


def choose_part(values: Sequence[Any]) -> Outcome:
    """`Does the man have brown or black hair`: phrase, attribute, attribute, name."""
    phrase, first, second, name = values
    if first[0] == second[0] and first[1] != second[1]:
        step = (typed("choose", first[0]), f"{first[1]}|{second[1]}")
        yield on_last(phrase.chain, ("relate", f"{name},of,s"), step), ()


def choose_named(values: Sequence[Any]) -> Outcome:
    """`Is the fruit that he holds an apple or a banana`: phrase, name, name."""
    phrase, first, second = values
    yield from ask(phrase.chain, "name", ("name", first, second))


def choose_side(values: Sequence[Any]) -> Outcome:
    """`Is the tree to the left of the truck or to its right`: phrase, side, phrase, side."""
    first, one, second, other = values
    if one != other and {one, other} <= {"to the left of", "to the right of"}:
        yield from choose_relation((first, (one, other), second))


def verify_this(values: Sequence[Any]) -> Outcome:
    """`Is this a young woman`: (name, filters)."""
    name, filters = values[0]
    if len(filters) == 1:
        operation, value = filters[0]
        yield on_last((("select", name),), (operation.replace("filter", "verify"), value)), ()


def choose_this(values: Sequence[Any]) -> Outcome:
    """`Is this a bed or a table`: name, name."""
    first, second = values
    if first != second:
        yield on_last((("select", "this"),), ("choose name", f"{first}|{second}")), ()


def choose_kind_this(values: Sequence[Any]) -> Outcome:
    """`Is this a tennis or soccer game`: attribute, attribute, name."""
    first, second, name = values
    if first[0] == second[0] and first[1] != second[1]:
        step = (typed("choose", first[0]), f"{first[1]}|{second[1]}")
        yield on_last((("select", name),), step), ()


_SCENE_TYPES = ("weather", "location", "place", "room")


def scene_verify(values: Sequence[Any]) -> Outcome:
    """`Is it cloudy`: attribute of the whole scene."""
    kind, value = values[0]
    if kind in _SCENE_TYPES:
        yield on_last((("select", "scene"),), (f"verify {kind}", value)), ()


def scene_choose(values: Sequence[Any]) -> Outcome:
    """`Is it indoors or outdoors`: attribute, attribute."""
    first, second = values
    if first[0] == second[0] and first[0] in _SCENE_TYPES and first[1] != second[1]:
        step = (f"choose {first[0]}", f"{first[1]}|{second[1]}")
        yield on_last((("select", "scene"),), step), ()


def place_verify(values: Sequence[Any]) -> Outcome:
    """`Is this photo showing a park`: name."""
    marks = ((f"~place|{values[0]}", 1.0),)
    yield on_last((("select", "scene"),), ("verify place", values[0])), marks


def place_choose(values: Sequence[Any]) -> Outcome:
    """`Is this an image of a park or a farm`: name, name."""
    step = ("choose place", f"{values[0]}|{values[1]}")
    marks = tuple((f"~place|{value}", 1.0) for value in values)
    if values[0] != values[1]:
        yield on_last((("select", "scene"),), step), marks


# -- existence ----------------------------------------------------------------------------


def exist(values: Sequence[Any]) -> Outcome:
    """`Is there a cup on the table`: phrase."""
    phrase: Phrase = values[0]
    yield on_last(phrase.chain, EXIST), ()


def exist_two(values: Sequence[Any]) -> Outcome:
    """`Are there cats or dogs that are black`: (conjunction, name, filters, name, filters)."""
    conjunction, first, filters, second, others = values[0]
    steps = linear((("select", first), *filters, EXIST))
    middle = len(steps)
    steps += linear((("select", second), *others, EXIST), middle)
    steps.append((conjunction, "", (middle - 1, len(steps) - 1)))
    yield tuple(steps), ()


# -- two objects --------------------------------------------------------------------------


def _both(first: Chain, second: Chain) -> tuple[list[tuple[str, str, tuple[int, ...]]], int, int]:
    steps = linear(first)
    middle = len(steps)
    steps += linear(second, middle)
    return steps, middle - 1, len(steps) - 1


def verify_both(values: Sequence[Any]) -> Outcome:
    """`Are both the cup and the plate red`: phrase, phrase, attribute."""
    first, second, (kind, value) = values
    check = (typed("verify", kind), value)
    steps, left, right = _both((*first.chain, check), (*second.chain, check))
    yield (*steps, ("and", "", (left, right))), ()


def verify_both_typed(values: Sequence[Any]) -> Outcome:
    """`Do both the cup and the plate have red color`: phrase, phrase, attribute, type."""
    first, second, attribute, kind = values
    if attribute[0] == kind:
        yield from verify_both((first, second, attribute))


def compare_two(family: str) -> Builder:
    """`Is the cup the same color as the plate`: phrases and a type, in any order."""

    def build(values: Sequence[Any]) -> Outcome:
        kind = next(value for value in values if isinstance(value, str))
        first, second = (value for value in values if isinstance(value, Phrase))
        steps, left, right = _both(first.chain, second.chain)
        yield (*steps, (f"{family} {kind}", "", (left, right))), ()

    return build


def common(values: Sequence[Any]) -> Outcome:
    """`What do the cup and the plate have in common`: phrase, phrase."""
    steps, left, right = _both(values[0].chain, values[1].chain)
    yield (*steps, ("common", "", (left, right))), ()


def compare(values: Sequence[Any]) -> Outcome:
    """`Which is bigger, the cup or the plate`: comparison, phrase, phrase."""
    comparison, first, second = values
    steps, left, right = _both(first.chain, second.chain)
    yield (*steps, (f"choose {comparison}", "", (left, right))), ()


def compare_last(values: Sequence[Any]) -> Outcome:
    """`Between the cup and the plate, which is bigger`: phrase, phrase, comparison."""
    yield from compare((values[2], *values[:2]))


def all_alike(family: str) -> Builder:
    """`Are the people all the same gender`: phrase, type."""

    def build(values: Sequence[Any]) -> Outcome:
        phrase, kind = values
        yield on_last(phrase.chain, (family, kind)), ()

    return build


def all_are(kind: str) -> Builder:
    """`Are both the animals goats`, `Are the people male`: phrase, value (not in the program)."""

    def build(values: Sequence[Any]) -> Outcome:
        yield on_last(values[0].chain, ("same", kind)), ((f"alike:{values[0].name}", 1.0),)

    return build
