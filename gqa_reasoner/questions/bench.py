"""`Bench`: what a question family has at hand for one scene: references, decoys, wording."""

from __future__ import annotations

import random
from collections.abc import Mapping

from gqa_reasoner.questions.draft import Reference
from gqa_reasoner.questions.english import is_plural, pluralize, sentence, singularize
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.patterns import PATTERNS
from gqa_reasoner.questions.phrases import picture
from gqa_reasoner.questions.references import Referrer
from gqa_reasoner.questions.statistics import Statistics
from gqa_reasoner.questions.templates import render
from gqa_reasoner.questions.view import SceneView
from gqa_reasoner.questions.word_tables import TYPE_NOUNS

__all__ = ["Bench"]

_TAILED = frozenset(("relS", "relSWho", "relSAnimal", "directOf", "directWhich", "how"))
"""Families that now and then end in "in this picture"."""


class Bench:
    """One scene on the table.

    Args:
        view: the indexed scene.
        statistics: of the corpus that decoys come from.
        rng: random source; all choices are its.
        strict: references must be unambiguous and answers true. Off, for training pairs of
            question and program, any reference will do.
        quirks: also GQA's slips of grammar ("What are this fruits called?").
    """

    def __init__(
        self,
        view: SceneView,
        statistics: Statistics,
        rng: random.Random,
        *,
        strict: bool = True,
        quirks: bool = False,
    ) -> None:
        self.view = view
        self.lexicon: Lexicon = view.lexicon
        self.statistics = statistics
        self.rng = rng
        self.strict = strict
        self.quirks = quirks
        self.referrer = Referrer(view, rng, strict=strict, quirks=quirks)
        self.used = ""

    def place(self) -> int:
        """Some object."""
        return int(self.rng.random() * len(self.view.ids))

    def word(self, family: str, slots: Mapping[str, str]) -> str:
        """A question of the family, worded by one of its patterns; records which in `used`."""
        patterns = PATTERNS[family]
        number = int(self.rng.random() * len(patterns))
        pattern = patterns[number]
        if pattern.startswith("~"):
            if not self.quirks:
                return self.word(family, slots)
            pattern = pattern[1:]
        self.used = f"{family}/{number}"
        text = render(pattern, slots, self.rng)
        if family in _TAILED and self.rng.random() < 0.04 and " in the " not in text:
            text = f"{text[:-1]}{picture(self.rng, bare=0)}?"
        return sentence(text)

    def slots(self, reference: Reference, **more: str) -> dict[str, str]:
        """The slots that most patterns have, agreeing with the reference."""
        plural = reference.plural
        text = reference.text
        return {
            "ref": text,
            "is": "are" if plural else "is",
            "s": " are" if plural else "'s",
            "it": "they" if plural else "it",
            "does": "do" if plural else "does",
            "has": "have" if plural else "has",
            "pic": picture(self.rng),
            "inpic": picture(self.rng, bare=0),
            **more,
        }

    def values(self, place: int) -> list[tuple[str, str]]:
        """Attributes of an object as (type, value), only the sole ones of their type."""
        return [
            (kind, value)
            for kind, values in self.view.typed[place].items()
            for value in values
            if not kind or len(values) == 1
        ]

    def other_value(self, place: int, kind: str, value: str) -> str | None:
        """A value that this object does not have though others of its name or kind do."""
        statistics, name = self.statistics, self.view.names[place]
        if not self.lexicon.verifiable(kind):
            return None
        avoid = set(self.view.attributes[place])
        if kind:
            avoid.update(self.lexicon.near(value))
        if not kind:
            rivals = [word for word in self.lexicon.rivals(value, kind) if word not in avoid]
            return self.rng.choice(rivals) if rivals else None
        if kind in TYPE_NOUNS or self.lexicon.rivals(value, kind):
            found = None
            if self.rng.random() < 0.8:
                table = statistics.values.get((name, kind))
                if table is not None:
                    found = statistics.draw(table, ("value", name, kind), self.rng, avoid)
            if found is None:
                table = statistics.type_values.get(kind)
                if table is not None:
                    found = statistics.draw(table, ("type", kind), self.rng, avoid)
            if found is not None:
                return found
            rest = [word for word in self.lexicon.rivals(value, kind) if word not in avoid]
            return self.rng.choice(rest) if rest else None
        return None

    def verifiable(self, place: int) -> list[tuple[str, str]]:
        """Those of `values` whose type GQA can verify."""
        return [item for item in self.values(place) if self.lexicon.verifiable(item[0])]

    def absent_name(self, near: str | None = None) -> str | None:
        """A name that nothing in the picture answers to, likely beside what is there."""
        statistics = self.statistics
        key = near or (self.rng.choice(self.view.names) if self.view.names else None)
        for _ in range(5):
            found = None
            if key is not None and key in statistics.together:
                found = statistics.draw(statistics.together[key], ("together", key), self.rng)
            if found is None:
                found = statistics.draw(statistics.names, "names", self.rng)
            if found is None:
                return None
            name = singularize(found)
            if not self.lexicon.decoy(name) or self.present(name):
                continue
            return name
        return None

    def present(self, name: str) -> bool:
        """Whether the picture shows anything of this name, or of a name close to it."""
        view = self.view
        if view.select(name) or view.select(pluralize(name)) or view.select(singularize(name)):
            return True
        return any(view.select(noun) for noun in self.lexicon.surfaces(name))

    def sibling(self, place: int, category: str) -> str | None:
        """Another name of the category that is not in the picture."""
        table = self.statistics.category_names.get(category)
        if table is None:
            return None
        for _ in range(5):
            found = self.statistics.draw(table, ("category", category), self.rng)
            if found is not None and not self.present(found):
                return found
        return None

    def full_name(self, place: int, *, definite: bool = True) -> str:
        """The object's own name, marked, with "the"."""
        from gqa_reasoner.questions.english import mark, with_article

        name = self.view.names[place]
        marked = mark(name, self.view.ids[place])
        if definite:
            return f"the {marked}"
        prefix = with_article(name)
        return prefix[: len(prefix) - len(name)] + marked

    def verb(self, place: int) -> str:
        """ "is" or "are" for the object's own name."""
        return "are" if is_plural(self.view.names[place]) else "is"

    def slots_picture(self, bare: float = 0.5) -> str:
        """A picture tail for patterns without a reference."""
        return picture(self.rng, bare=bare)

    @staticmethod
    def mark_slots(slots: dict[str, str], names: tuple[str, ...], object_id: str) -> dict[str, str]:
        """The slots with some of them marked as naming an object."""
        from gqa_reasoner.questions.english import mark

        marked = {
            name: mark(text, object_id) for name, text in slots.items() if name in names and text
        }
        return {**slots, **marked}
