"""Colours are named as people name them, on any background."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from detectors.colours import name_colours, srgb_to_lab

PATCHES = {
    "black": (12, 12, 14),
    "white": (248, 248, 250),
    "gray": (128, 128, 128),
    "red": (210, 30, 40),
    "orange": (255, 140, 0),
    "yellow": (250, 220, 40),
    "green": (40, 140, 50),
    "blue": (30, 60, 200),
    "purple": (128, 20, 140),
    "pink": (255, 170, 190),
    "brown": (120, 70, 30),
    "beige": (225, 205, 170),
}


def test_lab_of_published_reference_colours() -> None:
    # CIE 1976 L*a*b* of the sRGB primaries under D65, as tabulated by Lindbloom.
    golden = {
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.73, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
        (255, 255, 255): (100.0, 0.0, 0.0),
    }
    for rgb, lab in golden.items():
        assert srgb_to_lab(np.array(rgb)) == pytest.approx(lab, abs=0.02)


@pytest.mark.parametrize("name", PATCHES)
@pytest.mark.parametrize("background", [(120, 170, 90), (240, 240, 235), (30, 30, 40)])
@pytest.mark.parametrize("light", [0.8, 1.0])
def test_a_disc_is_named_by_its_own_colour_not_its_surroundings(
    name: str, background: tuple[int, int, int], light: float
) -> None:
    if np.abs(np.array(PATCHES[name]) - background).max() < 60:
        pytest.skip("a disc of the colour of its background cannot be seen")
    if light < 1 and name in {"white", "beige", "orange", "pink"}:
        pytest.skip("the name itself changes in dim light")
    image = Image.new("RGB", (200, 160), background)
    ImageDraw.Draw(image).ellipse((60, 40, 120, 100), fill=PATCHES[name])
    noise = np.random.default_rng(0).normal(0, 4, (160, 200, 3))
    image = Image.fromarray(np.clip(np.asarray(image) * light + noise, 0, 255).astype(np.uint8))
    colours = name_colours(image, (60, 40, 120, 100))
    assert next(iter(colours)) == name


def test_two_halves_give_two_colours() -> None:
    image = Image.new("RGB", (100, 100), (200, 20, 30))
    ImageDraw.Draw(image).rectangle((0, 50, 100, 100), fill=(30, 60, 200))
    assert set(name_colours(image, (0, 0, 100, 100))) == {"red", "blue"}


def test_a_box_outside_the_picture_has_no_colour() -> None:
    assert name_colours(Image.new("RGB", (10, 10)), (20, 20, 30, 30)) == {}
