"""`SceneView`: one scene, indexed for set operations; objects are positions in `scene.objects`.

The sets here are what the program steps select, computed directly on names, attribute lists and
relations, so that a reference can be checked for uniqueness hundreds of times per question.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gqa_reasoner.questions.lexicon import Lexicon

if TYPE_CHECKING:
    from detectors.scene import Scene

__all__ = ["SPATIAL", "SceneView"]

SPATIAL = frozenset(("to the left of", "to the right of"))
_EMPTY: frozenset[int] = frozenset()
_OUTER, _INNER = 0.36, 0.5
"""A box centre below 0.36 of the width is surely left; one below 0.5 may be called left."""


class SceneView:
    """Names, typed attributes and relations of one scene by object position."""

    def __init__(self, scene: Scene, lexicon: Lexicon) -> None:
        self.scene = scene
        self.lexicon = lexicon
        index = scene.index()
        self.ids = [item.id for item in scene.objects]
        self.names = [item.name.strip().lower() for item in scene.objects]
        self.attributes: list[tuple[str, ...]] = []
        self.typed: list[dict[str, tuple[str, ...]]] = []
        matches: dict[str, set[int]] = defaultdict(set)
        for place, item in enumerate(scene.objects):
            name = self.names[place]
            for noun in lexicon.nouns(name):
                matches[noun].add(place)
            values = tuple(dict.fromkeys(value.strip().lower() for value in item.attributes))
            typed: dict[str, tuple[str, ...]] = {}
            for value in values:
                kind = lexicon.type_of(value, name)
                typed[kind] = (*typed.get(kind, ()), value)
            self.attributes.append(values)
            self.typed.append(typed)
        self._matches = {noun: frozenset(places) for noun, places in matches.items()}
        self.out: list[list[tuple[str, int]]] = [[] for _ in self.ids]
        self.into: list[list[tuple[str, int]]] = [[] for _ in self.ids]
        pairs: dict[str, set[tuple[int, int]]] = defaultdict(set)
        for relation in scene.relations:
            subject, target = index.get(relation.subject), index.get(relation.object)
            if subject is None or target is None or subject == target:
                continue
            if (subject, target) in pairs[relation.predicate]:
                continue
            pairs[relation.predicate].add((subject, target))
            self.out[subject].append((relation.predicate, target))
            self.into[target].append((relation.predicate, subject))
        self.pairs = dict(pairs)
        self._positions = [self._position(place) for place in range(len(self.ids))]

    def select(self, noun: str) -> frozenset[int]:
        """Objects that the noun names."""
        return self._matches.get(noun, _EMPTY)

    def filter(self, places: frozenset[int], value: str) -> frozenset[int]:
        """Objects among `places` that have an attribute."""
        return frozenset(place for place in places if value in self.attributes[place])

    def relate(
        self, places: frozenset[int], noun: str, predicate: str, role: str
    ) -> frozenset[int]:
        """Objects named `noun` ("_" for any) that stand in the relation to one of `places`."""
        pairs = self.pairs.get(predicate, ())
        if role == "s":
            found = frozenset(subject for subject, target in pairs if target in places)
        else:
            found = frozenset(target for subject, target in pairs if subject in places)
        return found if noun == "_" else found & self.select(noun)

    def related(self, first: int, second: int) -> set[str]:
        """Predicates from the first object to the second."""
        return {predicate for predicate, target in self.out[first] if target == second}

    def position(self, place: int, value: str) -> bool | None:
        """Whether an object is at a position ("left", "middle", ...); `None` if arguable."""
        return self._positions[place].get(value)

    def _position(self, place: int) -> dict[str, bool | None]:
        scene = self.scene
        x, y = self.scene.objects[place].centre
        result: dict[str, bool | None] = {}
        for low, high, at in (
            ("left", "right", x / max(scene.width, 1)),
            ("top", "bottom", y / max(scene.height, 1)),
        ):
            result[low] = True if at < _OUTER else (None if at < 1 - _OUTER else False)
            result[high] = True if at > 1 - _OUTER else (None if at > _OUTER else False)
        return result
