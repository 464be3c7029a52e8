"""Values of a question form → programs.

A program in the making is a tuple of (operation, argument, dependencies). Every builder takes the
values that the form's slots matched and yields (program, features); it yields nothing where the
values do not fit together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.phrases import Chain, Phrase

__all__ = ["Builder", "Draft", "Outcome", "agree", "ask", "linear", "on_last", "typed"]

Draft = tuple[tuple[str, str, tuple[int, ...]], ...]
Outcome = Iterator[tuple[Draft, tuple[tuple[str, float], ...]]]
Builder = Callable[[Sequence[Any]], Outcome]

_SUBJECTS = {"who": "person", "what": "_", "whom": "person", "which": "_"}


def linear(chain: Chain, first: int = 0) -> list[tuple[str, str, tuple[int, ...]]]:
    """A chain's steps, each on the step before it; the first has no dependency."""
    return [
        (operation, argument, () if place == 0 else (first + place - 1,))
        for place, (operation, argument) in enumerate(chain)
    ]


def on_last(chain: Chain, *steps: tuple[str, str]) -> Draft:
    """A chain followed by further steps, each on the step before it."""
    return tuple(linear((*chain, *steps)))


def typed(family: str, kind: str) -> str:
    """`verify color`, or the bare family where there is no type."""
    return f"{family} {kind}" if kind else family


def agree(phrase: Phrase, *attributes: tuple[str, str]) -> tuple[tuple[str, float], ...]:
    """Marks that the matcher turns into the agreement of value, name and type."""
    return tuple((f"~{kind}|{value}|{phrase.name}", 1.0) for kind, value in attributes)


def ask(chain: Chain, kind: str, alternatives: Any) -> Outcome:
    """`query: kind`, or the choice between two alternatives of the kind."""
    if alternatives is None:
        yield on_last(chain, ("query", kind)), ()
        return
    form, first, second = alternatives
    if kind == "name":
        if form == "name":
            yield on_last(chain, ("choose name", f"{first}|{second}")), (("ask:choose", 1.0),)
    elif form == "attribute":
        same = first[0] == second[0] == kind
        features = (("ask:choose", 1.0), (f"ask:type:{same:d}", 1.0))
        yield on_last(chain, (typed("choose", kind), f"{first[1]}|{second[1]}")), features


# -- questions for a name -----------------------------------------------------------------


def who_relates(values: Sequence[Any]) -> Outcome:
    """`Who is wearing the hat`: wh, predicate, phrase, alternatives."""
    subject, predicate, phrase, alternatives = values
    name = "?" if alternatives is not None else _SUBJECTS[subject]
    yield from ask((*phrase.chain, ("relate", f"{name},{predicate},s")), "name", alternatives)


def who_related(values: Sequence[Any]) -> Outcome:
    """`What is the man holding`: wh, phrase, predicate, alternatives."""
    subject, phrase, predicate, alternatives = values
    name = "?" if alternatives is not None else _SUBJECTS[subject]
    yield from ask((*phrase.chain, ("relate", f"{name},{predicate},o")), "name", alternatives)


def what_related_front(values: Sequence[Any]) -> Outcome:
    """`On what is the backpack hanging`: preposition, wh, phrase, verb, alternatives."""
    preposition, subject, phrase, verb, alternatives = values
    relate = ("relate", f"{_SUBJECTS[subject]},{verb} {preposition},o")
    yield from ask((*phrase.chain, relate), "name", alternatives)


def related_what(values: Sequence[Any]) -> Outcome:
    """`In front of what is the man`: predicate, wh, phrase, alternatives."""
    predicate, subject, phrase, alternatives = values
    relate = ("relate", f"{_SUBJECTS[subject]},{predicate},o")
    yield from ask((*phrase.chain, relate), "name", alternatives)


def related_category(values: Sequence[Any]) -> Outcome:
    """`Behind what vehicles are the buildings`: predicate, category, phrase, alternatives."""
    predicate, category, phrase, alternatives = values
    relate = ("relate", f"{category},{predicate},o")
    yield from ask((*phrase.chain, relate), "name", alternatives)


def done_by(values: Sequence[Any]) -> Outcome:
    """`By whom is the hat worn`: phrase, the verb's -ing form."""
    phrase, predicate = values
    yield on_last(phrase.chain, ("relate", f"person,{predicate},s"), _NAME), ()


