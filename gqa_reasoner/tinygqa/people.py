"""People: the font's faces on drawn bodies that stand, walk, run or sit, dressed in its clothes.

Legend: a figure is drawn on a canvas of `CANVAS` pixels, facing right; y grows downwards. Labels
are (H, W) uint8: 0 nothing, 1 the person, 2 + i the i-th worn object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from gqa_reasoner.tinygqa.colors import solid
from gqa_reasoner.tinygqa.sprites import SpriteLibrary, Style

__all__ = ["CANVAS", "FACES", "Figure", "WornObject", "draw_person"]

CANVAS = (260, 330)
_CENTRE = 120
_TOP = 60
_SKIN = (255, 202, 40, 255)
_HAIR = (88, 58, 50, 255)
_LIP = (96, 52, 40, 255)
_SHOE = (52, 52, 66, 255)
FACES = {
    "draw:man": "🧔",
    "draw:old man": "👴",
    "draw:woman": "👩",
    "draw:old woman": "👵",
    "draw:boy": "👦",
    "draw:girl": "👧",
    "draw:baby": "👶",
}
_BUILDS = {"adult": (72, 84, 74), "child": (80, 68, 56), "baby": (92, 56, 30)}
"""Heights of head, torso and legs in canvas pixels."""


@dataclass(frozen=True)
class WornObject:
    """Something that a person wears; `name` is its class."""

    name: str
    style: Style


@dataclass
class Figure:
    """A drawn person: RGBA canvas, label map and the points where other objects attach."""

    image: Image.Image
    labels: np.ndarray
    hand: tuple[float, float]
    """Where a held object is, in canvas pixels."""
    hip: tuple[float, float]
    """The point that rests on a seat or a back."""
    bottom: float
    """Canvas y of the soles."""
    worn: tuple[WornObject, ...] = field(default_factory=tuple)


def draw_person(
    library: SpriteLibrary,
    look: str,
    *,
    pose: str,
    expression: str,
    trousers: str,
    worn: Sequence[WornObject],
    holding: bool,
) -> Figure:
    """Draw one person.

    Args:
        library: where faces and clothes come from.
        look: a key of `FACES`.
        pose: `standing`, `walking`, `running`, `sitting` (on a seat) or `resting` (on the ground).
        expression: `happy`, `sad` or `sleeping`.
        trousers: colour name of the legs.
        worn: clothes; the first must cover the torso.
        holding: whether the front arm is stretched out to hold something.
    """
    baby = look == "draw:baby"
    child = look in ("draw:boy", "draw:girl")
    build = _BUILDS["baby" if baby else "child" if child else "adult"]
    head, torso, leg = build
    canvas = Image.new("RGBA", CANVAS)
    labels = np.zeros((CANVAS[1], CANVAS[0]), dtype=np.uint8)
    shoulder = (_CENTRE, _TOP + head - 2)
    hip = (_CENTRE, shoulder[1] + torso - 12)
    painter = _Painter(canvas, labels)
    bottom = _draw_legs(painter, hip, leg, pose, solid(trousers))
    hand = _draw_arms(painter, shoulder, torso, pose, worn[0], holding)
    top = worn[0]
    stretch = 1.28 if top.name == "dress" else 1.04
    width = 1.08 * torso if not baby else 1.2 * torso
    painter.paste(
        library.sprite(top.name, top.style),
        2,
        (_CENTRE, shoulder[1] + stretch * torso / 2 - 4),
        (width, stretch * torso),
    )
    face = draw_face(library, look, expression)
    scale = head / face.height
    face_width = face.width * scale
    painter.paste(face, 1, (_CENTRE, _TOP + head / 2), (face_width, head))
    for index, item in enumerate(worn[1:], start=3):
        _draw_extra(painter, library, item, index, head, min(face_width, head))
    return Figure(canvas, labels, hand, hip, bottom, tuple(worn))


class _Painter:
    """Draws on a canvas and keeps the label map of what covers each pixel."""

    def __init__(self, canvas: Image.Image, labels: np.ndarray) -> None:
        self.canvas = canvas
        self.labels = labels
        self.draw = ImageDraw.Draw(canvas)

    def limb(
        self, points: Sequence[tuple[float, float]], width: int, color: tuple[int, ...]
    ) -> None:
        """A bent limb with round joints."""
        mask = Image.new("L", self.canvas.size)
        for draw, fill in ((self.draw, color), (ImageDraw.Draw(mask), 255)):
            draw.line(list(points), fill=fill, width=width, joint="curve")
            for x, y in points:
                radius = width / 2
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        self.labels[np.asarray(mask) > 0] = 1

    def paste(
        self,
        sprite: Image.Image,
        label: int,
        centre: tuple[float, float],
        size: tuple[float, float],
    ) -> None:
        """A sprite, resized to `size`, around `centre`."""
        shape = (max(2, round(size[0])), max(2, round(size[1])))
        scaled = sprite.resize(shape, Image.Resampling.BILINEAR)
        left, top = round(centre[0] - size[0] / 2), round(centre[1] - size[1] / 2)
        self.canvas.alpha_composite(scaled, (max(left, 0), max(top, 0)))
        solid_part = np.asarray(scaled.getchannel("A")) > 100
        area = self.labels[max(top, 0) : max(top, 0) + shape[1], max(left, 0) :][:, : shape[0]]
        area[solid_part[: area.shape[0], : area.shape[1]]] = label


def _draw_legs(
    painter: _Painter, hip: tuple[float, float], leg: float, pose: str, color: tuple[int, ...]
) -> float:
    """Legs and shoes; returns the y of the soles."""
    x, y = hip
    fill = (*color[:3], 255)
    dark = (*(int(value * 0.78) for value in color[:3]), 255)
    width = 17
    paths: list[list[tuple[float, float]]]
    if pose == "standing":
        paths = [[(x - 12, y), (x - 13, y + leg)], [(x + 12, y), (x + 13, y + leg)]]
    elif pose == "walking":
        paths = [
            [(x - 4, y), (x - 16, y + leg * 0.5), (x - 40, y + leg * 0.9)],
            [(x + 4, y), (x + 22, y + leg * 0.5), (x + 28, y + leg)],
        ]
    elif pose == "running":
        paths = [
            [(x - 4, y), (x - 22, y + leg * 0.5), (x - 66, y + leg * 0.42)],
            [(x + 4, y), (x + 42, y + leg * 0.32), (x + 36, y + leg)],
        ]
    elif pose == "sitting":
        paths = [
            [(x - 6, y), (x + 34, y + 2), (x + 36, y + leg * 0.8)],
            [(x + 4, y + 5), (x + 46, y + 8), (x + 48, y + leg * 0.86)],
        ]
    else:
        paths = [
            [(x - 6, y), (x + leg * 0.9 + 14, y + 1)],
            [(x + 2, y + 8), (x + leg + 18, y + 10)],
        ]
    for path, shade in zip(paths, (dark, fill), strict=True):
        painter.limb(path, width, shade)
        (last_x, last_y) = path[-1]
        if pose == "running" and shade is dark:
            painter.limb([(last_x - 2, last_y - 6), (last_x - 4, last_y + 8)], 13, _SHOE)
        elif pose == "resting":
            painter.limb([(last_x + 2, last_y - 8), (last_x + 3, last_y + 1)], 13, _SHOE)
        else:
            painter.limb([(last_x, last_y + 3), (last_x + 11, last_y + 4)], 13, _SHOE)
    return max(point[1] for path in paths for point in path) + 10


def _draw_arms(
    painter: _Painter,
    shoulder: tuple[float, float],
    torso: float,
    pose: str,
    top: WornObject,
    holding: bool,
) -> tuple[float, float]:
    """Both arms; returns the place of the front hand."""
    x, y = shoulder
    side = 0.36 * torso
    sleeve = _SKIN
    if top.name == "jacket" and top.style.color is not None:
        sleeve = (*solid(top.style.color), 255)
    start = y + 14
    swing = {"running": 0.34, "walking": 0.16}.get(pose, 0.04) * torso
    elbow = (x - side - 6, start + 0.38 * torso)
    back = [(x - side, start), elbow, (elbow[0] - swing, start + 0.68 * torso)]
    if holding:
        hand = (x + side + 0.5 * torso, start + 0.36 * torso)
        front = [(x + side, start), (x + side + 8, start + 0.42 * torso), hand]
    elif pose == "running":
        hand = (x + side + 0.42 * torso, start + 0.22 * torso)
        front = [(x + side, start), (x + side + 8, start + 0.42 * torso), hand]
    else:
        hand = (x + side + 4 + swing, start + 0.7 * torso)
        front = [(x + side, start), (x + side + 6, start + 0.38 * torso), hand]
    for arm in (back, front):
        painter.limb(arm, 13, sleeve)
        if sleeve != _SKIN:
            painter.limb([arm[-1], arm[-1]], 14, _SKIN)
    return hand


def _draw_extra(
    painter: _Painter,
    library: SpriteLibrary,
    item: WornObject,
    label: int,
    head: float,
    width: float,
) -> None:
    sprite = library.sprite(item.name, item.style)
    aspect = sprite.width / sprite.height
    if item.name == "sunglasses":
        size = (0.98 * width, 0.98 * width / aspect)
        painter.paste(sprite, label, (_CENTRE, _TOP + 0.57 * head), size)
    elif item.name == "scarf":
        size = (0.72 * head * aspect, 0.72 * head)
        painter.paste(sprite, label, (_CENTRE - 2, _TOP + 1.3 * head), size)
    else:
        size = (1.16 * width, 1.16 * width / aspect)
        painter.paste(sprite, label, (_CENTRE, _TOP + 0.32 * head - size[1] / 2), size)


def draw_face(library: SpriteLibrary, look: str, expression: str) -> Image.Image:
    """The face of a look with an expression: open smile, frown with a tear, or closed eyes."""
    face = library.font.glyph(FACES[look])
    width, height = face.size
    draw = ImageDraw.Draw(face)
    old_man = look == "draw:old man"
    middle = width * (0.5 if look != "draw:girl" else 0.535)
    mouth = height * (0.835 if old_man else 0.83 if look != "draw:man" else 0.8)
    bearded = look == "draw:man"
    patch = _HAIR if bearded else _SKIN
    draw.ellipse((middle - 19, mouth - 11, middle + 19, mouth + 10), fill=patch)
    if expression == "happy":
        draw.chord((middle - 17, mouth - 19, middle + 17, mouth + 11), 0, 180, fill=_LIP)
        draw.rectangle((middle - 13, mouth - 4, middle + 13, mouth), fill=(255, 255, 255, 255))
    elif expression == "sad":
        lip = _SKIN if bearded else _LIP
        draw.arc((middle - 15, mouth - 6, middle + 15, mouth + 18), 200, 340, fill=lip, width=6)
        eye = width * 0.22
        tear = (middle - eye - 9, mouth - 22, middle - eye + 5, mouth + 2)
        draw.ellipse(tear, fill=(70, 160, 250, 255))
    else:
        lip = _SKIN if bearded else _LIP
        draw.line((middle - 9, mouth, middle + 9, mouth), fill=lip, width=5)
        eyes = height * (0.58 if not old_man else 0.585)
        for side in (-1, 1):
            x = middle + side * width * 0.205
            draw.ellipse((x - 12, eyes - 12, x + 12, eyes + 12), fill=_SKIN)
            draw.arc((x - 12, eyes - 10, x + 12, eyes + 8), 20, 160, fill=(64, 60, 60), width=5)
    return face
