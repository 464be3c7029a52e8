"""Noun phrases: `the small girl that is holding a hamburger` → a chain of steps.

Legend: a chain is a tuple of (operation, argument) pairs, each working on the one before; a noun
phrase's reading is `Item(score, Phrase(chain, name, …), features)`. A phrase is read as
determiner, adjectives, name, then modifiers; one modifier may relate it to another noun phrase,
whose chain then comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.chart import Features, Item
from gqa_reasoner.program.parsing.morphology import singular
from gqa_reasoner.program.parsing.small_phrases import SmallPhraseChart

__all__ = ["Chain", "Phrase", "PhraseChart", "filter_step"]

Chain = tuple[tuple[str, str], ...]
Match = tuple[int, Any, float, Features]
Slot = Callable[["PhraseChart", int], Iterator[Match]]
_OWNERS = {"his": "he", "her": "she", "their": "they", "its": "it"}
_READINGS = 5
_LONGEST_NAME = 4


class Phrase(NamedTuple):
    """Value of a noun phrase's reading."""

    chain: Chain
    name: str
    filters: Chain
    bare: bool
    """Whether it has no modifiers after the name and no relation."""


class _Modifier(NamedTuple):
    end: int
    kind: str
    filters: Chain
    relation: tuple[str, str, Chain] | None
    score: float
    features: Features


class _Base(NamedTuple):
    end: int
    name: str
    filters: Chain
    score: float
    features: Features


def filter_step(attribute: tuple[str, str], negated: bool = False) -> tuple[str, str]:
    """The filter step of (type, value): `filter color: red`, `filter: not(open)`."""
    kind, value = attribute
    return (f"filter {kind}" if kind else "filter", f"not({value})" if negated else value)


