"""What a scene says about names, attributes and relations, asked by the executor.

Legend: N objects, K values. `Evidence` is the part that annotated and detected scenes share;
`GraphEvidence` reads annotations as the whole truth (0 or 1), `soft_evidence.SoftEvidence` reads
probabilities. Every array is remembered per scene, so that many questions share one index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from detectors.scene import Scene
from gqa_reasoner.program.geometry import horizontal_place, pair_relation, vertical_place
from gqa_reasoner.program.lexicon import RELATED_TYPES, Lexicon
from gqa_reasoner.program.predicates import broader_readings, spatial_kind

__all__ = ["Evidence", "GraphEvidence", "TripleLookup"]

TripleLookup = Callable[[str, str, str], bool]
"""(head, relation, tail) → whether the triple holds."""

POSITION_TYPES = {"hposition": ("left", "right"), "vposition": ("top", "bottom")}
SCENE_TYPES = frozenset({"location", "place", "room", "weather"})
_DOORS = ("indoors", "outdoors")
_INDOOR_SIGNS = ("furniture", "appliance", "cooking utensil", "room", "bathroom fixture")
_OUTDOOR_SIGNS = ("vehicle", "sky", "tree", "road", "grass", "mountain", "body of water", "animal")


class Evidence:
    """Shared by both modes: boxes, facts of the whole picture, knowledge."""

    hard: bool

    def __init__(self, scene: Scene, lexicon: Lexicon) -> None:
        self.scene = scene
        self.lexicon = lexicon
        self.size = len(scene.objects)
        self.places = scene.index()
        self.has_relations = bool(scene.relations) or scene.relation_probabilities is not None
        self._boxes: np.ndarray | None = None
        self._names: dict[str, np.ndarray] = {}
        self._attributes: dict[tuple[str, str | None], np.ndarray] = {}
        self._relations: dict[str, np.ndarray] = {}
        self._broad: dict[str, np.ndarray] = {}
        self._types: dict[str, tuple[list[str], np.ndarray]] = {}
        self._pairs: dict[str, np.ndarray] = {}

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) float32 boxes in pixels."""
        if self._boxes is None:
            self._boxes = self.scene.boxes()
        return self._boxes

    def pairs(self, kind: str) -> np.ndarray:
        """Relation of boxes, (N, N); see `geometry.pair_relation`."""
        found = self._pairs.get(kind)
        if found is None:
            found = self._pairs[kind] = pair_relation(self.boxes, kind)
        return found

    def by_ids(self, object_ids: Iterable[str]) -> np.ndarray | None:
        """1 for the objects of these ids, (N,); None where the scene has none of them."""
        found = [self.places[item] for item in object_ids if item in self.places]
        if not found:
            return None
        weights = np.zeros(self.size)
        weights[found] = 1.0
        return weights

    def position(self, attribute_type: str, value: str) -> np.ndarray:
        """P(object stands at this place of the picture), (N,)."""
        if attribute_type == "hposition":
            return horizontal_place(self.boxes, self.scene.width, value)
        return vertical_place(self.boxes, self.scene.height, value)

    def name(self, name: str) -> np.ndarray:
        """P(object is called or is a kind of `name`), (N,)."""
        raise NotImplementedError

    def attribute(self, value: str, attribute_type: str | None) -> np.ndarray:
        """P(object has the attribute), (N,)."""
        raise NotImplementedError

    def relation(self, predicate: str) -> np.ndarray:
        """P(object i PREDICATE object j), (N, N), read narrowly."""
        raise NotImplementedError

    def broad_relation(self, predicate: str) -> np.ndarray:
        """The same with synonyms, inverses, implications and boxes as fallbacks, (N, N)."""
        raise NotImplementedError

    def type_values(self, attribute_type: str) -> tuple[list[str], np.ndarray]:
        """Values of a type that occur here and P(object has value), (N, K)."""
        raise NotImplementedError

    def class_names(self, category: str | None) -> tuple[list[str], np.ndarray]:
        """Names (of this category) that occur here and P(object is called so), (N, K)."""
        raise NotImplementedError

    def knowledge(
        self, relation: str, tail: str, context: Any, triples: TripleLookup | None
    ) -> np.ndarray:
        """P(a triple (object's name, relation, tail) is known), (N,)."""
        heads = _context_heads(relation, tail, context, self.lexicon)
        names, matrix = self.class_names(None)
        known = np.zeros(len(names))
        for place, name in enumerate(names):
            if heads is not None:
                known[place] = float(bool(heads & {name, self.lexicon.key(name)}))
            elif triples is not None:
                key = self.lexicon.key(name)
                known[place] = float(triples(name, relation, tail) or triples(key, relation, tail))
        return matrix @ known

    def scene_values(self, attribute_type: str) -> dict[str, float]:
        """Values of the whole picture (`location`, `place`, `room`, `weather`) and their weight."""
        if attribute_type == "weather":
            return self.fact("weather") or self._sky_values()
        explicit, location = self.fact(attribute_type), self.fact("location")
        if attribute_type != "location":
            named = {name: weight for name, weight in location.items() if name not in _DOORS}
            return explicit or named or self._place_objects(attribute_type)
        doors: dict[str, float] = {}
        for name, weight in location.items():
            side = name if name in _DOORS else _DOORS[not self.lexicon.is_a(name, "room")]
            doors[side] = doors.get(side, 0.0) + weight
        return doors or self._door_signs()

    def fact(self, key: str) -> dict[str, float]:
        """What the scene states of the whole picture under a key, as weights."""
        return _weighted(self.scene.scene_attributes.get(key))

    def _sky_values(self) -> dict[str, float]:
        values, matrix = self.type_values("weather")
        if not values:
            return {}
        best = matrix.max(axis=0)
        return {value: float(weight) for value, weight in zip(values, best, strict=True) if weight}

    def _place_objects(self, attribute_type: str) -> dict[str, float]:
        """Objects that are places, weighted by their share of the picture."""
        found: dict[str, float] = {}
        whole = max(float(self.scene.width * self.scene.height), 1.0)
        for item in self.scene.objects:
            if self.lexicon.is_a(item.name, attribute_type):
                weight = item.score * min(item.area / whole, 1.0)
                found[item.name] = found.get(item.name, 0.0) + weight
        return found

    def _door_signs(self) -> dict[str, float]:
        """Indoors or outdoors from what stands about, with a half vote for each beforehand."""
        votes = [0.5, 0.5]
        for item in self.scene.objects:
            for side, signs in enumerate((_INDOOR_SIGNS, _OUTDOOR_SIGNS)):
                if any(self.lexicon.is_a(item.name, sign) for sign in signs):
                    votes[side] += item.score
        return dict(zip(_DOORS, votes, strict=True))


