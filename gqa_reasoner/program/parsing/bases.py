"""Names with their determiner and adjectives: `the small red cup`, `brown piece of furniture`.

Legend: a chain is a tuple of (operation, argument) pairs, each working on the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.chart import Features, Item
from gqa_reasoner.program.parsing.morphology import singular
from gqa_reasoner.program.parsing.small_phrases import SmallPhraseChart

__all__ = ["Base", "BaseChart", "Chain", "best_readings", "filter_step"]

Chain = tuple[tuple[str, str], ...]
_READINGS = 5
_LONGEST_NAME = 4
_BY_FILTERS = attrgetter("end", "filters")
_BY_NAME = attrgetter("end", "name", "filters")
_SCORE = attrgetter("score")
_Reading = TypeVar("_Reading", bound=Any)


class Base(NamedTuple):
    """A name with the filters of its adjectives; `determiner` is `the`, `a` or `none`."""

    end: int
    name: str
    filters: Chain
    score: float
    features: Features
    determiner: str


class _Adjectives(NamedTuple):
    end: int
    filters: Chain
    score: float
    features: Features


def filter_step(attribute: tuple[str, str], negated: bool = False) -> tuple[str, str]:
    """The filter step of (type, value): `filter color: red`, `filter: not(open)`."""
    kind, value = attribute
    return (f"filter {kind}" if kind else "filter", f"not({value})" if negated else value)


class BaseChart(SmallPhraseChart):
    """Adds names with determiner and adjectives to the chart."""

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

    def _adjectives(self, start: int, limit: int = 3) -> list[_Adjectives]:
        """Sequences of at most `limit` adjectives before a name, the best few for each end."""
        key = ("adjectives", start, limit)
        if key in self._memo:
            return self._memo[key]
        found = [_Adjectives(start, (), 0.0, ())]
        for end, item in self.attributes(start) if limit else ():
            step = filter_step(item.value)
            rest = end + (self.word(end) in ("and", ","))
            joined = self.item(None, (("adjectives:and", 1.0),) if rest > end else ())
            for more in self._adjectives(rest, limit - 1):
                if rest > end and more.end == rest:
                    continue
                found.append(
                    _Adjectives(
                        more.end,
                        (step, *more.filters),
                        item.score + more.score + joined.score,
                        item.features + more.features + joined.features,
                    )
                )
            if rest > end:
                found.append(_Adjectives(end, (step,), item.score, item.features))
        count = 4 * _READINGS if self.aligning else _READINGS + 1
        self._memo[key] = best_readings(found, _BY_FILTERS, count)
        return self._memo[key]

    def bases(self, start: int, context: str) -> list[Base]:
        """Determiner, adjectives and name, no modifiers after it; best five for each end."""
        key = ("bases", start, context)
        if key in self._memo:
            return self._memo[key]
        readings: list[Base] = []
        for end, item in self._pronouns(start, context):
            readings.append(Base(end, item.value, (), item.score, item.features, "the"))
        for begin, determiner in self._determiner(start):
            lead = self.mark(f"determiner:{determiner}:{context}")
            for before in self._adjectives(begin):
                for end, noun in self.nouns(before.end, context):
                    pair = self._agreement(before.filters, noun.value)
                    total = lead.score + before.score + noun.score + pair.score
                    features = lead.features + before.features + noun.features + pair.features
                    readings.append(
                        Base(end, noun.value, before.filters, total, features, determiner)
                    )
        self._memo[key] = best_readings(readings, _BY_NAME)
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
        key = ("agreement", filters, name)
        return self.remembered(key, lambda: self._agreement_features(filters, name))

    def _agreement_features(self, filters: Chain, name: str) -> Features:
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
        return features


def _is_word(token: str) -> bool:
    return token.isascii() and token[0].isalnum()


def best_readings(
    readings: Sequence[_Reading], identity: Callable[[_Reading], Hashable], count: int = _READINGS
) -> list[_Reading]:
    """The best `count` readings with distinct identities for each end (or in all)."""
    if len(readings) < 2:
        return list(readings)
    kept: dict[Hashable, _Reading] = {}
    for reading in sorted(readings, key=_SCORE, reverse=True):
        kept.setdefault(identity(reading), reading)
    distinct = list(kept.values())
    if len(distinct) <= count:
        return distinct
    if not hasattr(distinct[0], "end"):
        return distinct[:count]
    per_end: dict[object, int] = {}
    out = []
    for reading in distinct:
        seen = per_end[reading.end] = per_end.get(reading.end, 0) + 1
        if seen <= count:
            out.append(reading)
    return out