class PhraseChart(SmallPhraseChart):
    """Adds noun phrases and their modifiers to the chart."""

    def matches(self, name: str, start: int, slot: Slot) -> list[Match]:
        """What a slot matches at a position, computed once."""
        key = ("slot", name, start)
        if key not in self._memo:
            self._memo[key] = list(slot(self, start))
        return self._memo[key]

    # -- names with adjectives --------------------------------------------------------------

    def nouns(self, start: int, context: str) -> list[tuple[int, Item]]:
        """Names at `start`, with `piece of …`, `kind of …` and `… item` taken off."""
        key = ("nouns", start, context)
        if key not in self._memo:
            self._memo[key] = list(self._nouns(start, context))
        return self._memo[key]

    def _nouns(self, start: int, context: str) -> Iterator[tuple[int, Item]]:
        first = self.word(start)
        unit = first in words.UNIT_NOUNS or first in words.KIND_NOUNS
        if unit and self.word(start + 1) == "of":
            skip = start + 2 + (self.word(start + 2) in words.DETERMINERS)
            for end, item in self.nouns(skip, context):
                bonus = self.item(item.value, (("noun:unit", 1.0),))
                yield (
                    end,
                    Item(item.score + bonus.score, item.value, item.features + bonus.features),
                )
            return
        for end in range(start + 1, min(start + _LONGEST_NAME, self.size) + 1):
            inside = self.tokens[start:end]
            if any(token in words.BOUNDARY or not _is_word(token) for token in inside):
                surface = " ".join(inside)
                if not (
                    self.lexicon.row("name", singular(surface)) or self.vocabulary.knows(surface)
                ):
                    if end - start >= _LONGEST_NAME - 1 or inside[0] in words.BOUNDARY:
                        break
                    continue
            for item in self.names(start, end, context):
                yield end, item
                if self.word(end) in words.UNIT_NOUNS:
                    yield end + 1, item

    def _adjectives(self, start: int, limit: int = 3) -> list[tuple[int, Chain, float, Features]]:
        """Sequences of at most `limit` adjectives before a name: (end, filters, score, …)."""
        found: list[tuple[int, Chain, float, Features]] = [(start, (), 0.0, ())]
        if limit == 0:
            return found
        for end, item in self.attributes(start):
            step = filter_step(item.value)
            rest = end + (self.word(end) in ("and", ","))
            for stop, more, score, features in self._adjectives(rest, limit - 1):
                if rest > end and stop == rest:
                    continue
                found.append((stop, (step, *more), item.score + score, item.features + features))
            if rest > end:
                found.append((end, (step,), item.score, item.features))
        return found

    def bases(self, start: int, context: str) -> list[_Base]:
        """Determiner, adjectives and name, no modifiers after it; best five for each end."""
        key = ("bases", start, context)
        if key in self._memo:
            return self._memo[key]
        readings: list[_Base] = []
        for end, item in self._pronouns(start, context):
            readings.append(_Base(end, item.value, (), item.score, item.features))
        for begin, determiner in self._determiner(start):
            lead = self.item(None, ((f"determiner:{determiner}:{context}", 1.0),))
            for middle, filters, score, features in self._adjectives(begin):
                for end, noun in self.nouns(middle, context):
                    pair = self._agreement(filters, noun.value)
                    total = lead.score + score + noun.score + pair.score
                    readings.append(
                        _Base(
                            end,
                            noun.value,
                            filters,
                            total,
                            lead.features + features + noun.features + pair.features,
                        )
                    )
        self._memo[key] = _best(readings, lambda base: (base.end, base.name, base.filters))
        return self._memo[key]

    def _pronouns(self, start: int, context: str) -> list[tuple[int, Item]]:
        if self.word(start) in ("he", "she", "him", "her", "they", "them", "it"):
            return [(start + 1, item) for item in self.names(start, start + 1, context)]
        name = words.INDEFINITE.get(self.word(start))
        if name:
            return [(start + 1, self.item(name, (("indefinite", 1.0),)))]
        return []

    def _determiner(self, start: int) -> list[tuple[int, str]]:
        found = [(start, "none")]
        position = start
        if self.word(position) in words.DETERMINERS:
            position += 1
            kind = "the" if self.word(start) in ("the", "this", "that", "these", "those") else "a"
            found = [(position, kind)]
        if self.word(position) in ("other", "two", "three", "various", "different", "several"):
            found.append((position + 1, found[0][1]))
        return found

    def _agreement(self, filters: Chain, name: str) -> Item:
        """How often these attribute values had these types with this name."""
        features: Features = ()
        for operation, value in filters:
            if operation == "filter knowledge":
                continue
            kind = operation.partition(" ")[2]
            if value.startswith("not("):
                features += self.negation(kind, value[4:-1])
            else:
                features += self.agreement(kind, value, name)
        if filters:
            features += ((f"adjectives:{len(filters)}", 1.0),)
        return self.item(None, features)

    # -- noun phrases -----------------------------------------------------------------------

    def phrases(self, start: int, context: str = "d") -> dict[int, list[Item]]:
        """Noun phrases at `start`: end → readings, best first."""
        key = ("phrases", start, context)
        if key in self._memo:
            return self._memo[key]
        found: dict[int, list[Item]] = {}
        self._memo[key] = found
        if start >= self.size:
            return found
        for end, item in self._owned(start, context):
            found.setdefault(end, []).append(item)
        for base in self.bases(start, context):
            for end, item in self._extended(
                base, base.end, None, base.filters, base.score, base.features, 0
            ):
                found.setdefault(end, []).append(item)
        for end in sorted(found):
            if self.word(end) == "'s":
                for stop, item in list(self._possessed(found[end], end + 1, context)):
                    found.setdefault(stop, []).append(item)
        for end, items in found.items():
            found[end] = _best(items, lambda item: item.value.chain)
        return found

    def _owned(self, start: int, context: str) -> Iterator[tuple[int, Item]]:
        """`his hair`: the owner's chain comes from the pronoun."""
        owner = _OWNERS.get(self.word(start))
        if owner:
            chain: Chain = (("select", owner),)
            mark: Features = (("owned", 1.0),)
            item = self.item(Phrase(chain, owner, (), True), mark)
            yield from self._possessed([item], start + 1, context)

    def _possessed(
        self, owners: list[Item], start: int, context: str
    ) -> Iterator[tuple[int, Item]]:
        for owner in owners[:2]:
            for base in self.bases(start, context):
                relation = ("of", "s", owner.value.chain)
                features = owner.features + base.features + (("possessive", 1.0),)
                score = owner.score + base.score + self.weights.get("possessive", 0.0)
                yield from self._extended(
                    base, base.end, relation, base.filters, score, features, 1
                )

    def _extended(
        self,
        base: _Base,
        end: int,
        relation: tuple[str, str, Chain] | None,
        filters: Chain,
        score: float,
        features: Features,
        depth: int,
    ) -> Iterator[tuple[int, Item]]:
        if relation is None:
            chain: Chain = (("select", base.name), *filters)
        else:
            predicate, direction, inner = relation
            chain = (*inner, ("relate", f"{base.name},{predicate},{direction}"), *filters)
        phrase = Phrase(chain, base.name, filters, depth == 0)
        yield end, Item(score, phrase, features)
        if depth >= 3:
            return
        for modifier in self.modifiers(end):
            if modifier.relation is not None and relation is not None:
                continue
            pair = self._attachment(base, relation, modifier)
            yield from self._extended(
                base,
                modifier.end,
                modifier.relation or relation,
                filters + modifier.filters,
                score + modifier.score + pair.score,
                features + modifier.features + pair.features,
                depth + 1,
            )

    def _attachment(
        self, base: _Base, relation: tuple[str, str, Chain] | None, modifier: _Modifier
    ) -> Item:
        """How well a modifier goes with the name (and with a relation already there)."""
        features = self._agreement(modifier.filters, base.name).features
        if relation is not None:
            features += ((f"late:{modifier.kind}", 1.0),)
        if modifier.relation is not None:
            predicate, direction, _ = modifier.relation
            group = self.vocabulary.noun_class(base.name)
            first = predicate.partition(" ")[0]
            form = "verb" if first.endswith("ing") else "other"
            features += (
                (f"relates:{form}:{direction}:{group}", 1.0),
                (f"relates:{first}:{direction}:{group}", 1.0),
            )
        return self.item(None, features)

    # -- modifiers after the name -----------------------------------------------------------

    def modifiers(self, start: int) -> list[_Modifier]:
        """What may follow a name at `start`, best six for each end."""
        key = ("modifiers", start)
        if key not in self._memo:
            found = [*self._plain_modifiers(start), *self._relative_modifiers(start)]
            self._memo[key] = _best(found, lambda m: (m.end, m.filters, m.relation))
        return self._memo[key]

    def _modifier(
        self,
        end: int,
        kind: str,
        parts: tuple[Item, ...] = (),
        filters: Chain = (),
        relation: tuple[str, str, Chain] | None = None,
    ) -> _Modifier:
        own = self.item(None, ((f"modifier:{kind}", 1.0),))
        score = own.score + sum(part.score for part in parts)
        features = own.features
        for part in parts:
            features += part.features
        return _Modifier(end, kind, filters, relation, score, features)

    def _plain_modifiers(self, start: int) -> Iterator[_Modifier]:
        for end in self.image_phrases(start):
            yield self._modifier(end, "image")
        for end, item in self.positions(start):
            yield self._modifier(end, "position", (item,), (filter_step(item.value),))
        for end, item in self.materials(start):
            yield self._modifier(end, "material", (item,), (filter_step(item.value),))
        yield from self._subject_relations(start, "reduced")
        yield from self._object_relations(start, "reduced")

    def _relative_modifiers(self, start: int) -> Iterator[_Modifier]:
        if self.word(start) not in words.RELATIVE:
            return
        yield from self._object_relations(start + 1, "that")
        yield from self._subject_relations(start + 1, "that")
        for end, item in self.knowledge(start + 1):
            step = ("filter knowledge", ",".join(item.value))
            yield self._modifier(end, "knowledge", (item,), (step,))
        after = start + 1
        verb = self.word(after)
        if verb in words.BE or verb in words.LOOK or verb in words.DO:
            after += 1
            negated = self.word(after) == "not"
            after += negated
            if self.word(after) in words.LOOK:
                verb, after = self.word(after), after + 1
            if self.word(after) == "to" and self.word(after + 1) == "be":
                after += 2
            elif self.word(after) == "like" and verb in words.LOOK:
                after += 1
            yield from self._predicative(after, negated)
            if verb in words.BE and not negated:
                yield from self._subject_relations(after, "that be")
        if verb in words.BE or verb in ("has", "have"):
            yield from self._same_relations(after if verb in words.BE else after + 1)

    def _predicative(self, start: int, negated: bool) -> Iterator[_Modifier]:
        kind = "not" if negated else "that"
        for end, item in self.positions(start):
            yield self._modifier(
                end, f"{kind} position", (item,), (filter_step(item.value, negated),)
            )
        for end, item in (*self.attributes(start), *self.materials(start)):
            step = filter_step(item.value, negated)
            yield self._modifier(end, f"{kind} attribute", (item,), (step,))
            if self.word(end) == "and" and not negated:
                for stop, other in self.attributes(end + 1):
                    yield self._modifier(
                        stop, "that two", (item, other), (step, filter_step(other.value))
                    )

    def _subject_relations(self, start: int, kind: str) -> Iterator[_Modifier]:
        """`(that is) holding a hamburger`: the name is the relation's subject."""
        for middle, predicate in self.relations(start):
            for end, items in self.phrases(middle).items():
                for item in items:
                    yield self._modifier(
                        end,
                        f"subject {kind}",
                        (predicate, item),
                        relation=(predicate.value, "s", item.value.chain),
                    )

    def _object_relations(self, start: int, kind: str) -> Iterator[_Modifier]:
        """`(that) the man is wearing`: the name is the relation's object."""
        first = self.word(start)
        named = first in words.DETERMINERS or first in words.PRONOUNS or first in _OWNERS
        if kind == "reduced" and not named:
            return
        for middle, items in self.phrases(start).items():
            helper = self.word(middle)
            begin = middle + (helper in words.BE or helper in words.DO)
            for end, predicate in self.relations(begin, helper in words.DO):
                if end < self.size and self.word(end) in words.DETERMINERS:
                    continue
                form = "be" if helper in words.BE else "verb"
                form += "" if named else " bare"
                for item in items:
                    yield self._modifier(
                        end,
                        f"object {kind} {form}",
                        (item, predicate),
                        relation=(predicate.value, "o", item.value.chain),
                    )

    def _same_relations(self, start: int) -> Iterator[_Modifier]:
        """`that is the same color as the umbrella`, `made of the same material as …`."""
        found = self.same_as(start)
        if found is None:
            return
        kind, after = found
        for end, items in self.phrases(after).items():
            for item in items:
                yield self._modifier(
                    end, "same", (item,), relation=(f"same {kind}", "_", item.value.chain)
                )


def _is_word(token: str) -> bool:
    return token.isascii() and token[0].isalnum()


def _best(readings, identity, count: int = _READINGS):  # type: ignore[no-untyped-def]
    """The best `count` readings with distinct identities for each end."""
    kept: dict[object, object] = {}
    for reading in sorted(readings, key=lambda reading: -reading.score):
        key = identity(reading)
        if key not in kept:
            kept[key] = reading
    per_end: dict[object, int] = {}
    out = []
    for reading in kept.values():
        end = getattr(reading, "end", None)
        per_end[end] = per_end.get(end, 0) + 1
        if per_end[end] <= count:
            out.append(reading)
    return out
