"""Finding pictures like a given one, by pooled region features or by what their scenes hold.

Legend: P pictures, N objects, D feature size.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np

from detectors.scene import Scene
from knowledge.lemmas import Lemmatizer

__all__ = ["SceneIndex"]

_ATTRIBUTE_WEIGHT = 0.5


class SceneIndex:
    """Nearest pictures: cosine of mean region features (D,), or of names weighted by rarity."""

    def __init__(self, scenes: Iterable[Scene]) -> None:
        self._lemmatizer = Lemmatizer.default()
        self._images: list[str] = []
        self._bags: list[dict[str, float]] = []
        vectors: list[np.ndarray | None] = []
        for scene in scenes:
            self._images.append(scene.image_id)
            self._bags.append(self._bag(scene))
            vectors.append(_pooled(scene))
        self._counts = Counter(word for bag in self._bags for word in bag)
        self._weighted = [self._normalized(bag) for bag in self._bags]
        self._holders: dict[str, list[int]] = {}
        for number, bag in enumerate(self._weighted):
            for word in bag:
                self._holders.setdefault(word, []).append(number)
        complete = [vector for vector in vectors if vector is not None]
        sizes = {len(vector) for vector in complete}
        self._features = (
            np.stack(complete) if len(complete) == len(vectors) and len(sizes) == 1 else None
        )

    def nearest(
        self, scene: Scene, count: int, *, exclude: str | None = None
    ) -> list[tuple[str, float]]:
        """(image id, similarity in [0, 1]) of the most similar pictures, best first.

        Features are compared where every indexed picture and the scene have them.
        """
        vector = _pooled(scene)
        if (
            self._features is not None
            and vector is not None
            and self._features.shape[1] == len(vector)
        ):
            values = np.maximum(self._features @ vector, 0.0)
        else:
            values = self._name_similarity(scene)
        order = np.argsort(-values, kind="stable")
        found = [
            (self._images[i], float(min(values[i], 1.0)))
            for i in order
            if self._images[i] != exclude and values[i] > 0
        ]
        return found[:count]

    def _name_similarity(self, scene: Scene) -> np.ndarray:
        values = np.zeros(len(self._images))
        for word, weight in self._normalized(self._bag(scene)).items():
            for number in self._holders.get(word, ()):
                values[number] += weight * self._weighted[number][word]
        return values

    def _bag(self, scene: Scene) -> dict[str, float]:
        bag: dict[str, float] = {}
        for item in scene.objects:
            name = " ".join(self._lemmatizer.lemmas(item.name)) or item.name
            bag[name] = max(bag.get(name, 0.0), float(item.score))
            for attribute, score in item.attributes.items():
                key = f"{name}\x1f{attribute}"
                bag[key] = max(bag.get(key, 0.0), _ATTRIBUTE_WEIGHT * float(score))
        return bag

    def _normalized(self, bag: dict[str, float]) -> dict[str, float]:
        total = len(self._images)
        weighted = {
            word: value * math.log(1 + (total + 1) / (self._counts.get(word, 0) + 1))
            for word, value in bag.items()
        }
        norm = math.sqrt(math.fsum(value * value for value in weighted.values()))
        return {word: value / norm for word, value in weighted.items()} if norm > 0 else {}


def _pooled(scene: Scene) -> np.ndarray | None:
    """The mean of a scene's region features at unit length: (D,)."""
    if scene.features is None or not len(scene.features):
        return None
    mean = np.asarray(scene.features, dtype=np.float64).mean(axis=0)
    norm = float(np.linalg.norm(mean))
    return mean / norm if norm > 0 else None
