"""Relation phrases: `to the left of`, `is wearing`, `sits on` → GQA's predicates."""

from __future__ import annotations

import re

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.chart import Chart, Item
from gqa_reasoner.program.parsing.morphology import active, gerund
from gqa_reasoner.program.parsing.words import listed

__all__ = ["REVERSED", "RelationChart"]

REVERSED = "~"
"""Before a predicate whose subject and object stand in each other's place (`worn by`)."""

_PARTICLES = frozenset(listed("down up out off away over back around"))
_IRREGULAR_PARTICIPLES = frozenset(
    listed("worn seen made held hung cut built shown hit put thrown drawn eaten driven kept caught")
)
_SINGLE_PREPOSITIONS = frozenset(phrase[0] for phrase in words.PREPOSITIONS if len(phrase) == 1)
_PREPOSITIONS_BY_WORD = {
    first: [phrase for phrase in words.PREPOSITIONS if phrase[0] == first]
    for first in dict.fromkeys(phrase[0] for phrase in words.PREPOSITIONS)
}
_NOT_FINITE = ("prep", "than", "ing", "participle")
_SIDE = re.compile(r"(?:(?:to|on|at) (?:the )?)?(left|right)(?:-hand)?(?: side)? of")


class RelationChart(Chart):
    """Adds relation phrases to the chart."""

    def relations(
        self, start: int, base: bool = False, finite: bool = True
    ) -> list[tuple[int, Item]]:
        """Readings of relation phrases at `start`: (end, Item(predicate)).

        Args:
            base: whether a verb here stands in its base form (after do / does).
            finite: whether a verb here may be finite (`holds`), not only a participle.
        """
        key = ("relations", start, base, finite)
        if key not in self._memo:
            self._memo[key] = [
                (end, item)
                for end, shape in self._relation_spans(start, base)
                if finite or shape.startswith(_NOT_FINITE)
                for item in self._shaped(start, end, shape)
            ]
        return self._memo[key]

    def prepositions(self, start: int) -> list[tuple[int, Item]]:
        """Those readings of relation phrases at `start` that are prepositions alone."""
        return [
            (end, item)
            for end, shape in self._relation_spans(start, False)
            if shape == "prep"
            for item in self._shaped(start, end, shape)
        ]

    def _shaped(self, start: int, end: int, shape: str) -> list[Item]:
        tokens = self.tokens[start:end]
        surface = " ".join(tokens)
        readings: list[Item] | None = self._memory.get(("relation", surface, shape))
        if readings is None:
            readings = self._predicates(tokens, surface, shape)
            self._memory["relation", surface, shape] = readings
        return readings

    def _preposition_ends(self, start: int) -> list[int]:
        possible = _PREPOSITIONS_BY_WORD.get(self.word(start))
        if possible is None:
            return []
        tokens = tuple(self.tokens[start : start + 5])
        ends = [start + len(phrase) for phrase in possible if tokens[: len(phrase)] == phrase]
        if ends and tokens[1:2] == ("of",) and tokens[0] not in ("of", "out"):
            ends.append(start + 2)
        return list(dict.fromkeys(ends))

    def _relation_spans(self, start: int, base: bool) -> list[tuple[int, str]]:
        if start >= self.size:
            return []
        spans = [(end, "prep") for end in self._preposition_ends(start)]
        first = self.tokens[start]
        if first == "being" and active(self.word(start + 1)) and self.word(start + 2) == "by":
            spans.append((start + 3, "participle+prep"))
        if first.endswith("er") and self.word(start + 1) == "than":
            spans.append((start + 2, "than"))
        if (
            first in words.BOUNDARY
            or first in _SINGLE_PREPOSITIONS
            or not first.isascii()
            or not first[0].isalpha()
        ):
            return spans
        known = first in words.VERBS or bool(self.lexicon.row("verb", gerund(first)))
        shape = _verb_shape(first, base, known)
        if shape is None:
            return spans
        spans.append((start + 1, shape))
        after = start + 1
        spans += [(end, f"{shape}+prep") for end in self._preposition_ends(after)]
        if self.word(after) in _PARTICLES:
            spans.append((after + 1, f"{shape}+prep"))
            spans += [(end, f"{shape}+prep") for end in self._preposition_ends(after + 1)]
        return list(dict.fromkeys(spans))

    def _predicates(self, tokens: list[str], surface: str, shape: str) -> list[Item]:
        row = self.lexicon.row("relation", surface)
        rule = _predicate_by_rule(tokens, shape)
        total = min(sum(row.values()), 3)
        items = []
        turned = _turned(tokens)
        offered = (rule, *turned, *row, *self.hints.get("relation", ()))
        for predicate in dict.fromkeys(offered):
            features: list[tuple[str, float]] = [(f"relation:{shape}:{total > 0:d}", 1.0)]
            if row:
                share = self.lexicon.log_share("relation", surface, predicate)
                features.append((f"relation:share{total}", share or 0.0))
                if predicate not in row:
                    features.append(("relation:novel", 1.0))
            if turned:
                seen = self.lexicon.row("predicate", turned[0].removeprefix(REVERSED))
                other = self.lexicon.row("predicate", rule)
                way = "turned" if predicate in turned else "passive"
                features.append((f"relation:{way}:{bool(seen):d}{bool(other):d}", 1.0))
            if predicate != rule and predicate not in turned:
                features.append(("relation:rewritten", 1.0))
            if self.lexicon.row("predicate", predicate.removeprefix(REVERSED)):
                features.append(("relation:known", 1.0))
            if self.aligning:
                features.append((f"@relation\t{surface}\t{predicate}", 0.0))
            items.append(self.item(predicate, tuple(features)))
        items.sort(key=lambda item: (-item.score, item.value))
        return items if self.aligning else items[:2]


def _turned(tokens: list[str]) -> tuple[str, ...]:
    """The active predicate of a passive one, marked as reversed: `worn by` → `~wearing`."""
    verb = tokens[1:] if len(tokens) == 3 and tokens[0] == "being" else tokens
    done = active(verb[0]) if len(verb) == 2 and verb[1] == "by" else None
    return (REVERSED + done,) if done else ()


def _verb_shape(verb: str, base: bool, known: bool) -> str | None:
    if verb.endswith("ing") and len(verb) > 4:
        return "ing"
    if (verb.endswith("ed") and len(verb) > 3) or verb in _IRREGULAR_PARTICIPLES:
        return "participle"
    if base:
        return "base" if known else "base?"
    if verb.endswith("s") and not verb.endswith("ss"):
        return "finite" if known else "finite?"
    return "plain" if known else None


def _predicate_by_rule(tokens: list[str], shape: str) -> str:
    """GQA's spelling of a relation: `-ing` verbs, no `located`, no `of` after `behind`."""
    out = list(tokens)
    if shape.startswith(("finite", "base", "plain")):
        out[0] = gerund(out[0])
    if len(out) > 1 and out[0] == "located":
        out = out[1:]
    if len(out) > 1 and out[-1] == "of" and out[-2] in _SINGLE_PREPOSITIONS - {"out"}:
        out = out[:-1]
    text = " ".join(out)
    side = _SIDE.fullmatch(text)
    return f"to the {side[1]} of" if side else text
