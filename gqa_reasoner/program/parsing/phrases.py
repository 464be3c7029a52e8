"""Noun phrases: `the small girl that is holding a hamburger` → a chain of steps.

Legend: a noun phrase's reading is `Item(score, Phrase(chain, name, …), features)`. A phrase is read
as determiner, adjectives and name (see `bases`), then modifiers; one modifier may relate it to
another noun phrase, whose chain then comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.bases import Base, BaseChart, Chain, best_readings, filter_step
from gqa_reasoner.program.parsing.chart import Features, Item
from gqa_reasoner.program.parsing.relations import REVERSED

__all__ = ["Chain", "Phrase", "PhraseChart", "filter_step"]

Match = tuple[int, Any, float, Features]
Slot = Callable[["PhraseChart", int], Iterator[Match]]
_MOST_WORK = 20_000
"""Phrases tried for one question at most; GQA's questions need a few hundred."""
_BY_CHAIN = attrgetter("value.chain")
_BY_MEANING = attrgetter("end", "filters", "relation")
_OWNERS = {"his": "he", "her": "she", "their": "they", "its": "it"}


class Phrase(NamedTuple):
    """Value of a noun phrase's reading."""

    chain: Chain
    name: str
    filters: Chain
    bare: bool
    """Whether it has no modifiers after the name and no relation."""
    determiner: str = "the"


class _Modifier(NamedTuple):
    end: int
    kind: str
    filters: Chain
    relation: tuple[str, str, Chain] | None
    score: float
    features: Features


