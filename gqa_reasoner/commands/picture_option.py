"""The type of options that name a picture to write, checked before any work is done."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["picture_file"]


def picture_file(text: str) -> Path:
    """A path whose ending names a picture format that can be written.

    Raises:
        argparse.ArgumentTypeError: it has no ending, or one of another kind.
    """
    import PIL.Image

    place = Path(text)
    PIL.Image.init()
    if PIL.Image.EXTENSION.get(place.suffix.lower()) not in PIL.Image.SAVE:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a picture's name, such as out.png")
    return place
