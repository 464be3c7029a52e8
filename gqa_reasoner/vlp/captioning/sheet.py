"""Contact sheets: pictures with their captions beside them, to be looked at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from detectors.errors import InputError

__all__ = ["SheetItem", "contact_sheet"]

_GAP = 12


@dataclass(frozen=True)
class SheetItem:
    """A picture, what was said about it, and what people said."""

    image: PIL.Image.Image
    caption: str
    references: tuple[str, ...] = ()
    title: str = ""


def contact_sheet(
    items: Sequence[SheetItem], *, columns: int = 2, side: int = 200, text_width: int = 420
) -> PIL.Image.Image:
    """One picture of all items, row by row.

    Args:
        side: longest side of a picture in pixels.
        text_width: pixels for the text beside it.

    Raises:
        InputError: no items, or fewer than one column.
    """
    if not items or columns < 1:
        raise InputError(f"contact sheet: expected items and columns, got {len(items)}, {columns}")
    rows = -(-len(items) // columns)
    width, height = side + text_width + 2 * _GAP, side + _GAP
    sheet = PIL.Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for number, item in enumerate(items):
        left = _GAP + number % columns * width
        top = _GAP + number // columns * height
        picture = item.image.copy()
        picture.thumbnail((side, side))
        sheet.paste(picture, (left, top))
        _write(draw, item, (left + side + _GAP, top), text_width, side)
    return sheet


def _write(
    draw: PIL.ImageDraw.ImageDraw,
    item: SheetItem,
    place: tuple[int, int],
    width: int,
    height: int,
) -> None:
    left, top = place
    bottom = top + height
    parts = [(item.title, 13, "gray"), (item.caption, 18, "black")]
    parts += [(f"- {text}", 13, "gray") for text in item.references]
    for text, size, colour in parts:
        if not text:
            continue
        font = PIL.ImageFont.load_default(size=size)
        letters = max(8, int(width / (size * 0.52)))
        for line in textwrap.wrap(text, letters):
            if top + size > bottom:
                return
            draw.text((left, top), line, fill=colour, font=font)
            top += size + 4
