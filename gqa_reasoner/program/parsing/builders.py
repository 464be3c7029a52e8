"""Values of a question form → programs.

A program in the making is a tuple of (operation, argument, dependencies). Every builder takes the
values that the form's slots matched and yields (program, features); it yields nothing where the
values do not fit together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gqa_reasoner.program.parsing.phrases import Chain, Phrase, filter_step

__all__ = ["Builder", "Draft", "Outcome", "linear"]

Draft = tuple[tuple[str, str, tuple[int, ...]], ...]
Outcome = Iterator[tuple[Draft, tuple[tuple[str, float], ...]]]
Builder = Callable[[Sequence[Any]], Outcome]

_PERSON_OF = {"he": "man", "she": "woman", "they": "people"}
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


def _agree(phrase: Phrase, *attributes: tuple[str, str]) -> tuple[tuple[str, float], ...]:
    """Marks that the matcher turns into the agreement of value, name and type."""
    return tuple((f"~{kind}|{value}|{phrase.name}", 1.0) for kind, value in attributes)


def _ask(chain: Chain, kind: str, alternatives: Any) -> Outcome:
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
    yield from _ask((*phrase.chain, ("relate", f"{name},{predicate},s")), "name", alternatives)


def who_related(values: Sequence[Any]) -> Outcome:
    """`What is the man holding`: wh, phrase, predicate, alternatives."""
    subject, phrase, predicate, alternatives = values
    name = "?" if alternatives is not None else _SUBJECTS[subject]
    yield from _ask((*phrase.chain, ("relate", f"{name},{predicate},o")), "name", alternatives)


def what_related_front(values: Sequence[Any]) -> Outcome:
    """`On what is the backpack hanging`: preposition, wh, phrase, verb, alternatives."""
    preposition, subject, phrase, verb, alternatives = values
    relate = ("relate", f"{_SUBJECTS[subject]},{verb} {preposition},o")
    yield from _ask((*phrase.chain, relate), "name", alternatives)


def related_what(values: Sequence[Any]) -> Outcome:
    """`In front of what is the man`: predicate, wh, phrase, alternatives."""
    predicate, subject, phrase, alternatives = values
    relate = ("relate", f"{_SUBJECTS[subject]},{predicate},o")
    yield from _ask((*phrase.chain, relate), "name", alternatives)


def related_category(values: Sequence[Any]) -> Outcome:
    """`Behind what vehicles are the buildings`: predicate, category, phrase, alternatives."""
    predicate, category, phrase, alternatives = values
    relate = ("relate", f"{category},{predicate},o")
    yield from _ask((*phrase.chain, relate), "name", alternatives)


def category_relates(values: Sequence[Any]) -> Outcome:
    """`What animal is on the grass`: category, predicate, phrase, alternatives."""
    category, predicate, phrase, alternatives = values
    relate = ("relate", f"{category},{predicate},s")
    yield from _ask((*phrase.chain, relate), "name", alternatives)


def category_same(values: Sequence[Any]) -> Outcome:
    """`What device has the same color as the cup`: category, type, phrase, alternatives."""
    category, kind, phrase, alternatives = values
    relate = ("relate", f"{category},same {kind},_")
    yield from _ask((*phrase.chain, relate), "name", alternatives)


def category_related(values: Sequence[Any]) -> Outcome:
    """`What furniture is the man sitting on`: category, phrase, predicate, alternatives."""
    category, phrase, predicate, alternatives = values
    relate = ("relate", f"{category},{predicate},o")
    yield from _ask((*phrase.chain, relate), "name", alternatives)


def category_filtered(values: Sequence[Any]) -> Outcome:
    """`What animal is brown`: category, filters, alternatives."""
    category, filters, alternatives = values
    yield from _ask((("select", category), *filters), "name", alternatives)


def category_alone(values: Sequence[Any]) -> Outcome:
    """`What animal is this`: category, alternatives."""
    category, alternatives = values
    yield from _ask((("select", category),), "name", alternatives)


def thing_alone(values: Sequence[Any]) -> Outcome:
    """`What is this`: alternatives."""
    yield from _ask((("select", "this"),), "name", values[0])


def phrase_name(values: Sequence[Any]) -> Outcome:
    """`What is the animal in front of the fence called`: phrase, alternatives."""
    phrase, alternatives = values
    yield from _ask(phrase.chain, "name", alternatives)


def person_doing(values: Sequence[Any]) -> Outcome:
    """`Who is sitting`: filters, alternatives."""
    filters, alternatives = values
    yield from _ask((("select", "person"), *filters), "name", alternatives)


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
    yield from _ask((*phrase.chain, relate), "name", alternatives)


_NAME = ("query", "name")

# -- questions for an attribute -----------------------------------------------------------


def attribute_of(values: Sequence[Any]) -> Outcome:
    """`What color is the cup`: type, phrase, alternatives."""
    kind, phrase, alternatives = values
    yield from _ask(phrase.chain, kind, alternatives)


def material_of(values: Sequence[Any]) -> Outcome:
    """`What is the cup made of`: phrase, alternatives."""
    phrase, alternatives = values
    yield from _ask(phrase.chain, "material", alternatives)


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


def scene_query(kind: str) -> Builder:
    """`Which place is it`: alternatives."""

    def build(values: Sequence[Any]) -> Outcome:
        yield from _ask((("select", "scene"),), kind, _as_attributes(values[0], kind))

    return build


def _as_attributes(alternatives: Any, kind: str) -> Any:
    """Names as values of a type (`a beach or a field` are places)."""
    if alternatives is not None and alternatives[0] == "name":
        return ("attribute", (kind, alternatives[1]), (kind, alternatives[2]))
    return alternatives


# -- yes or no, and choices ---------------------------------------------------------------


def verify(values: Sequence[Any]) -> Outcome:
    """`Is the cup red`: phrase, attribute."""
    phrase, attribute = values
    step = (typed("verify", attribute[0]), attribute[1])
    yield on_last(phrase.chain, step), _agree(phrase, attribute)


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
    yield tuple(steps), _agree(phrase, *attributes)


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
        yield on_last(phrase.chain, step), _agree(phrase, first, second)


def verify_relation(values: Sequence[Any]) -> Outcome:
    """`Is the man wearing a hat`: phrase, predicate, phrase."""
    first, predicate, second = values
    step = ("verify rel", f"{second.name},{predicate},o")
    yield on_last(first.chain, step), (("verify:o", 1.0), *_relates(first, predicate))
    step = ("verify rel", f"{_PERSON_OF.get(first.name, first.name)},{predicate},s")
    features = (("verify:s", 1.0), (f"verify:s:{predicate}", 1.0), (f"verify:s:{first.bare:d}", 1))
    yield on_last(second.chain, step), (*features, *_relates(first, predicate))


def _relates(first: Phrase, predicate: str) -> tuple[tuple[str, float], ...]:
    """A mark that the matcher turns into the class of the relation's subject."""
    return ((f"~~{predicate.partition(' ')[0]}|{first.name}", 1.0),)


