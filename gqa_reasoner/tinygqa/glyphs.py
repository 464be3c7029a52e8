"""Glyphs of a colour emoji font as cut-out pictures."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from detectors.errors import InputError

__all__ = ["FONT_VARIABLE", "GLYPH_SIZE", "GlyphFont", "find_font"]

FONT_VARIABLE = "GQA_REASONER_EMOJI_FONT"
GLYPH_SIZE = 109
"""The one bitmap size that NotoColorEmoji.ttf holds, in pixels."""
_HINT = "install it with: apt-get install fonts-noto-color-emoji"
_LOCATIONS = (
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf",
    "/usr/local/share/fonts/NotoColorEmoji.ttf",
    "~/.local/share/fonts/NotoColorEmoji.ttf",
    "~/.fonts/NotoColorEmoji.ttf",
)


def find_font(font: Path | None = None) -> Path:
    """The emoji font: `font`, else `$GQA_REASONER_EMOJI_FONT`, else where systems install it.

    Raises:
        InputError: no such file; the line says how to install the font.
    """
    named = str(font) if font is not None else os.environ.get(FONT_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"{path}: emoji font not found; {_HINT}")
        return path
    for location in _LOCATIONS:
        path = Path(location).expanduser()
        if path.is_file():
            return path
    raise InputError(f"NotoColorEmoji.ttf: emoji font not found; {_HINT} (or give --font PATH)")


class GlyphFont:
    """Draws single-character glyphs of the colour emoji font at `path`.

    Raises:
        InputError: the file is not a colour bitmap font of size 109.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._font = ImageFont.truetype(
                str(path), GLYPH_SIZE, layout_engine=ImageFont.Layout.BASIC
            )
        except OSError as error:
            raise InputError(f"{path}: not NotoColorEmoji.ttf ({error}); {_HINT}") from None

    def glyph(self, character: str) -> Image.Image:
        """The glyph as RGBA, cropped to its visible pixels.

        Raises:
            InputError: the font has no such glyph.
        """
        canvas = Image.new("RGBA", (192, 192))
        ImageDraw.Draw(canvas).text((16, 16), character, font=self._font, embedded_color=True)
        box = canvas.getchannel("A").point([0] * 40 + [255] * 216).getbbox()
        if box is None or box[2] - box[0] < 8:
            raise InputError(f"{self.path}: no glyph U+{ord(character[0]):X}; {_HINT}")
        return canvas.crop(box)
