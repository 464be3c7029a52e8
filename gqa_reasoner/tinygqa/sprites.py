"""Cut-out pictures of every class in every colour and material that the pixels really show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gqa_reasoner.tinygqa.catalogue import MATERIAL_COLORS, ObjectClass, catalogue
from gqa_reasoner.tinygqa.colors import apply_material, color_shares, recolor
from gqa_reasoner.tinygqa.drawings import draw_object
from gqa_reasoner.tinygqa.glyphs import GlyphFont, find_font

__all__ = ["NAMED_SHARE", "OWN_SHARE", "SpriteLibrary", "Style"]

NAMED_SHARE = 0.36
"""Least share of the opaque pixels that a named colour must have; it must also be the largest."""
OWN_SHARE = 0.5
"""The same for a glyph that is not recoloured because it has the colour already."""


@dataclass(frozen=True)
class Style:
    """How an object looks: which of its class's looks, and the colour and material asserted."""

    look: int = 0
    color: str | None = None
    material: str | None = None


class SpriteLibrary:
    """Renders and keeps the sprites of one font; sprites are RGBA, cropped, about 120 px high."""

    def __init__(self, font: Path | None = None) -> None:
        self.font = GlyphFont(find_font(font))
        self._bases: dict[str, np.ndarray] = {}
        self._sprites: dict[tuple[str, Style], Image.Image] = {}
        self._styles: dict[str, tuple[Style, ...]] = {}

    def base(self, glyph: str) -> np.ndarray:
        """Pixels (H, W, 4) float32 of a glyph or `draw:NAME`, in its own colours."""
        if glyph not in self._bases:
            name = glyph.removeprefix("draw:")
            image = self.font.glyph(glyph) if name == glyph else draw_object(name)
            self._bases[glyph] = np.asarray(image, dtype=np.float32) / 255.0
        return self._bases[glyph]

    def styles(self, name: str) -> tuple[Style, ...]:
        """Every verified style of a class; people are dressed in `people` and have one each."""
        if name not in self._styles:
            row = catalogue()[name]
            looks = range(len(row.looks))
            if row.category == "person":
                found = [Style(look) for look in looks]
            else:
                found = [style for look in looks for style in self._verified(row, look)]
            self._styles[name] = tuple(found)
        return self._styles[name]

    def sprite(self, name: str, style: Style) -> Image.Image:
        """The RGBA picture of a class in a style."""
        key = (name, style)
        if key not in self._sprites:
            pixels = self._pixels(catalogue()[name], style)
            eight_bit = np.round(pixels.clip(0, 1) * 255).astype(np.uint8)
            self._sprites[key] = Image.fromarray(eight_bit, "RGBA")
        return self._sprites[key]

    def _pixels(self, row: ObjectClass, style: Style) -> np.ndarray:
        base = self.base(row.looks[style.look].glyph)
        if style.material is not None:
            return apply_material(base, style.material, style.color)
        if style.color is None or _shows(base, style.color, OWN_SHARE):
            return base
        return recolor(base, style.color)

    def _verified(self, row: ObjectClass, look: int) -> list[Style]:
        found: list[Style] = []
        styles = [Style(look, color) for color in row.colors]
        for material in row.materials:
            tints: tuple[str | None, ...] = MATERIAL_COLORS[material] or (None,)
            styles += [Style(look, tint, material) for tint in tints]
        for style in styles:
            named = style.color
            if named is None or _shows(self._pixels(row, style), named, NAMED_SHARE):
                found.append(style)
        return found or [Style(look)]


def _shows(pixels: np.ndarray, color: str, share: float) -> bool:
    shares = color_shares(pixels)
    return shares[color] >= share and shares[color] == max(shares.values())