def choose_relation(values: Sequence[Any]) -> Outcome:
    """`Is the cup to the left or to the right of the man`: phrase, (predicate, predicate), phrase."""
    first, (one, other), second = values
    name = _PERSON_OF.get(first.name, first.name)
    yield on_last(second.chain, ("choose rel", f"{name},{one}|{other},s")), ()


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
    yield on_last((("select", "scene"),), ("verify place", values[0])), ()


def place_choose(values: Sequence[Any]) -> Outcome:
    """`Is this an image of a park or a farm`: name, name."""
    step = ("choose place", f"{values[0]}|{values[1]}")
    yield on_last((("select", "scene"),), step), ()


# -- existence ----------------------------------------------------------------------------

_EXIST = ("exist", "?")


def exist(values: Sequence[Any]) -> Outcome:
    """`Is there a cup on the table`: phrase."""
    phrase: Phrase = values[0]
    yield on_last(phrase.chain, _EXIST), ()


def exist_two(values: Sequence[Any]) -> Outcome:
    """`Are there cats or dogs that are black`: (conjunction, name, filters, name, filters)."""
    conjunction, first, filters, second, others = values[0]
    steps = linear((("select", first), *filters, _EXIST))
    middle = len(steps)
    steps += linear((("select", second), *others, _EXIST), middle)
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


def filters_of(attributes: Sequence[tuple[str, str]], negated: bool = False) -> Chain:
    """Filter steps of attributes."""
    return tuple(filter_step(attribute, negated) for attribute in attributes)
