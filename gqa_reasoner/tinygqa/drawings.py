"""Objects that the emoji font lacks, drawn in its flat style: tables, benches, beds, signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PIL import Image, ImageDraw

__all__ = ["DRAWINGS", "draw_object"]

_BROWN = (150, 92, 48, 255)
_BROWN_DARK = (112, 66, 34, 255)
_BROWN_LIGHT = (178, 116, 66, 255)
_BLUE = (52, 120, 214, 255)
_BLUE_DARK = (36, 92, 176, 255)
_BLUE_LIGHT = (92, 154, 236, 255)


def draw_object(name: str) -> Image.Image:
    """The drawing called `name` as RGBA, cropped to its visible pixels."""
    image = DRAWINGS[name]()
    return image.crop(image.getchannel("A").getbbox())


def _canvas(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (width, height))
    return image, ImageDraw.Draw(image)


def _table() -> Image.Image:
    image, draw = _canvas(220, 130)
    for left in (36, 170):
        draw.rectangle((left, 30, left + 10, 104), fill=_BROWN_DARK)
    for left in (12, 192):
        draw.rectangle((left, 30, left + 14, 128), fill=_BROWN)
    draw.polygon([(26, 0), (194, 0), (219, 26), (0, 26)], fill=_BROWN_LIGHT)
    draw.rectangle((0, 26, 219, 40), fill=_BROWN)
    draw.rectangle((0, 38, 219, 41), fill=_BROWN_DARK)
    return image


def _bench() -> Image.Image:
    image, draw = _canvas(200, 118)
    for left in (14, 174):
        draw.rectangle((left, 0, left + 12, 117), fill=_BROWN_DARK)
    for top in (4, 26):
        draw.rounded_rectangle((2, top, 198, top + 15), 3, fill=_BROWN)
    draw.polygon([(12, 58), (188, 58), (199, 76), (0, 76)], fill=_BROWN_LIGHT)
    draw.rectangle((0, 76, 199, 84), fill=_BROWN_DARK)
    for left in (2, 184):
        draw.rectangle((left, 84, left + 12, 117), fill=_BROWN)
    return image


def _shelf() -> Image.Image:
    image, draw = _canvas(150, 184)
    draw.rectangle((6, 4, 143, 176), fill=(112, 66, 34, 255))
    draw.rectangle((12, 4, 137, 176), fill=(88, 50, 26, 255))
    for top in (60, 118, 172):
        draw.rectangle((0, top, 149, top + 11), fill=_BROWN_LIGHT)
        draw.rectangle((0, top + 8, 149, top + 11), fill=_BROWN_DARK)
    for left in (0, 140):
        draw.rectangle((left, 0, left + 9, 183), fill=_BROWN)
    draw.rectangle((0, 0, 149, 9), fill=_BROWN_LIGHT)
    return image


def _couch() -> Image.Image:
    image, draw = _canvas(210, 112)
    for left in (22, 176):
        draw.rectangle((left, 96, left + 10, 111), fill=(90, 60, 40, 255))
    draw.rounded_rectangle((18, 0, 192, 84), 16, fill=_BLUE)
    draw.line((105, 4, 105, 58), fill=_BLUE_DARK, width=4)
    draw.rounded_rectangle((22, 54, 188, 84), 9, fill=_BLUE_LIGHT)
    draw.line((105, 56, 105, 82), fill=_BLUE_DARK, width=3)
    draw.rectangle((12, 80, 198, 100), fill=_BLUE_DARK)
    for left in (0, 176):
        draw.rounded_rectangle((left, 38, left + 33, 100), 13, fill=_BLUE)
    return image


def _bed() -> Image.Image:
    image, draw = _canvas(230, 116)
    draw.rounded_rectangle((0, 0, 16, 115), 5, fill=_BROWN_DARK)
    draw.rounded_rectangle((214, 40, 229, 115), 5, fill=_BROWN_DARK)
    draw.rectangle((10, 84, 220, 100), fill=_BROWN)
    draw.rounded_rectangle((16, 56, 214, 86), 6, fill=(236, 238, 242, 255))
    draw.rounded_rectangle((20, 38, 74, 64), 11, fill=(250, 250, 252, 255))
    draw.rounded_rectangle((64, 46, 215, 90), 9, fill=_BLUE)
    draw.rounded_rectangle((64, 46, 92, 90), 9, fill=_BLUE_LIGHT)
    draw.line((130, 52, 126, 86), fill=_BLUE_DARK, width=3)
    draw.line((176, 52, 174, 86), fill=_BLUE_DARK, width=3)
    return image


def _open_door() -> Image.Image:
    image, draw = _canvas(128, 160)
    draw.rectangle((0, 0, 84, 159), fill=_BROWN_DARK)
    draw.rectangle((9, 9, 76, 159), fill=(38, 36, 46, 255))
    draw.polygon([(76, 9), (126, 0), (126, 159), (76, 150)], fill=_BROWN)
    draw.polygon([(84, 22), (118, 16), (118, 72), (84, 72)], fill=_BROWN_LIGHT)
    draw.polygon([(84, 84), (118, 84), (118, 144), (84, 138)], fill=_BROWN_LIGHT)
    draw.ellipse((112, 74, 121, 83), fill=(240, 200, 70, 255))
    return image


def _stop_sign() -> Image.Image:
    image, draw = _canvas(90, 190)
    draw.rectangle((41, 60, 49, 189), fill=(150, 154, 160, 255))
    corners = [(27, 0), (63, 0), (89, 26), (89, 62), (63, 88), (27, 88), (1, 62), (1, 26)]
    draw.polygon(corners, fill=(250, 250, 250, 255))
    inner = [(45 + (x - 45) * 0.89, 44 + (y - 44) * 0.89) for x, y in corners]
    draw.polygon(inner, fill=(214, 36, 36, 255))
    for left, kind in ((14, "S"), (31, "T"), (47, "O"), (63, "P")):
        _letter(draw, left, 33, kind)
    return image


def _letter(draw: ImageDraw.ImageDraw, x: int, y: int, kind: str) -> None:
    strokes = {
        "S": [(12, 0), (0, 0), (0, 11), (12, 11), (12, 22), (0, 22)],
        "T": [(0, 0), (12, 0), (6, 0), (6, 22)],
        "O": [(0, 0), (12, 0), (12, 22), (0, 22), (0, 0)],
        "P": [(0, 22), (0, 0), (12, 0), (12, 11), (0, 11)],
    }
    points = [(x + across, y + down) for across, down in strokes[kind]]
    draw.line(points, fill=(255, 255, 255, 255), width=4, joint="curve")


DRAWINGS: Mapping[str, Callable[[], Image.Image]] = {
    "table": _table,
    "bench": _bench,
    "shelf": _shelf,
    "couch": _couch,
    "bed": _bed,
    "door": _open_door,
    "stop sign": _stop_sign,
}
"""Name of a `draw:NAME` look to its drawing; people are drawn in `people`."""
