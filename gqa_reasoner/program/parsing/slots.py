"""What the elements of a question form match.

Legend: an element matches at a position and yields (end, value, score, features); value `SKIP`
means that the element gives the form's builder nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gqa_reasoner.program.operations import COMPARISONS
from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.chart import Features, Item
from gqa_reasoner.program.parsing.phrases import Chain, PhraseChart, filter_step
from gqa_reasoner.program.parsing.small_slots import (
    SKIP,
    Match,
    Slot,
    can_do,
    indoors,
    maybe_image,
    maybe_think,
    other_side,
    passive,
    scene_rest,
    think,
)

__all__ = ["SKIP", "SLOTS", "Match", "Slot"]


def _flat(chart: PhraseChart, value: Any, end: int, *features: tuple[str, float]) -> Match:
    item = chart.item(value, features)
    return end, value, item.score, item.features


def phrase(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A noun phrase → Phrase."""
    for end, items in chart.phrases(start).items():
        for item in items:
            yield end, item.value, item.score, item.features


def phrase_exist(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A noun phrase whose existence is asked → Phrase."""
    begin = start + (chart.word(start) in ("either", "both"))
    for end, items in chart.phrases(begin, "x").items():
        for item in items:
            yield end, item.value, item.score, item.features


def category(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A category without determiner (`kind of furniture`) → name."""
    for end, item in chart.nouns(start, "c"):
        yield end, item.value, item.score, item.features


def place_name(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A place's name with an optional determiner → name (as it stands)."""
    begin = start + (chart.word(start) in words.DETERMINERS)
    for end, item in chart.nouns(begin, "p"):
        yield end, item.value, item.score, item.features


def known_place(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A place's name that the ontology has as one (`Is this a kitchen`, not `Is this a dog`)."""
    vocabulary = chart.vocabulary
    for match in place_name(chart, start):
        types = vocabulary.attribute_types(match[1])
        if vocabulary.noun_class(match[1]) == "place" or {"place", "room"} & set(types):
            yield match


def option(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A name offered as an answer (`a bed`, `the bed`) → name."""
    for base in chart.bases(start, "o"):
        if not base.filters:
            yield base.end, base.name, base.score, base.features


def described(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A name with exactly one adjective → (name, filters)."""
    for base in chart.bases(start, "d"):
        if len(base.filters) == 1:
            yield base.end, (base.name, base.filters), base.score, base.features


def attribute(chart: PhraseChart, start: int) -> Iterator[Match]:
    """An attribute, perhaps with its type (`red in color`) → (type, value)."""
    for end, item in chart.attributes(start):
        yield end, item.value, item.score, item.features
        kind = words.ATTRIBUTE_NOUNS.get(chart.word(end + 1))
        if chart.word(end) == "in" and kind == item.value[0]:
            yield end + 2, item.value, item.score, item.features


def position(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`on the left side` → (type, value)."""
    for end, item in chart.positions(start):
        yield end, item.value, item.score, item.features


def position_short(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`(the) left (side)` as an alternative → (type, value)."""
    yield from position(chart, start)
    place = start + (chart.word(start) == "the")
    found = words.POSITIONS.get(chart.word(place))
    if found:
        end = place + 1 + (chart.word(place + 1) in ("side", "part"))
        yield _flat(chart, found, end, ("position:short", 1.0))
        for stop in chart.image_phrases(end):
            yield _flat(chart, found, stop, ("position:short", 1.0))


def material(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`made of wood` → ("material", value)."""
    for end, item in chart.materials(start):
        yield end, item.value, item.score, item.features


def material_name(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`wood` → ("material", value)."""
    for end, item in chart.material_names(start):
        yield end, item.value, item.score, item.features


def predicative(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`not brown`, `made of wood`, `on the left` → filter steps."""
    negated = chart.word(start) == "not"
    begin = start + negated
    readings = [*chart.attributes(begin), *chart.materials(begin), *chart.positions(begin)]
    for end, item in list(readings):
        if (
            chart.word(end) == "in"
            and words.ATTRIBUTE_NOUNS.get(chart.word(end + 1)) == (item.value[0])
        ):
            readings.append((end + 2, item))
    for end, plain in readings:
        item = plain
        if negated:
            more = chart.item(None, chart.negation(*plain.value))
            item = Item(plain.score + more.score, plain.value, plain.features + more.features)
        steps: Chain = (filter_step(item.value, negated),)
        yield end, steps, item.score, item.features
        if chart.word(end) == "and" and not negated:
            for stop, other in chart.attributes(end + 1):
                both = (*steps, filter_step(other.value))
                yield stop, both, item.score + other.score, item.features + other.features


def relation(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A relation phrase → predicate."""
    for end, item in chart.relations(start):
        yield end, item.value, item.score, item.features


def relation_base(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A relation phrase whose verb is in the base form → predicate."""
    for end, item in chart.relations(start, base=True):
        yield end, item.value, item.score, item.features


def preposition(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A preposition → its words."""
    for end, item in chart.prepositions(start):
        yield end, item.value, item.score, item.features


def verb(chart: PhraseChart, start: int) -> Iterator[Match]:
    """A participle on its own → itself."""
    if chart.word(start).endswith("ing"):
        yield start + 1, chart.word(start), 0.0, ()


def relation_pair(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`to the left or to the right of`, `in front or behind` → (predicate, predicate)."""
    sides = {"left": "to the left of", "right": "to the right of"}
    tokens = chart.tokens[start : start + 12]
    if "or" not in tokens:
        return
    text = " ".join(tokens)
    for first, second in (("left", "right"), ("right", "left")):
        for of in ("", "of "):
            for lead in ("to the ", "on the ", "the ", ""):
                for other in ("to the ", "on the ", "the ", ""):
                    for side in ("", "side "):
                        form = f"{lead}{first} {side}{of}or {other}{second} {side}of "
                        if text.startswith(form):
                            value = (sides[first], sides[second])
                            yield _flat(chart, value, start + len(form.split()), ("pair", 1.0))
    for middle, one in chart.relations(start):
        if chart.word(middle) == "or":
            for end, two in chart.relations(middle + 1):
                pair = tuple(
                    "in front of" if x == "in front" else x for x in (one.value, two.value)
                )
                if pair[0] != pair[1]:
                    yield end, pair, one.score + two.score, one.features + two.features


def attribute_type(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`(kind of) color` → type."""
    begin = start
    if chart.word(begin) in words.KIND_NOUNS and chart.word(begin + 1) == "of":
        begin += 2
    for length in (2, 1):
        name = " ".join(chart.tokens[begin : begin + length])
        kind = words.ATTRIBUTE_NOUNS.get(name)
        if kind and begin + length <= chart.size:
            yield begin + length, kind, 0.0, ()
            return


def degree(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`large` after `how` → type."""
    kind = words.DEGREE_TYPES.get(chart.word(start))
    if kind:
        yield start + 1, kind, 0.0, ()


def same_as(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`made of the same material as` → type."""
    found = chart.same_as(start)
    if found:
        kind, end = found
        yield _flat(chart, kind, end, ("same as", 1.0))


def comparison(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`bigger`, `less healthy`, `the older one` → the comparison's name."""
    begin = start + (chart.word(start) == "the")
    for length in (2, 1):
        name = " ".join(chart.tokens[begin : begin + length])
        end = begin + length
        if name in COMPARISONS and end <= chart.size:
            yield end + (chart.word(end) == "one"), name, 0.0, ()
            return


def subject(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`who`, `what` → itself."""
    if chart.word(start) in ("who", "what", "whom"):
        yield start + 1, chart.word(start), 0.0, ()


def alternatives(chart: PhraseChart, start: int) -> Iterator[Match]:
    """Nothing at the end, or `, yellow or brown` → None or (form, first, second)."""
    if start == chart.size:
        yield start, None, 0.0, ()
        return
    begin = start + (chart.word(start) == ",")
    if chart.word(begin) in words.BE and chart.word(begin + 1) in ("it", "they", "he", "she"):
        begin += 2
    forms: tuple[tuple[str, Slot], ...] = (
        ("attribute", attribute),
        ("attribute", position_short),
        ("attribute", material),
        ("name", option),
    )
    for form, slot in forms:
        for middle, first, score, features in slot(chart, begin):
            after = middle + (chart.word(middle) == ",")
            if chart.word(after) != "or":
                continue
            after += 1
            if chart.word(after) in ("maybe", "perhaps", "rather"):
                after += 1
            if chart.word(after) in words.BE and chart.word(after + 1) in ("it", "they"):
                after += 2
            for end, second, other, more in slot(chart, after):
                if end == chart.size and first != second:
                    yield end, (form, first, second), score + other, features + more


def exist_pair(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`black cats or dogs that are small` → (conjunction, name, filters, name, filters)."""
    both = chart.word(start) == "both"
    begin = start + (chart.word(start) in ("either", "both"))
    for first in chart.bases(begin, "x"):
        conjunction = chart.word(first.end)
        if conjunction not in ("or", "and"):
            continue
        for second in chart.bases(first.end + 1, "x"):
            for end, extra, score, features in _shared(chart, second.end):
                filters = first.filters + extra
                others = (second.filters or first.filters) + extra
                value = (conjunction, first.name, filters, second.name, others)
                mark = chart.item(None, ((f"pair:{conjunction}:{both:d}", 1.0),))
                yield (
                    end,
                    value,
                    first.score + second.score + score + mark.score,
                    first.features + second.features + features + mark.features,
                )


def _shared(chart: PhraseChart, start: int) -> Iterator[tuple[int, Chain, float, Features]]:
    yield start, (), 0.0, ()
    for modifier in chart.modifiers(start):
        if modifier.relation is None:
            yield modifier.end, modifier.filters, modifier.score, modifier.features
            for end in chart.image_phrases(modifier.end):
                yield end, modifier.filters, modifier.score, modifier.features


def knowledge(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`can be used for sitting` → (`UsedFor`, `sitting`)."""
    for end, item in chart.knowledge(start):
        yield end, item.value, item.score, item.features


def tail(chart: PhraseChart, start: int) -> Iterator[Match]:
    """The rest of the question as a concept's name → its words, without an article."""
    found = chart.tail(start, chart.size)
    if found is not None:
        yield _flat(chart, found, chart.size, ("tail", 1.0))


def thing(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`anything`, `something`, `object` → `object`."""
    begin = start + (chart.word(start) in words.DETERMINERS)
    if chart.word(begin) in words.THINGS:
        yield begin + 1, "object", 0.0, ()


SLOTS: dict[str, Slot] = {
    "<np>": phrase,
    "<npx>": phrase_exist,
    "<cat>": category,
    "<place>": place_name,
    "<place!>": known_place,
    "<option>": option,
    "<described>": described,
    "<attr>": attribute,
    "<pos>": position,
    "<pos2>": position_short,
    "<made>": material,
    "<mat>": material_name,
    "<pred>": predicative,
    "<rel>": relation,
    "<relb>": relation_base,
    "<prep>": preposition,
    "<verb>": verb,
    "<relpair>": relation_pair,
    "<type>": attribute_type,
    "<degree>": degree,
    "<same>": same_as,
    "<comp>": comparison,
    "<who>": subject,
    "<think>": maybe_think,
    "<think!>": think,
    "<img>": maybe_image,
    "<rest>": scene_rest,
    "<alts>": alternatives,
    "<pair>": exist_pair,
    "<knows>": knowledge,
    "<use>": can_do,
    "<passive>": passive,
    "<in/out>": indoors,
    "<side2>": other_side,
    "<tail>": tail,
    "<thing>": thing,
}
