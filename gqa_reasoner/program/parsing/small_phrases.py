"""Phrases of a few fixed words: `in this photo`, `on the left side`, `made of wood`, `same as`."""

from __future__ import annotations

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.chart import Features, Item
from gqa_reasoner.program.parsing.knowledge_clauses import KnowledgeChart

__all__ = ["SmallPhraseChart"]


_AROUND = (("to", "be", "seen"), ("in", "view"), ("in", "sight"), ("in", "it"), ("to", "you"))
"""Phrases that say no more than `in the picture`."""


class SmallPhraseChart(KnowledgeChart):
    """Adds image phrases, positions, materials and `the same … as` to the chart."""

    def image_phrases(self, start: int) -> list[int]:
        """Ends of `in this photo`, `of the picture`, `there`, `that is shown in the image`."""
        ends = []
        first = self.word(start)
        if first in ("there", "here", "anywhere", "somewhere", "around"):
            ends.append(start + 1)
        for phrase in _AROUND:
            if tuple(self.tokens[start : start + len(phrase)]) == phrase:
                ends.append(start + len(phrase))
        position = start
        if self.word(position) in ("that", "which") and self.word(position + 1) in words.BE:
            position += 2
        if self.word(position) in (
            "shown",
            "pictured",
            "depicted",
            "seen",
            "visible",
            "presented",
            "displayed",
        ):
            position += 1
            if position - start <= 1 or self.word(position) not in ("in", "on"):
                ends.append(position)
        elif position > start:
            return ends
        if self.word(position) in ("in", "of", "on", "inside", "at"):
            after = position + 1
            if self.word(after) in words.DETERMINERS:
                after += 1
            if self.word(after) in words.IMAGE_NOUNS:
                ends.append(after + 1)
        return ends

    def positions(self, start: int) -> list[tuple[int, Item]]:
        """Readings of `on the left side of the photo`: (end, Item((type, value)))."""
        first = self.word(start)
        if first not in ("on", "in", "at", "to"):
            return []
        place = start + 1
        if self.word(place) in ("the", "their"):
            place += 1
        found = words.POSITIONS.get(self.word(place))
        if found is None:
            return []
        end = place + 1
        features: Features = (("position", 1.0), (f"position:{first}:{self.word(place)}", 1.0))
        ends = [end]
        if self.word(end) in ("side", "part", "half", "corner", "portion", "area"):
            end += 1
            ends = [end]
        ends += self.image_phrases(end)
        return [(stop, self.item(found, features)) for stop in ends if self.word(stop) != "of"]

    def materials(self, start: int) -> list[tuple[int, Item]]:
        """Readings of `made of wood`: (end, Item((type, value)))."""
        if self.word(start) not in ("made", "formed", "constructed", "built"):
            return []
        if self.word(start + 1) not in ("of", "from", "out", "with", "in"):
            return []
        after = start + 2 + (self.word(start + 2) == "of")
        return self.material_names(after)

    def material_names(self, start: int) -> list[tuple[int, Item]]:
        """Readings of a material's name at `start`."""
        return self.attributes(start, "material")

    def same_as(self, start: int) -> tuple[str, int] | None:
        """Type and end of `the same color as`, `made of the same material as`, or None."""
        position = start
        if self.word(position) in ("made", "of"):
            position += 1
            if self.word(position) in ("of", "from", "out"):
                position += 1
        if self.word(position) in ("the", "a"):
            position += 1
        if self.word(position) != "same":
            return None
        kind = words.ATTRIBUTE_NOUNS.get(self.word(position + 1))
        if kind is None or self.word(position + 2) not in ("as", "with"):
            return None
        return kind, position + 3
