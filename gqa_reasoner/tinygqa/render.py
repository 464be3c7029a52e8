"""One picture of TinyGQA and its scene graph, a function of (seed, index) and the font alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.tinygqa.backgrounds import HEIGHT, INDOORS, WIDTH, Background, draw_background
from gqa_reasoner.tinygqa.catalogue import PLACES
from gqa_reasoner.tinygqa.items import Item
from gqa_reasoner.tinygqa.layout import compose
from gqa_reasoner.tinygqa.relations import above, hides, left_of, near
from gqa_reasoner.tinygqa.sprites import SpriteLibrary
from gqa_reasoner.tinygqa.stage import LEAST_SIDE, Stage, paint

__all__ = ["Plan", "image_id", "jpeg_bytes", "plan_scene", "render_scene"]

_PLACE_SHARES = (0.15, 0.13, 0.11, 0.17, 0.14, 0.14, 0.11, 0.05)
_LEAST_PART = 0.35
"""Least visible share of a worn object."""


def image_id(seed: int, index: int) -> str:
    """The id of picture `index` of `seed`."""
    return f"tiny{seed}_{index:06d}"


@cache
def _library(font: Path | None) -> SpriteLibrary:
    return SpriteLibrary(font)


@dataclass(frozen=True)
class Plan:
    """A composed picture before it is painted, with its scene graph."""

    scene: Scene
    background: Background
    items: Sequence[Item]
    rng: np.random.Generator
    """The picture's generator, as the composition left it."""

    def paint(self) -> Image.Image:
        """The picture; call it once, as it goes on with the generator."""
        return _photograph(self.rng, paint(self.background.image, self.items), self.background)


def render_scene(seed: int, index: int, font: Path | None = None) -> tuple[Image.Image, Scene]:
    """Draw picture `index` of `seed` and write down what it shows.

    Raises:
        InputError: the emoji font is missing.
    """
    plan = plan_scene(seed, index, font)
    return plan.paint(), plan.scene


def plan_scene(seed: int, index: int, font: Path | None = None) -> Plan:
    """Compose picture `index` of `seed` without painting it.

    Raises:
        InputError: the emoji font is missing.
    """
    library = _library(font)
    rng = np.random.default_rng([seed, index])
    place = str(rng.choice(PLACES, p=_PLACE_SHARES))
    background = draw_background(rng, place)
    stage = compose(rng, library, background)
    items = stage.ordered()
    scene = describe(image_id(seed, index), background, stage, items)
    return Plan(scene, background, items, rng)


def jpeg_bytes(seed: int, index: int, image: Image.Image) -> bytes:
    """The picture as JPEG of a quality that depends on (seed, index)."""
    quality = int(np.random.default_rng([seed, index, 1]).integers(80, 96))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _photograph(
    rng: np.random.Generator, image: Image.Image, background: Background
) -> Image.Image:
    """Brightness, blur and noise as of a camera; colours keep their names."""
    if rng.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.75))))
    light = float(rng.uniform(0.9, 1.07)) * (0.9 if background.night else 1.0)
    sigma = float(rng.choice([0.0, 2.0, 4.0, 6.0]))
    pixels = np.asarray(image, dtype=np.float32) * light
    if sigma:
        pixels += sigma * rng.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@dataclass
class _Entry:
    """One annotated object, before it gets its id; `label` 1 is the item itself."""

    item: Item
    label: int
    id: str
    record: SceneObject


def describe(name: str, background: Background, stage: Stage, items: Sequence[Item]) -> Scene:
    """The scene graph of a stage: visible boxes, attributes, relations."""
    visible = stage.visible(items)
    entries: dict[tuple[int, int], _Entry] = {}
    for number, item in enumerate(items):
        parts = [(item.name, item.attributes, 1), *item.parts]
        for title, attributes, label in parts:
            found = visible.get((number, label))
            if found is None or (label > 1 and found.share < _LEAST_PART):
                continue
            x1, y1, x2, y2 = found.box
            if min(x2 - x1, y2 - y1) < LEAST_SIDE:
                continue
            object_id = str(len(entries) + 1)
            words = dict.fromkeys(attributes, 1.0)
            record = SceneObject(object_id, title, 1.0, found.box, words)
            entries[number, label] = _Entry(item, label, object_id, record)
    relations = _relations(list(entries.values()), stage)
    facts = {"location": "indoors" if background.place in INDOORS else "outdoors"}
    facts["place"] = background.place
    if background.weather is not None:
        facts["weather"] = background.weather
    records = [entry.record for entry in entries.values()]
    return Scene(name, WIDTH, HEIGHT, records, relations, facts)


_INVERSE = {
    "on": "under",
    "in front of": "behind",
    "above": "below",
    "near": "near",
    "to the left of": "to the right of",
}


def _relations(entries: Sequence[_Entry], stage: Stage) -> list[Relation]:
    ids = {id(entry.item): entry.id for entry in entries if entry.label == 1}
    pairs: list[tuple[str, str, str]] = []
    linked: set[frozenset[str]] = set()
    for entry in entries:
        if entry.label > 1 and id(entry.item) in ids:
            pairs.append((ids[id(entry.item)], "wearing", entry.id))
            linked.add(frozenset((ids[id(entry.item)], entry.id)))
        for predicate, other in entry.item.links if entry.label == 1 else ():
            if id(other) in ids:
                pairs.append((entry.id, predicate, ids[id(other)]))
                linked.add(frozenset((entry.id, ids[id(other)])))
    pairs += _depth_pairs(entries, stage, linked)
    for first in entries:
        for second in entries:
            if left_of(first.record.box, second.record.box):
                pairs.append((first.id, "to the left of", second.id))
    found: dict[tuple[str, str, str], None] = {}
    for subject, predicate, target in pairs:
        found[subject, predicate, target] = None
        if predicate in _INVERSE:
            found[target, _INVERSE[predicate], subject] = None
    return [Relation(*triple) for triple in found]


def _depth_pairs(
    entries: Sequence[_Entry], stage: Stage, linked: set[frozenset[str]]
) -> list[tuple[str, str, str]]:
    """In front of, above and near, between the leading items of different groups."""
    order = sorted(stage.groups, key=lambda group: (not group.behind, group.ground))
    heads = {id(group.items[0]): number for number, group in enumerate(order)}
    riders = {
        id(item): heads[id(group.items[0])]
        for group in order
        for item in group.items
        if item.labels is not None
    }
    places = {**riders, **heads}
    leading = [entry for entry in entries if entry.label == 1 and id(entry.item) in places]
    pairs: list[tuple[str, str, str]] = []
    for first in leading:
        for second in leading:
            depth = places[id(first.item)] - places[id(second.item)]
            if depth <= 0 or frozenset((first.id, second.id)) in linked:
                continue
            high = second.item.place in ("wall", "sky")
            if hides([first.item], second.item):
                pairs.append((first.id, "in front of", second.id))
            elif high and above(second.record.box, first.record.box):
                pairs.append((second.id, "above", first.id))
            elif second.item.place == first.item.place == "ground" and near(
                first.record.box, second.record.box
            ):
                pairs.append((first.id, "near", second.id))
    return pairs
