"""Items: drawn objects with a position, mask and attributes, ready to be put into a picture.

Legend: masks are (h, w) bool crops; `left`, `top` place them in the picture, and may be negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from gqa_reasoner.tinygqa.catalogue import catalogue
from gqa_reasoner.tinygqa.people import Figure, WornObject, draw_person
from gqa_reasoner.tinygqa.sprites import SpriteLibrary, Style

__all__ = ["Item", "choose_ratio", "make_item", "make_person", "size_attribute"]

_SMALL_UP_TO, _LARGE_FROM = 0.75, 1.33
_UPRIGHT = frozenset({"stop sign", "clock", "television", "laptop", "traffic light", "newspaper"})
"""Classes whose text or order of parts would look wrong in a mirror."""


_LEGIBLE = {"man": 68, "woman": 68, "boy": 52, "girl": 52, "baby": 38}
"""Least height in pixels at which a face, about 21 pixels then, shows its expression."""
_HEADWEAR = frozenset({"hat", "cap", "helmet"})
"""Under these, the bald head and the grey bun that tell old people apart would not show."""


@dataclass
class Item:
    """One drawn object. `parts` are worn objects: (class, attributes, label in `labels`)."""

    name: str
    style: Style
    image: Image.Image
    mask: np.ndarray
    attributes: tuple[str, ...]
    left: int = 0
    top: int = 0
    labels: np.ndarray | None = None
    parts: tuple[tuple[str, tuple[str, ...], int], ...] = ()
    hand: tuple[float, float] = (0.0, 0.0)
    hip: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    place: str = "ground"
    """Where it is: ground, wall, sky, water, surface, held, ridden or seat."""
    links: list[tuple[str, Item]] = field(default_factory=list)
    """Composed relations (predicate, other item)."""

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.image.height

    @property
    def area(self) -> int:
        """Opaque pixels, whether visible or not."""
        return int(self.mask.sum())


def choose_ratio(rng: np.random.Generator, name: str, depth: float) -> float:
    """Height over the class's usual height: small, usual or large, never in between.

    `depth` is 0 far away to 1 near; it moves the usual sizes between 0.85 and 1.17 of the norm.
    """
    row = catalogue()[name]
    pick = rng.random()
    smallest = max(0.58, 21.0 / row.height)
    if pick < 0.14 and smallest < 0.72:
        return float(rng.uniform(smallest, 0.72))
    if pick > 0.86 and row.height * 1.36 < 122:
        return float(rng.uniform(1.36, min(1.6, 124 / row.height)))
    return float(np.clip(0.87 + 0.26 * depth + rng.uniform(-0.03, 0.04), 0.85, 1.17))


def size_attribute(ratio: float) -> tuple[str, ...]:
    """`small` or `large` where the ratio to the usual height is clear, else nothing."""
    if ratio <= _SMALL_UP_TO:
        return ("small",)
    return ("large",) if ratio >= _LARGE_FROM else ()


def _named(name: str, style: Style) -> tuple[str, ...]:
    states = catalogue()[name].looks[style.look].states
    return tuple(word for word in (style.color, style.material, *states) if word is not None)


def make_item(
    rng: np.random.Generator,
    library: SpriteLibrary,
    name: str,
    style: Style,
    ratio: float,
    turn: float = 0.0,
) -> Item:
    """Draw one object `ratio` times its usual height, turned by up to `turn` degrees."""
    sprite = library.sprite(name, style)
    height = max(4, round(catalogue()[name].height * ratio))
    width = max(4, round(sprite.width * height / sprite.height))
    mirrored = bool(rng.random() < 0.5) and name not in _UPRIGHT
    image = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else sprite
    angle = float(rng.uniform(-turn, turn)) if turn else 0.0
    reduced = image.resize(
        (width, height), Image.Resampling.BOX if height < 60 else Image.Resampling.BILINEAR
    )
    if abs(angle) > 1.0:
        reduced = reduced.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        reduced = reduced.crop(reduced.getchannel("A").point([0] * 60 + [255] * 196).getbbox())
    mask = np.asarray(reduced.getchannel("A")) > 60
    attributes = (*_named(name, style), *size_attribute(ratio))
    return Item(name, style, reduced, mask, attributes, mirrored=mirrored)


def make_person(
    rng: np.random.Generator,
    library: SpriteLibrary,
    name: str,
    ratio: float,
    *,
    pose: str,
    holding: bool,
    extras: Sequence[str],
) -> Item:
    """Draw one person in clothes of random colours; `extras` are further classes to wear."""
    row = catalogue()[name]
    look = int(rng.integers(len(row.looks))) if rng.random() < 0.5 else 0
    if not _HEADWEAR.isdisjoint(extras):
        look = 0
    tops = ["dress", "dress", "shirt", "jacket"] if name in ("woman", "girl") else ["shirt"] * 3
    if name in ("man", "boy"):
        tops = ["shirt", "shirt", "jacket"]
    worn = []
    for kind in (str(rng.choice(tops)), *extras):
        styles = library.styles(kind)
        worn.append(WornObject(kind, styles[int(rng.integers(len(styles)))]))
    moods = ["happy", "happy", "sad"]
    if pose in ("sitting", "resting") and "sunglasses" not in extras:
        moods.append("sleeping")
    mood = str(rng.choice(moods))
    figure = draw_person(
        library,
        row.looks[look].glyph,
        pose=pose,
        expression=mood,
        trousers=str(rng.choice(["blue", "gray", "black", "brown"])),
        worn=worn,
        holding=holding,
    )
    attributes = list(row.looks[look].states)
    hidden = "sunglasses" in extras and mood == "sad"
    if not hidden and row.height * ratio >= _LEGIBLE[name]:
        attributes.append(mood)
    attributes.append("sitting" if pose == "resting" else pose)
    if pose in ("standing", "walking", "running"):
        attributes.extend(size_attribute(ratio))
    return _scaled_person(rng, name, figure, row.height * ratio, tuple(attributes), look)


def _scaled_person(
    rng: np.random.Generator,
    name: str,
    figure: Figure,
    height: float,
    attributes: tuple[str, ...],
    look: int,
) -> Item:
    rows = np.flatnonzero((figure.labels > 0).any(axis=1))
    columns = np.flatnonzero((figure.labels > 0).any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    standing = {"baby": 178.0, "boy": 192.0, "girl": 192.0}.get(name, 218.0)
    scale = height / standing
    shape = (round((box[2] - box[0]) * scale), round((box[3] - box[1]) * scale))
    image = figure.image.resize(shape, Image.Resampling.BOX, box=box)
    labels_image = Image.fromarray(figure.labels).resize(shape, Image.Resampling.NEAREST, box=box)
    points = [((x - box[0]) * scale, (y - box[1]) * scale) for x, y in (figure.hand, figure.hip)]
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        labels_image = labels_image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        points = [(shape[0] - x, y) for x, y in points]
    labels = np.asarray(labels_image)
    parts = tuple(
        (worn.name, _named(worn.name, worn.style), label)
        for label, worn in enumerate(figure.worn, start=2)
    )
    return Item(
        name,
        Style(look),
        image,
        labels > 0,
        attributes,
        labels=labels,
        parts=parts,
        hand=points[0],
        hip=points[1],
        mirrored=mirrored,
    )
