"""What is known of a thing, said in a clause: `can be used for sitting` → `UsedFor,sitting`."""

from __future__ import annotations

from collections.abc import Collection

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.chart import Item
from gqa_reasoner.program.parsing.morphology import gerund, participle
from gqa_reasoner.program.parsing.relations import RelationChart

__all__ = ["KnowledgeChart"]

_LONGEST_TAIL = 6
_CLAUSES: tuple[tuple[str, str, str], ...] = (
    ("can be used for", "UsedFor", ""),
    ("BE used for", "UsedFor", ""),
    ("BE USUALLY used for", "UsedFor", ""),
    ("can be", "ReceivesAction", ""),
    ("BE able to", "CapableOf", ""),
    ("can", "CapableOf", ""),
    ("USUALLY has", "HasA", ""),
    ("USUALLY have", "HasA", ""),
    ("has a", "HasA", ""),
    ("have a", "HasA", ""),
    ("has", "HasA", ""),
    ("have", "HasA", ""),
    ("BE USUALLY made of", "MadeOf", ""),
    ("BE made of", "MadeOf", "USUALLY"),
    ("BE USUALLY found in", "AtLocation", ""),
    ("BE USUALLY found on", "AtLocation", ""),
    ("BE USUALLY found at", "AtLocation", ""),
    ("BE a kind of", "IsA", ""),
    ("BE a type of", "IsA", ""),
    ("BE a symbol of", "SymbolOf", ""),
    ("BE a", "IsA", ""),
    ("BE an", "IsA", ""),
    ("BE USUALLY", "HasProperty", ""),
    ("like", "Desires", ""),
    ("likes", "Desires", ""),
    ("need", "HasPrerequisite", ""),
    ("needs", "HasPrerequisite", ""),
    ("BE made by a", "CreatedBy", ""),
    ("BE made by an", "CreatedBy", ""),
)
_ABLE = {
    "edible": ("ReceivesAction", "eaten"),
    "eatable": ("ReceivesAction", "eaten"),
    "drinkable": ("ReceivesAction", "drunk"),
    "readable": ("ReceivesAction", "read"),
    "rideable": ("ReceivesAction", "ridden"),
}
"""Adjectives that say what can be done with a thing."""
_ANYONE = frozenset(("you", "one", "we", "people", "i", "someone", "somebody", "they"))
_WHERE = frozenset(("on", "in", "with", "from"))
_STAYING = frozenset(("sit", "sleep", "lie", "rest"))
_CLASSES: dict[str, Collection[str]] = {"BE": words.BE, "USUALLY": words.USUALLY}


def _clauses_by_word() -> dict[str, list[tuple[str, list[Collection[str]], str, str]]]:
    """First word → its clauses in order: pattern, allowed words of each place, relation, after."""
    table: dict[str, list[tuple[str, list[Collection[str]], str, str]]] = {}
    for pattern, relation, after in _CLAUSES:
        allowed = [_CLASSES.get(element, (element,)) for element in pattern.split()]
        for word in allowed[0]:
            table.setdefault(word, []).append((pattern, allowed, relation, after))
    return table


_CLAUSES_BY_WORD = _clauses_by_word()


def _says_able(first: str, second: str) -> bool:
    """`you can`, `can you`."""
    can = ("can", "could")
    return (first in _ANYONE and second in can) or (first in can and second in _ANYONE)


class KnowledgeChart(RelationChart):
    """Adds clauses of knowledge to the chart."""

    def tail(self, start: int, end: int) -> str | None:
        """`tokens[start:end]` as a concept's name without an article; None if it cannot be one."""
        begin = start + (self.word(start) in words.DETERMINERS)
        inside = self.tokens[begin:end]
        if not 0 < len(inside) <= _LONGEST_TAIL:
            return None
        if (
            inside[0] == "same"
            or inside[0] in _ANYONE - {"people"}
            or any(token in words.WH or not token[0].isalnum() for token in inside)
        ):
            return None
        return " ".join(inside)

    def knowledge(self, start: int) -> list[tuple[int, Item]]:
        """Readings of a clause about what is known: (end, Item((relation, tail)))."""
        key = ("knowledge", start)
        if key not in self._memo:
            self._memo[key] = self._knowledge(start)
        return self._memo[key]

    def _knowledge(self, start: int) -> list[tuple[int, Item]]:
        found = []
        best = 0
        for pattern, elements, relation, after in _CLAUSES_BY_WORD.get(self.word(start), ()):
            length = len(elements)
            inside = self.tokens[start : start + length]
            if length < best or len(inside) < length:
                continue
            if not all(token in allowed for token, allowed in zip(inside, elements, strict=True)):
                continue
            for end in self._tail_ends(start + length):
                stop = end
                if after and self.word(end - 1) in words.USUALLY:
                    stop = end - 1
                elif after:
                    continue
                tail = self.tail(start + length, stop)
                if tail is not None:
                    features = ((f"knowledge:{relation}", 1.0), (f"knowledge:{pattern}", 1.0))
                    found.append((end, self.item((relation, tail), features)))
                    best = length
        return found

    def uses(self, start: int) -> list[tuple[int, Item]]:
        """Readings of `edible`, `to sit on`, `you can eat`: (end, Item((relation, tail)))."""
        begin = start + (self.word(start) in ("that", "which"))
        skipped = begin > start
        if self.word(begin) in words.BE and skipped:
            begin += 1
        known = _ABLE.get(self.word(begin))
        if known and (skipped == (begin > start + 1) or not skipped):
            return [(begin + 1, self.item(known, (("use:adjective", 1.0),)))]
        if self.word(begin) == "to" and not skipped:
            verb = begin + 1
        elif _says_able(self.word(begin), self.word(begin + 1)):
            verb = begin + 2
        else:
            return []
        base = self.word(verb)
        if base == "use" and self.word(verb + 1) == "for" and self.word(verb + 2).endswith("ing"):
            value = ("UsedFor", self.word(verb + 2))
            return [(verb + 3, self.item(value, (("use:UsedFor", 1.0),)))]
        if base not in words.BASE_VERBS:
            return []
        end = verb + 1
        value = ("ReceivesAction", participle(base))
        if self.word(end) in _WHERE or base in _STAYING:
            value = ("UsedFor", gerund(base))
            end += self.word(end) in _WHERE
        return [(end, self.item(value, ((f"use:{value[0]}", 1.0),)))]

    def _tail_ends(self, start: int) -> list[int]:
        """Where a tail may end: at the question's end, before a final `have`, at a comma."""
        ends = [self.size] if start < self.size else []
        if self.word(self.size - 1) in ("have", "has", "called"):
            ends = [self.size - 1]
        for place in range(start, self.size):
            if self.tokens[place] == ",":
                return [place]
        return ends
