"""`SoftEvidence`: names, attributes and relations as probabilities.

Legend: N objects, C classes, A attributes, R predicates, K values. Dense arrays of the scene are
used where it has them; otherwise the scores of its names, attributes and relations; otherwise
what boxes and names imply; otherwise a prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.scene import Scene
from gqa_reasoner.program.evidence import POSITION_TYPES, Evidence
from gqa_reasoner.program.lexicon import RELATED_TYPES, Lexicon
from gqa_reasoner.program.predicates import broader_readings, inverse, object_kinds, spatial_kind

__all__ = ["SoftEvidence"]

UNSEEN = 0.02
"""P(a value that a detector of this type of attribute did not report)."""
UNKNOWN = 0.35
"""P(an attribute or relation that nothing in the scene tells about)."""
BOXES_BESIDE_KIND = 0.3
"""How far boxes count for a pair that is not listed, where the scene lists the kind of relation."""
BOXES_BESIDE_PREDICATE = 0.1
"""The same where the scene lists the very predicate."""
UNSUITED = 0.2
"""How far boxes count for an unlikely object of an interaction ("wearing a table")."""
OTHER_WORDS = 0.6
"""How far "near" counts for "beside" where the detector or the scene has "beside" as well."""

NOT_STATED = "none"
"""How a detector says that a fact of the whole picture is not stated (`detectors.default`)."""

_SIZE_WORDS = {
    "large": +1,
    "big": +1,
    "huge": +1,
    "giant": +1,
    "small": -1,
    "little": -1,
    "tiny": -1,
}
_TYPICAL_SHARE = 0.05
"""An object that covers this share of the picture is neither small nor large."""


class SoftEvidence(Evidence):
    """Probabilities of a detector, or of an annotated scene read with doubt."""

    hard = False

    def __init__(self, scene: Scene, lexicon: Lexicon) -> None:
        super().__init__(scene, lexicon)
        self.columns = lexicon.columns(scene.vocabulary)
        self._classes = _dense(scene.class_probabilities, scene.vocabulary.classes)
        self._dense_attributes = _dense(scene.attribute_probabilities, scene.vocabulary.attributes)
        self._dense_relations = _dense(scene.relation_probabilities, scene.vocabulary.predicates)
        self._scores = np.array([item.score for item in scene.objects], dtype=float)
        self._known_types: set[str] | None = None

    def fact(self, key: str) -> dict[str, float]:
        """Probabilities of the detector where it gives them, else the stated value."""
        every = self.scene.scene_attributes.get("probabilities")
        found = every.get(key) if isinstance(every, Mapping) else None
        if not isinstance(found, Mapping):
            return super().fact(key)
        return {str(word): float(share) for word, share in found.items() if word != NOT_STATED}

    def name(self, name: str) -> np.ndarray:
        """Sum of the probabilities of all classes that are `name`."""
        found = self._names.get(name)
        if found is None:
            if self._classes is not None:
                found = self._classes @ self.columns.members(name)
                found = np.minimum(found, 1.0)
            else:
                is_a = self.lexicon.is_a
                fits = [float(is_a(item.name, name)) for item in self.scene.objects]
                found = self._scores * np.array(fits, dtype=float)
            self._names[name] = found
        return found

    def attribute(self, value: str, attribute_type: str | None) -> np.ndarray:
        """Dense column, else listed score, else what the name or the box implies, else a prior."""
        key = (value, attribute_type)
        found = self._attributes.get(key)
        if found is None:
            found = self._attributes[key] = self._find_attribute(value, attribute_type)
        return found

    def _find_attribute(self, value: str, attribute_type: str | None) -> np.ndarray:
        if attribute_type in POSITION_TYPES:
            return self.position(attribute_type, value)
        if self._dense_attributes is not None:
            columns = self.columns.attribute(value)
            if columns:
                return self._dense_attributes[:, columns].max(axis=1)
        return self._listed_attribute(value, attribute_type)

    def _listed_attribute(self, value: str, attribute_type: str | None) -> np.ndarray:
        lexicon = self.lexicon
        kinds = {attribute_type} if attribute_type else set(lexicon.types(value))
        default = UNSEEN if kinds & self._listed_types() else UNKNOWN
        found = np.full(self.size, default)
        if value in _SIZE_WORDS and default == UNKNOWN:
            found = self._size_share(_SIZE_WORDS[value])
        for place, item in enumerate(self.scene.objects):
            scores = [
                score
                for word, score in item.attributes.items()
                if lexicon.same_attribute(word, value)
            ]
            if scores:
                found[place] = max(scores)
            elif lexicon.implies_opposite(item.name, value):
                found[place] = UNSEEN
        implied = self._implied(value)
        return np.maximum(found, implied) if implied is not None else found

    def _implied(self, value: str) -> np.ndarray | None:
        if self._classes is not None:
            return self._classes @ self.columns.implied(value)
        fits = [value in self.lexicon.implied(item.name) for item in self.scene.objects]
        return self._scores * np.array(fits, dtype=float) if any(fits) else None

    def _size_share(self, sign: int) -> np.ndarray:
        """Small or large from the share of the picture that the box covers."""
        whole = max(float(self.scene.width * self.scene.height), 1.0)
        share = np.array([max(item.area, 1.0) / whole for item in self.scene.objects])
        return 1 / (1 + np.exp(-sign * np.log(share / _TYPICAL_SHARE)))

    def _listed_types(self) -> set[str]:
        """Attribute types that any object of the scene has a value of."""
        if self._known_types is None:
            types = self.lexicon.types
            self._known_types = {
                kind
                for item in self.scene.objects
                for word in item.attributes
                for kind in types(word)
            }
        return self._known_types

    def relation(self, predicate: str) -> np.ndarray:
        """The same as `broad_relation`: probabilities need no narrow reading first."""
        return self.broad_relation(predicate)

    def broad_relation(self, predicate: str) -> np.ndarray:
        """Dense columns, else listed scores beside what the boxes say."""
        found = self._broad.get(predicate)
        if found is None:
            found = self._dense_relation(predicate)
            if found is None:
                found = self._listed_relation(predicate)
            self._broad[predicate] = found
        return found

    def _dense_relation(self, predicate: str) -> np.ndarray | None:
        if self._dense_relations is None:
            return None
        found = None
        predicates = self.scene.vocabulary.predicates
        exact = (predicate, inverse(predicate))
        others = OTHER_WORDS if predicate in predicates else 1.0
        for place, stated in enumerate(predicates):
            share = 1.0 if stated in exact else others
            for matches, turned in zip(broader_readings(stated, predicate), (0, 1), strict=True):
                if matches:
                    layer = share * self._dense_relations[:, :, place]
                    layer = layer.T if turned else layer
                    found = layer.copy() if found is None else np.maximum(found, layer)
        if found is not None:
            np.fill_diagonal(found, 0.0)
        return found

    def _listed_relation(self, predicate: str) -> np.ndarray:
        found = np.zeros((self.size, self.size))
        kind = spatial_kind(predicate)
        stated = {relation.predicate for relation in self.scene.relations}
        exact = (predicate, inverse(predicate))
        others = 1.0
        share = 1.0 if kind else BOXES_BESIDE_KIND
        if predicate in stated:
            others, share = OTHER_WORDS, BOXES_BESIDE_PREDICATE
        elif kind is not None and any(spatial_kind(word) == kind for word in stated):
            share = BOXES_BESIDE_KIND
        for relation in self.scene.relations:
            forwards, backwards = broader_readings(relation.predicate, predicate)
            one, other = self.places[relation.subject], self.places[relation.object]
            score = relation.score * (1.0 if relation.predicate in exact else others)
            if forwards:
                found[one, other] = max(found[one, other], score)
            if backwards:
                found[other, one] = max(found[other, one], score)
        boxes = self.pairs(kind) if kind else self.pairs("contact") * self._suits(predicate)
        return np.maximum(found, share * boxes)

    def _suits(self, predicate: str) -> np.ndarray:
        """How well each object suits as the object of an interaction, (N,): 1, or little."""
        kinds, wanted = object_kinds(predicate)
        if not kinds:
            return np.ones(self.size)
        member = np.max([self.name(kind) for kind in kinds], axis=0)
        return UNSUITED + (1 - UNSUITED) * (member if wanted else 1 - member)

    def type_values(self, attribute_type: str) -> tuple[list[str], np.ndarray]:
        """Every value of the type that the detector knows or the scene lists, with probability."""
        found = self._types.get(attribute_type)
        if found is None:
            found = self._find_values(attribute_type)
            for related in RELATED_TYPES.get(attribute_type, ()) if not found[0] else ():
                found = self._find_values(related)
                if found[0]:
                    break
            self._types[attribute_type] = found
        return found

    def _find_values(self, attribute_type: str) -> tuple[list[str], np.ndarray]:
        types = self.lexicon.types
        if attribute_type in POSITION_TYPES:
            values = list(POSITION_TYPES[attribute_type])
        elif self._dense_attributes is not None:
            columns = self.columns.of_type(attribute_type)
            values = [self.scene.vocabulary.attributes[place] for place in columns]
        else:
            listed = (word for item in self.scene.objects for word in item.attributes)
            values = [word for word in dict.fromkeys(listed) if attribute_type in types(word)]
        if not values and attribute_type in ("gender", "age", "size"):
            values = [value for value in self.lexicon.values(attribute_type) if value != "little"]
        if not values:
            return [], np.zeros((self.size, 0))
        return values, np.stack([self.attribute(value, attribute_type) for value in values], axis=1)

    def class_names(self, category: str | None) -> tuple[list[str], np.ndarray]:
        """Classes (of this category) and their probabilities."""
        if self._classes is not None:
            names = list(self.scene.vocabulary.classes)
            return names, self._classes if category is None else (
                self._classes * self.columns.members(category)
            )
        names = list(dict.fromkeys(item.name for item in self.scene.objects))
        columns = {name: column for column, name in enumerate(names)}
        matrix = np.zeros((self.size, len(names)))
        for place, item in enumerate(self.scene.objects):
            if category is None or self.lexicon.is_a(item.name, category):
                matrix[place, columns[item.name]] = item.score
        return names, matrix


def _dense(array: Any, names: tuple[str, ...]) -> np.ndarray | None:
    """The array as float64, or None where the scene has none (or no names for its columns)."""
    if array is None or not names:
        return None
    return np.asarray(array, dtype=np.float64)