def done_by_category(values: Sequence[Any]) -> Outcome:
    """`By what animal is the cart pulled`: category, phrase, the verb's -ing form."""
    category, phrase, predicate = values
    yield on_last(phrase.chain, ("relate", f"{category},{predicate},s"), _NAME), ()


def category_typed(values: Sequence[Any]) -> Outcome:
    """`Which vehicle has the color red`: category, type and attribute (any order), alternatives."""
    category, *said, alternatives = values
    kind = next(value for value in said if isinstance(value, str))
    attribute = next(value for value in said if not isinstance(value, str))
    if attribute[0] == kind:
        yield from _filtered(category, ((f"filter {kind}", attribute[1]),), alternatives)


def category_one(values: Sequence[Any]) -> Outcome:
    """`What vehicle is the red one`: category, attribute, alternatives."""
    category, (kind, value), alternatives = values
    yield from _filtered(category, ((typed("filter", kind), value),), alternatives)


def category_relates(values: Sequence[Any]) -> Outcome:
    """`What animal is on the grass`: category, predicate, phrase, alternatives."""
    category, predicate, phrase, alternatives = values
    relate = ("relate", f"{category},{predicate},s")
    yield from ask((*phrase.chain, relate), "name", alternatives)


def category_same(values: Sequence[Any]) -> Outcome:
    """`What device has the same color as the cup`: category, type, phrase, alternatives."""
    category, kind, phrase, alternatives = values
    relate = ("relate", f"{category},same {kind},_")
    yield from ask((*phrase.chain, relate), "name", alternatives)


def category_related(values: Sequence[Any]) -> Outcome:
    """`What furniture is the man sitting on`: category, phrase, predicate, alternatives."""
    category, phrase, predicate, alternatives = values
    relate = ("relate", f"{category},{predicate},o")
    yield from ask((*phrase.chain, relate), "name", alternatives)


def category_filtered(values: Sequence[Any]) -> Outcome:
    """`What animal is brown`: category, filters, alternatives."""
    category, filters, alternatives = values
    yield from _filtered(category, filters, alternatives)


def category_alone(values: Sequence[Any]) -> Outcome:
    """`What animal is this`: category, alternatives."""
    category, alternatives = values
    yield from ask((("select", category),), "name", alternatives)


def thing_alone(values: Sequence[Any]) -> Outcome:
    """`What is this`: alternatives."""
    yield from ask((("select", "this"),), "name", values[0])


def phrase_name(values: Sequence[Any]) -> Outcome:
    """`What is the animal in front of the fence called`: phrase, alternatives."""
    phrase, alternatives = values
    yield from ask(phrase.chain, "name", alternatives)
    operation, argument = phrase.chain[-1]
    if operation == "relate" and argument.partition(",")[0] in words.THINGS:
        last = (operation, "_," + argument.partition(",")[2])
        for draft, features in ask((*phrase.chain[:-1], last), "name", alternatives):
            yield draft, (*features, ("thing:_", 1.0))


def person_doing(values: Sequence[Any]) -> Outcome:
    """`Who is sitting`: filters, alternatives."""
    filters, alternatives = values
    yield from _filtered("person", filters, alternatives)


def _filtered(category: str, filters: Chain, alternatives: Any) -> Outcome:
    marks = tuple(
        (f"~{operation.partition(' ')[2]}|{value}|{category}", 1.0)
        for operation, value in filters
        if not value.startswith("not(")
    )
    for draft, features in ask((("select", category), *filters), "name", alternatives):
        yield draft, (*features, *marks)


def phrase_relates_what(values: Sequence[Any]) -> Outcome:
    """`The man is holding what`: phrase, predicate, wh."""
    phrase, predicate, subject = values
    yield on_last(phrase.chain, ("relate", f"{_SUBJECTS[subject]},{predicate},o"), _NAME), ()


def phrase_relates_category(values: Sequence[Any]) -> Outcome:
    """`The man is carrying what animal`: phrase, predicate, category."""
    phrase, predicate, category = values
    yield on_last(phrase.chain, ("relate", f"{category},{predicate},o"), _NAME), ()


