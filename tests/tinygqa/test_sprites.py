from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gqa_reasoner.tinygqa.catalogue import catalogue
from gqa_reasoner.tinygqa.colors import color_shares
from gqa_reasoner.tinygqa.sprites import NAMED_SHARE, SpriteLibrary


@pytest.fixture(scope="module")
def library(font: Path) -> SpriteLibrary:
    return SpriteLibrary(font)


def test_every_offered_colour_is_the_commonest_of_the_pixels(library: SpriteLibrary) -> None:
    for name in ("apple", "car", "chair", "cat", "umbrella", "book", "bus"):
        for style in library.styles(name):
            if style.color is None:
                continue
            pixels = np.asarray(library.sprite(name, style), dtype=np.float32) / 255
            shares = color_shares(pixels)
            assert max(shares, key=lambda color: shares[color]) == style.color
            assert shares[style.color] >= NAMED_SHARE - 0.02


def test_every_class_can_be_drawn(library: SpriteLibrary) -> None:
    for name, row in catalogue().items():
        assert library.styles(name)
        if row.category != "person":
            assert library.sprite(name, library.styles(name)[0]).mode == "RGBA"


def test_sprites_are_kept(library: SpriteLibrary) -> None:
    style = library.styles("apple")[0]
    assert library.sprite("apple", style) is library.sprite("apple", style)