class PhraseChart(BaseChart):
    """Adds noun phrases and their modifiers to the chart."""

    def matches(self, start: int) -> dict[str, list[Match]]:
        """Where the matches of slots at a position are kept, by the slot's name."""
        found: dict[str, list[Match]] | None = self._memo.get(start)
        if found is None:
            found = self._memo[start] = {}
        return found

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
        owner = _OWNERS.get(self.word(start))
        if owner:  # `his hair`: the owner's chain comes from the pronoun
            phrase = Phrase((("select", owner),), owner, (), True)
            item = self.item(phrase, (("owned", 1.0),))
            self._possess(found, [item], start + 1, context)
        for base in self.bases(start, context):
            self._extend(found, base, base.end, None, base.filters, base.score, base.features, 0)
        for end in sorted(found):
            if self.word(end) == "'s":
                self._possess(found, list(found[end]), end + 1, context)
        for end, items in found.items():
            found[end] = best_readings(items, _BY_CHAIN)
        return found

    def _possess(
        self, found: dict[int, list[Item]], owners: list[Item], start: int, context: str
    ) -> None:
        """Add what the owners have, read from `start` on, to the phrases found."""
        for owner in owners[:2]:
            for base in self.bases(start, context):
                relation = ("of", "s", owner.value.chain)
                features = owner.features + base.features + (("possessive", 1.0),)
                score = owner.score + base.score + self.weights.get("possessive", 0.0)
                self._extend(found, base, base.end, relation, base.filters, score, features, 1)

    def _extend(
        self,
        found: dict[int, list[Item]],
        base: Base,
        end: int,
        relation: tuple[str, str, Chain] | None,
        filters: Chain,
        score: float,
        features: Features,
        depth: int,
    ) -> None:
        """Add a phrase that ends at `end`, and it with every modifier, to the phrases found."""
        if relation is None:
            chain: Chain = (("select", base.name), *filters)
        else:
            predicate, direction, inner = relation
            chain = (*inner, ("relate", f"{base.name},{predicate},{direction}"), *filters)
        phrase = Phrase(chain, base.name, filters, depth == 0, base.determiner)
        found.setdefault(end, []).append(Item(score, phrase, features))
        self.work += 1
        if depth >= 3 or self.work > _MOST_WORK:
            return
        for modifier in self.modifiers(end):
            if modifier.relation is not None and relation is not None:
                continue
            pair = self._attachment(base, relation, modifier)
            self._extend(
                found,
                base,
                modifier.end,
                modifier.relation or relation,
                filters + modifier.filters,
                score + modifier.score + pair.score,
                features + modifier.features + pair.features,
                depth + 1,
            )

    def _attachment(
        self, base: Base, relation: tuple[str, str, Chain] | None, modifier: _Modifier
    ) -> Item:
        """How well a modifier goes with the name (and with a relation already there)."""
        related = modifier.relation[:2] if modifier.relation is not None else None
        late = relation is not None
        key = ("attachment", base.name, late, modifier.kind, modifier.filters, related)
        return self.remembered(key, lambda: self._attachment_features(base, late, modifier))

    def _attachment_features(self, base: Base, late: bool, modifier: _Modifier) -> Features:
        features = self._agreement_features(modifier.filters, base.name)
        if modifier.kind in ("knowledge", "use"):
            known, _, tail = modifier.filters[0][1].partition(",")
            group = self.vocabulary.noun_class(base.name)
            living = "living" if group in ("person", "animal") else group
            features += (
                (f"knows:{known}:{living}", 1.0),
                (f"knows:{known}:{tail.split()[0]}:{group}", 1.0),
            )
        if late:
            kind = "knowledge" if modifier.kind == "use" else modifier.kind
            features += ((f"late:{kind}", 1.0),)
        if modifier.relation is not None:
            predicate, direction, _ = modifier.relation
            predicate = predicate.removeprefix(REVERSED)
            group = self.vocabulary.noun_class(base.name)
            first = predicate.partition(" ")[0]
            form = "verb" if first.endswith("ing") else "other"
            features += (
                (f"relates:{form}:{direction}:{group}", 1.0),
                (f"relates:{first}:{direction}:{group}", 1.0),
            )
        return features

    # -- modifiers after the name -----------------------------------------------------------

    def modifiers(self, start: int) -> list[_Modifier]:
        """What may follow a name at `start`, best six for each end."""
        key = ("modifiers", start)
        if key not in self._memo:
            found = [*self._plain_modifiers(start), *self._relative_modifiers(start)]
            self._memo[key] = best_readings(found, _BY_MEANING)
        return self._memo[key]

    def _modifier(
        self,
        end: int,
        kind: str,
        parts: tuple[Item, ...] = (),
        filters: Chain = (),
        relation: tuple[str, str, Chain] | None = None,
    ) -> _Modifier:
        own = self.mark(f"modifier:{kind}")
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
        yield from self._dressed(start)
        for end, item in self.uses(start):
            step = ("filter knowledge", ",".join(item.value))
            yield self._modifier(end, "use", (item,), (step,))

    def _dressed(self, start: int) -> Iterator[_Modifier]:
        """`(the man) with the hat on`: wearing it."""
        if self.word(start) not in ("with", "having", "has", "have"):
            return
        for end, items in self.phrases(start + 1).items():
            if self.word(end) == "on" and (
                end + 1 >= self.size or self.word(end + 1) not in words.DETERMINERS
            ):
                for item in items:
                    relation = ("wearing", "s", item.value.chain)
                    yield self._modifier(end + 1, "dressed", (item,), relation=relation)

    def _relative_modifiers(self, start: int) -> Iterator[_Modifier]:
        if self.word(start) not in words.RELATIVE:
            return
        yield from self._dressed(start + 1)
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
        for middle, predicate in self.relations(start, finite=kind == "that"):
            for end, items in self.phrases(middle).items():
                for item in items:
                    inner = self.mark(f"inner:{item.value.determiner}")
                    yield self._modifier(
                        end,
                        f"subject {kind}",
                        (predicate, item, inner),
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
                if self.word(end) in words.DETERMINERS and not self._offers(end):
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

    def _offers(self, start: int) -> bool:
        """Whether two alternatives may stand here (`an apple or a banana`)."""
        return self.word(start) in ("a", "an") and "or" in self.tokens[start:]

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