def place_of(values: Sequence[Any]) -> Outcome:
    """`Where is the man` (standing on): phrase, predicate or None, alternatives."""
    phrase, predicate, alternatives = values
    relate = ("relate", f"place,{predicate or 'on'},o")
    yield from ask((*phrase.chain, relate), "name", alternatives)


_NAME = ("query", "name")

# -- questions for an attribute -----------------------------------------------------------


def attribute_of(values: Sequence[Any]) -> Outcome:
    """`What color is the cup`: type, phrase, alternatives."""
    kind, phrase, alternatives = values
    yield from ask(phrase.chain, kind, alternatives)


def attribute_of_part(values: Sequence[Any]) -> Outcome:
    """`What color hair does the man have`: type, name, phrase, alternatives."""
    kind, name, phrase, alternatives = values
    yield from ask((*phrase.chain, ("relate", f"{name},of,s")), kind, alternatives)


def attribute_owned(values: Sequence[Any]) -> Outcome:
    """`What is the car's color`: phrase, type, alternatives."""
    phrase, kind, alternatives = values
    yield from ask(phrase.chain, kind, alternatives)


def material_of(values: Sequence[Any]) -> Outcome:
    """`What is the cup made of`: phrase, alternatives."""
    phrase, alternatives = values
    yield from ask(phrase.chain, "material", alternatives)


def doing(values: Sequence[Any]) -> Outcome:
    """`What is the man doing`: phrase, alternatives."""
    phrase, alternatives = values
    if alternatives is not None:
        form, first, second = alternatives
        if form == "attribute" and first[0] == second[0]:
            yield (
                on_last(phrase.chain, (typed("choose", first[0]), f"{first[1]}|{second[1]}")),
                (("doing:choose", 1.0), (f"doing:choose:{first[0]}", 1.0)),
            )
        return
    filtered = any("pose" in operation for operation, _ in phrase.chain)
    for kind in ("activity", "pose", "sportActivity"):
        features = (
            (f"doing:{kind}", 1.0),
            (f"doing:{kind}:{phrase.name}", 1.0),
            (f"doing:{kind}:pose{filtered:d}", 1.0),
            (f"doing:{kind}:{min(len(phrase.chain), 3)}", 1.0),
        )
        yield on_last(phrase.chain, ("query", kind)), features


def looks_like(values: Sequence[Any]) -> Outcome:
    """`How does the shirt look, long or short`: phrase, alternatives."""
    phrase, alternatives = values
    if alternatives is None:
        yield on_last(phrase.chain, ("query", "state")), ()
    elif alternatives[0] == "attribute" and alternatives[1][0] == alternatives[2][0]:
        _, first, second = alternatives
        yield on_last(phrase.chain, (typed("choose", first[0]), f"{first[1]}|{second[1]}")), ()


def side_of(values: Sequence[Any]) -> Outcome:
    """`Which side is the cup on`: phrase, alternatives."""
    phrase, alternatives = values
    if alternatives is None:
        for kind in ("hposition", "vposition"):
            yield on_last(phrase.chain, ("query", kind)), ((f"side:{kind}", 1.0),)
    elif alternatives[0] == "attribute" and alternatives[1][0] == alternatives[2][0]:
        _, first, second = alternatives
        if first[0].endswith("position"):
            step = (f"choose {first[0]}", f"{first[1]}|{second[1]}")
            yield on_last(phrase.chain, step), (("side:choose", 1.0),)


def side_of_thing(values: Sequence[Any]) -> Outcome:
    """`On which side of the truck is the tree`: phrase, phrase, alternatives (left and right)."""
    place, phrase, alternatives = values
    sides = alternatives is None or (
        alternatives[0] == "attribute" and alternatives[1][0] == alternatives[2][0] == "hposition"
    )
    if sides and phrase.bare:
        step = ("choose rel", f"{phrase.name},to the left of|to the right of,s")
        yield on_last(place.chain, step), ()


def scene_query(kind: str) -> Builder:
    """`Which place is it`: alternatives."""

    def build(values: Sequence[Any]) -> Outcome:
        yield from ask((("select", "scene"),), kind, _as_attributes(values[0], kind))

    return build


def _as_attributes(alternatives: Any, kind: str) -> Any:
    """Names as values of a type (`a beach or a field` are places)."""
    if alternatives is not None and alternatives[0] == "name":
        return ("attribute", (kind, alternatives[1]), (kind, alternatives[2]))
    return alternatives
