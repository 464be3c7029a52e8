"""Captions of pictures from a file in one of the field's forms."""

from __future__ import annotations

from pathlib import Path

from gqa_reasoner.vlp.data.records import read_captions

__all__ = ["read_caption_map"]


def read_caption_map(path: Path) -> dict[str, str]:
    """The first caption of each picture, by its path and by its name without suffix.

    Raises:
        InputError: no such file, or not captions; the line names the place.
    """
    found: dict[str, str] = {}
    for record in read_captions(path):
        for key in (record.image, record.image_id):
            found.setdefault(key, record.captions[0])
    return found
