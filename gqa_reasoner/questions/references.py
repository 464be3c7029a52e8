"""Definite descriptions: phrases that pick exactly one object, and the programs that find it.

The grammar follows GQA's: an optional attribute before or after the noun ("the red bag", "the bag
that looks red", "the bag that is not small"), a position ("on the left side of the picture"), a
relation with either end asked for ("the man that is holding the bag", "the bag the man is
holding"), a possessive ("the man's hair"), nested. In the program the innermost phrase comes first
and a filter follows the relation of its own noun.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from gqa_reasoner.questions.draft import Fact, Reference
from gqa_reasoner.questions.english import (
    is_plural,
    mark,
    pluralize,
    possessive,
)
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.modifiers import (
    POSSESSIVE,
    agree,
    filter_step,
    relation_clause,
    value_after,
    value_before,
)
from gqa_reasoner.questions.phrases import PICTURES, location_phrase
from gqa_reasoner.questions.view import SPATIAL, SceneView
from gqa_reasoner.questions.word_tables import (
    COMMON_VALUES,
    FEMALE,
    MALE,
    REFERENCE_CATEGORIES,
    UNTYPED_NEGATIONS,
)

__all__ = ["Referrer"]


class Referrer:
    """Makes references to the objects of one scene."""

    def __init__(
        self, view: SceneView, rng: random.Random, *, strict: bool = True, quirks: bool = False
    ) -> None:
        self.view = view
        self.rng = rng
        self.strict = strict
        self.quirks = quirks
        self.lexicon: Lexicon = view.lexicon

    def refer(
        self,
        place: int,
        *,
        depth: int = 1,
        avoid: frozenset[int] = frozenset(),
        tries: int = 6,
        plain: float = 0.3,
        category: float = 0.2,
        pronoun: float = 0.0,
        hide: frozenset[str] = frozenset(),
    ) -> Reference | None:
        """A reference to the object at `place`, or `None` if none of the tries is unambiguous.

        Args:
            place: position of the object.
            depth: relations that the phrase may nest.
            avoid: objects that the phrase may not mention.
            tries: phrases to try.
            plain: probability of trying the noun alone first.
            category: probability of a category as the noun.
            pronoun: probability of "he" or "she" where one person could be meant.
            hide: attributes the phrase may not mention.
        """
        rng = self.rng
        if pronoun and rng.random() < pronoun:
            found = self._pronoun(place)
            if found is not None:
                return found
        for attempt in range(tries):
            noun, program = self._noun(place, category if attempt < tries - 2 else 0.0)
            pool = self.view.select(program)
            if self.strict and place not in pool:
                continue
            unique = len(pool) == 1 or not self.strict
            if unique and rng.random() < (plain if attempt == 0 else 0.5):
                return self._plain(place, noun, program)
            maker = self._maker(place, depth)
            found = maker(place, noun, program, pool, depth, avoid | {place}, hide)
            if found is not None:
                return found
            if unique and attempt >= 2:
                return self._plain(place, noun, program)
        return None

    def _maker(self, place: int, depth: int) -> Callable[..., Reference | None]:
        draw = self.rng.random()
        if depth > 0 and draw < 0.45 and (self.view.out[place] or self.view.into[place]):
            return self._by_relation
        if draw < 0.55 and self.view.attributes[place]:
            return self._by_late_attribute
        if draw < 0.63:
            return self._by_position
        return self._by_attribute

    def _noun(self, place: int, category: float) -> tuple[str, str]:
        """The noun as written, and as the program has it."""
        rng, name = self.rng, self.view.names[place]
        draw = rng.random()
        if category and rng.random() < 0.04 and not self.lexicon.is_person(name):
            word = rng.choice(("object", "object", "thing"))
            return (pluralize(word) if is_plural(name) else word), "object"
        if not self.strict and category and self.lexicon.is_person(name):
            category = max(category, 0.4)
        if draw < category:
            found = [word for word in self.lexicon.categories(name) if word in REFERENCE_CATEGORIES]
            if found:
                word = found[0] if len(found) == 1 else rng.choice(found)
                ways = self.lexicon.counted(word)
                written = rng.choice(ways)[0]
                plural = is_plural(name)
                return (pluralize(written) if plural else written), word
        if draw > 0.85:
            surfaces = self.lexicon.surfaces(name)
            if surfaces:
                return rng.choice(surfaces), name
        return name, name

    def _finish(
        self,
        place: int,
        noun: str,
        before: str,
        after: str,
        steps: list[tuple[str, str]],
        facts: set[Fact],
        *,
        values: frozenset[str] = frozenset(),
        mentioned: frozenset[int] = frozenset(),
    ) -> Reference:
        identity = self.view.ids[place]
        core = mark(f"{before} {noun}".strip(), identity)
        if after:
            core = f"{core} {after}"
        return Reference(
            place=place,
            object_id=identity,
            noun=noun,
            plural=is_plural(noun),
            text=f"the {core}",
            steps=steps,
            facts={*facts, ("named", identity, self.view.names[place])},
            bare=not before and not after,
            core=core,
            values=values,
            mentioned=mentioned | {place},
        )

    def _plain(self, place: int, noun: str, program: str) -> Reference:
        identity = self.view.ids[place]
        reference = self._finish(
            place, noun, "", "", [("select", f"{program} ({identity})")], set()
        )
        draw = self.rng.random()
        if 0.05 <= draw < 0.07:
            shown = f"that {'are' if reference.plural else 'is'} shown " if draw < 0.055 else ""
            reference.text += f" {shown}in the {self.rng.choice(PICTURES)}"
            reference.bare = False
        if draw < 0.05:
            pair = ("these", "those") if reference.plural else ("this", "that")
            reference.text = f"{pair[draw > 0.025]} {reference.core}"
        return reference

    def _pronoun(self, place: int) -> Reference | None:
        name = self.view.names[place]
        persons = self.view.select("person")
        if self.strict and (len(persons) != 1 or place not in persons):
            return None
        word = "she" if name in FEMALE else "he" if name in MALE else None
        if word is None:
            return None
        identity = self.view.ids[place]
        facts: set[Fact] = {("named", identity, name)}
        return Reference(
            place, identity, word, False, mark(word, identity),
            [("select", f"{word} ({identity})")], facts, pronoun=True, core=word,
            mentioned=frozenset((place,)),
        )  # fmt: skip

    def _choose_value(self, place: int, hide: frozenset[str]) -> tuple[str, str] | None:
        """An attribute of the object as (type, value)."""
        values = [value for value in self.view.attributes[place] if value not in hide]
        if not values:
            return None
        value = self.rng.choice(values)
        return self.lexicon.type_of(value, self.view.names[place]), value

    def _by_attribute(
        self, place: int, noun: str, program: str, pool: frozenset[int], depth: int,
        avoid: frozenset[int], hide: frozenset[str], base: list[tuple[str, str]] | None = None,
        facts: set[Fact] | None = None, tail: str = "", mentioned: frozenset[int] = frozenset(),
    ) -> Reference | None:  # fmt: skip
        """ "the red bag"; with `base` and `tail` after a relation: "the red bag on the table"."""
        chosen = self._choose_value(place, hide)
        if chosen is None:
            return None
        attribute_type, value = chosen
        if self.strict and len(self.view.filter(pool, value)) != 1:
            return None
        before, after = value_before(self.lexicon, attribute_type, value, self.rng)
        if after and tail:
            before, after = "", tail
            return None
        identity = self.view.ids[place]
        steps = [*(base or [("select", f"{program} ({identity})")])]
        steps.append(filter_step(attribute_type, value))
        after = agree(after, is_plural(noun), self.rng) or tail
        known = (facts or set()) | {("value", identity, attribute_type, value)}
        return self._finish(
            place, noun, before, after, steps, known,
            values=frozenset((value,)), mentioned=mentioned,
        )  # fmt: skip

    def _by_late_attribute(
        self, place: int, noun: str, program: str, pool: frozenset[int], depth: int,
        avoid: frozenset[int], hide: frozenset[str],
    ) -> Reference | None:  # fmt: skip
        """ "the bag that looks red", "... is not small", "the bag that is red and blue"."""
        rng, identity = self.rng, self.view.ids[place]
        chosen = self._choose_value(place, hide)
        if chosen is None:
            return None
        attribute_type, value = chosen
        plural = is_plural(noun)
        verb = "are" if plural else "is"
        select = ("select", f"{program} ({identity})")
        draw = rng.random()
        if draw < 0.35:
            return self._by_negation(place, noun, select, pool, attribute_type, value)
        colors = self.view.typed[place].get("color", ())
        if draw < 0.55 and len(colors) > 1 and not set(colors[:2]) & hide:
            first, second = colors[:2]
            if self.strict and len(self.view.filter(self.view.filter(pool, first), second)) != 1:
                return None
            steps = [select, ("filter color", first), ("filter color", second)]
            words = (first, second) if rng.random() < 0.7 else (second, first)
            look = rng.choice((verb, "look" if plural else "looks"))
            after = f"that {look} {words[0]} and {words[1]}"
            facts: set[Fact] = {("value", identity, "color", color) for color in (first, second)}
            return self._finish(
                place, noun, "", after, steps, facts, values=frozenset((first, second))
            )
        if self.strict and len(self.view.filter(pool, value)) != 1:
            return None
        after = agree(value_after(self.lexicon, attribute_type, value, rng), plural, rng)
        steps = [select, filter_step(attribute_type, value)]
        facts = {("value", identity, attribute_type, value)}
        return self._finish(place, noun, "", after, steps, facts, values=frozenset((value,)))

    def _by_negation(
        self, place: int, noun: str, select: tuple[str, str], pool: frozenset[int],
        attribute_type: str, value: str,
    ) -> Reference | None:  # fmt: skip
        rng = self.rng
        rivals = self.lexicon.rivals(value, attribute_type)
        if self.strict:
            others = [
                other
                for other in rivals
                if all(other in self.view.attributes[item] for item in pool if item != place)
                and other not in self.view.attributes[place]
            ]
            if len(pool) == 1:
                others = [word for word in others if word in COMMON_VALUES] or others[:3]
            if not others:
                return None
            rivals = tuple(others)
        if not rivals or attribute_type == "material":
            return None
        other = rng.choice(rivals)
        verb = "are" if is_plural(noun) else "is"
        operation = "filter" if other in UNTYPED_NEGATIONS else filter_step(attribute_type, "")[0]
        word = other
        synonyms = self.lexicon.adjective_synonyms(other)
        if synonyms and rng.random() < 0.3:
            word = rng.choice(synonyms)
        identity = self.view.ids[place]
        facts: set[Fact] = {("value", identity, attribute_type, value)}
        return self._finish(
            place, noun, "", f"that {verb} not {word}", [select, (operation, f"not({other})")],
            facts, values=frozenset((value, other)),
        )  # fmt: skip

    def _by_position(
        self, place: int, noun: str, program: str, pool: frozenset[int], depth: int,
        avoid: frozenset[int], hide: frozenset[str],
    ) -> Reference | None:  # fmt: skip
        """ "the bag on the left side of the picture"."""
        rng = self.rng
        values = ["left", "right", "left", "right", "top", "bottom"]
        if not self.strict:
            values += ["middle", "middle"]
        value = rng.choice(values)
        if value in hide:
            return None
        if self.strict:
            if self.view.position(place, value) is not True:
                return None
            if any(self.view.position(item, value) is not False for item in pool if item != place):
                return None
        kind = "hposition" if value in ("left", "right") else "vposition"
        identity = self.view.ids[place]
        steps = [("select", f"{program} ({identity})"), (f"filter {kind}", value)]
        after = location_phrase(value, rng)
        if rng.random() < 0.15:
            after = f"that {'are' if is_plural(noun) else 'is'} {after}"
        facts: set[Fact] = {("value", identity, kind, value)}
        return self._finish(place, noun, "", after, steps, facts, values=frozenset((value,)))

    def _by_relation(
        self, place: int, noun: str, program: str, pool: frozenset[int], depth: int,
        avoid: frozenset[int], hide: frozenset[str],
    ) -> Reference | None:  # fmt: skip
        """ "the man that is holding the bag", "the bag the man is holding", "the man's bag"."""
        rng, view = self.rng, self.view
        role = "s" if rng.random() < 0.75 else "o"
        links = view.out[place] if role == "s" else view.into[place]
        links = [link for link in links if link[1] not in avoid]
        if not links:
            return None
        predicate, other = self._pick_link(links)
        if predicate == "of" and role == "o":
            return None
        inner = self.refer(
            other,
            depth=depth - 1,
            avoid=avoid,
            tries=3,
            plain=0.75,
            category=0.12,
            pronoun=0.02 if predicate != "of" else 0.1,
        )
        if inner is None:
            return None
        target = view.relate(frozenset((other,)), program, predicate, role)
        identity = view.ids[place]
        steps = [*inner.steps, ("relate", f"{program},{predicate},{role} ({identity})")]
        edge = (identity, predicate, view.ids[other])
        if role == "o":
            edge = (view.ids[other], predicate, identity)
        facts = {*inner.facts, ("relation", *edge)}
        if role == "o" and not inner.pronoun and "that" in inner.text and rng.random() < 0.7:
            return None
        person = self.lexicon.is_person(view.names[place])
        tail = relation_clause(noun, person, predicate, role, inner, rng, quirks=self.quirks)
        if tail is None:
            return None
        if tail == POSSESSIVE:
            return self._owned(place, noun, target, inner, steps, facts)
        if len(target) != 1 or rng.random() < 0.2:
            found = self._by_attribute(
                place, noun, program, target, depth, avoid, hide, steps, facts, tail,
                inner.mentioned,
            )  # fmt: skip
            if found is not None or (len(target) != 1 and self.strict):
                return found
        return self._finish(place, noun, "", tail, steps, facts, mentioned=inner.mentioned)

    def _pick_link(self, links: list[tuple[str, int]]) -> tuple[str, int]:
        """A relation, composed ones before left and right, which every pair has."""
        if self.rng.random() < (0.7 if self.strict else 0.35):
            composed = [link for link in links if link[0] not in SPATIAL]
            if composed:
                return self.rng.choice(composed)
        return self.rng.choice(links)

    def _owned(
        self, place: int, noun: str, target: frozenset[int], inner: Reference,
        steps: list[tuple[str, str]], facts: set[Fact],
    ) -> Reference | None:  # fmt: skip
        """ "the man's hair", "his tail"."""
        if self.strict and len(target) != 1:
            return None
        if inner.pronoun:
            owner = mark("his" if inner.noun == "he" else "her", inner.object_id)
        else:
            owner = inner.text.replace(inner.noun + "\x04", possessive(inner.noun) + "\x04")
        found = self._finish(place, noun, "", "", steps, facts, mentioned=inner.mentioned)
        found.text, found.bare = f"{owner} {found.core}", False
        return found
