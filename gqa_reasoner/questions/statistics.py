"""What the scene graphs show on the whole: the source of decoys and of plausible answers.

First of the two passes over a corpus; memory grows with the vocabulary, not with the scenes.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable
from itertools import accumulate
from typing import Any

from gqa_reasoner.questions.view import SPATIAL, SceneView

__all__ = ["SCENE_KEYS", "Statistics"]

SCENE_KEYS = ("weather", "location", "place", "room")
_TOGETHER_LIMIT = 40
"""At most this many distinct names of a scene enter the co-occurrence table."""


class Statistics:
    """Counts of names, attributes, relations and their company."""

    def __init__(self) -> None:
        self.scenes = 0
        self.names: Counter[str] = Counter()
        self.together: dict[str, Counter[str]] = defaultdict(Counter)
        self.values: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.type_values: dict[str, Counter[str]] = defaultdict(Counter)
        self.objects_of: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.subjects_of: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.category_names: dict[str, Counter[str]] = defaultdict(Counter)
        self.scene_values: dict[str, Counter[str]] = defaultdict(Counter)
        self._tables: dict[Hashable, tuple[list[str], list[int]]] = {}

    def add(self, view: SceneView) -> None:
        """Count one scene."""
        self._tables.clear()
        self.scenes += 1
        present = sorted(set(view.names))[:_TOGETHER_LIMIT]
        for name in present:
            self.together[name].update(other for other in present if other != name)
        for place, name in enumerate(view.names):
            self.names[name] += 1
            for category in view.lexicon.categories(name):
                self.category_names[category][name] += 1
            for kind, values in view.typed[place].items():
                self.values[name, kind].update(values)
                self.type_values[kind].update(values)
            for predicate, other in view.out[place]:
                if predicate not in SPATIAL:
                    self.objects_of[name, predicate][view.names[other]] += 1
                    self.subjects_of[view.names[other], predicate][name] += 1
        for key in SCENE_KEYS:
            for value in scene_values(view, key):
                self.scene_values[key][value] += 1

    def draw(
        self, table: Counter[str], key: Hashable, rng: random.Random, avoid: Any = ()
    ) -> str | None:
        """A word from a table in proportion to its count, outside `avoid`; `None` if none fits.

        Args:
            table: the counts; read once per key.
            key: what the table is cached under.
            rng: random source.
            avoid: container of words that will not do.
        """
        known = self._tables.get(key)
        if known is None:
            words = sorted(table)
            known = self._tables[key] = (words, list(accumulate(table[word] for word in words)))
        words, weights = known
        if not words:
            return None
        for _ in range(8):
            word = rng.choices(words, cum_weights=weights)[0]
            if word not in avoid:
                return word
        rest = [word for word in words if word not in avoid]
        return rng.choice(rest) if rest else None


def scene_values(view: SceneView, key: str) -> tuple[str, ...]:
    """A fact of the whole picture as a tuple of values (`weather`, `location`, ...)."""
    value = view.scene.scene_attributes.get(key)
    if isinstance(value, str):
        return (value.strip().lower(),) if value.strip() else ()
    if isinstance(value, (list, tuple)):
        return tuple(str(item).strip().lower() for item in value)
    return ()