class GraphEvidence(Evidence):
    """Annotations read as the whole truth: every array holds 0 and 1."""

    hard = True

    def __init__(self, scene: Scene, lexicon: Lexicon) -> None:
        super().__init__(scene, lexicon)
        self._by_name: dict[str, list[int]] = {}
        for place, item in enumerate(scene.objects):
            self._by_name.setdefault(item.name, []).append(place)
        self._named: tuple[list[str], np.ndarray] | None = None
        self._edges: dict[str, list[tuple[int, int]]] = {}
        places = self.places
        for relation in scene.relations:
            pair = (places[relation.subject], places[relation.object])
            self._edges.setdefault(relation.predicate, []).append(pair)

    def name(self, name: str) -> np.ndarray:
        """Objects called `name` and its kinds; other words for it only where none is called so."""
        found = self._names.get(name)
        if found is None:
            lexicon = self.lexicon
            found = np.zeros(self.size)
            other_words: list[int] = []
            for item, places in self._by_name.items():
                if item == name:
                    found[places] = 1.0
                elif lexicon.is_a(item, name):
                    if lexicon.same_name(item, name):
                        other_words += places
                    else:
                        found[places] = 1.0
            if other_words and name not in self._by_name:
                found[other_words] = 1.0
            self._names[name] = found
        return found

    def attribute(self, value: str, attribute_type: str | None) -> np.ndarray:
        """Objects annotated with the attribute (or whose box or name alone gives it)."""
        key = (value, attribute_type)
        found = self._attributes.get(key)
        if found is None:
            if attribute_type in POSITION_TYPES:
                found = (self.position(attribute_type, value) > 0.5).astype(float)
            else:
                found = self._annotated(value, attribute_type)
            self._attributes[key] = found
        return found

    def _annotated(self, value: str, attribute_type: str | None) -> np.ndarray:
        found = np.zeros(self.size)
        same, implied = self.lexicon.same_attribute, self.lexicon.implied
        for place, item in enumerate(self.scene.objects):
            if value in item.attributes or any(same(word, value) for word in item.attributes):
                found[place] = 1.0
            elif value in implied(item.name):
                types = self.lexicon.types
                kind = attribute_type or ("age" if value in ("young", "old") else "gender")
                found[place] = float(not any(kind in types(word) for word in item.attributes))
        return found

    def relation(self, predicate: str) -> np.ndarray:
        """Pairs annotated with exactly this predicate."""
        found = self._relations.get(predicate)
        if found is None:
            found = np.zeros((self.size, self.size))
            for one, other in self._edges.get(predicate, ()):
                found[one, other] = 1.0
            self._relations[predicate] = found
        return found

    def broad_relation(self, predicate: str) -> np.ndarray:
        """Pairs whose annotation supports the predicate; boxes where no relation is annotated."""
        found = self._broad.get(predicate)
        if found is None:
            found = self.relation(predicate).copy()
            for stated, pairs in self._edges.items():
                forwards, backwards = broader_readings(stated, predicate)
                for one, other in pairs if forwards or backwards else ():
                    if forwards:
                        found[one, other] = 1.0
                    if backwards:
                        found[other, one] = 1.0
            if not self.has_relations:
                kind = spatial_kind(predicate) or "contact"
                found = (self.pairs(kind) > 0.5).astype(float)
            self._broad[predicate] = found
        return found

    def type_values(self, attribute_type: str) -> tuple[list[str], np.ndarray]:
        """Annotated values of the type; of a related type where the object has none of this one."""
        found = self._types.get(attribute_type)
        if found is None:
            found = self._types[attribute_type] = self._collect_values(attribute_type)
        return found

    def _collect_values(self, attribute_type: str) -> tuple[list[str], np.ndarray]:
        if attribute_type in POSITION_TYPES:
            names = list(POSITION_TYPES[attribute_type])
            columns = [self.attribute(name, attribute_type) for name in names]
            return names, np.stack(columns, axis=1).reshape(self.size, len(names))
        rows = [self._values_of(item, attribute_type) for item in self.scene.objects]
        values = list(dict.fromkeys(value for row in rows for value in row))
        matrix = np.zeros((self.size, len(values)))
        for place, row in enumerate(rows):
            for value in row:
                matrix[place, values.index(value)] = 1.0
        return values, matrix

    def _values_of(self, item: Any, attribute_type: str) -> list[str]:
        types = self.lexicon.types
        for kind in (attribute_type, *RELATED_TYPES.get(attribute_type, ())):
            found = [word for word in item.attributes if kind in types(word)]
            if found:
                return found
        return [word for word in self.lexicon.implied(item.name) if attribute_type in types(word)]

    def class_names(self, category: str | None) -> tuple[list[str], np.ndarray]:
        """Annotated names, one per object (the category does not matter: ids were chosen)."""
        if self._named is None:
            matrix = np.zeros((self.size, len(self._by_name)))
            for column, places in enumerate(self._by_name.values()):
                matrix[places, column] = 1.0
            self._named = list(self._by_name), matrix
        return self._named


def _weighted(value: Any) -> dict[str, float]:
    """`"street"`, `["street"]` or `{"street": 0.9}` as weights."""
    if isinstance(value, str):
        return {value: 1.0}
    if isinstance(value, Mapping):
        return {str(name): float(weight) for name, weight in value.items()}
    if isinstance(value, (list, tuple)):
        return {str(name): 1.0 for name in value}
    return {}


def _context_heads(relation: str, tail: str, context: Any, lexicon: Lexicon) -> set[str] | None:
    """Heads of the context's triples of this relation and tail; None without a context."""
    if context is None:
        return None
    heads: set[str] = set()
    for item in context.triples:
        triple = getattr(item, "triple", item)
        if triple.relation == relation and lexicon.same_name(triple.tail, tail):
            heads |= {triple.head, lexicon.key(triple.head)}
    return heads
