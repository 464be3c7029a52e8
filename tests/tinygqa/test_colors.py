from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqa_reasoner.tinygqa.catalogue import COLORS
from gqa_reasoner.tinygqa.colors import (
    apply_material,
    color_shares,
    from_lch,
    name_colors,
    recolor,
    solid,
    to_lch,
)

CHANNEL = st.integers(0, 255)


@given(st.tuples(CHANNEL, CHANNEL, CHANNEL))
def test_lightness_chroma_hue_round_trips(color: tuple[int, int, int]) -> None:
    rgb = np.array(color, dtype=np.float64) / 255
    assert np.allclose(from_lch(*to_lch(rgb)), rgb, atol=2e-3)


@pytest.mark.parametrize("color", COLORS)
def test_the_middle_of_each_colour_has_its_name(color: str) -> None:
    index = int(name_colors(np.array(solid(color)) / 255))
    assert COLORS[index] == color


@pytest.mark.parametrize(
    ("rgb", "color"),
    [
        ((255, 0, 0), "red"),
        ((255, 165, 0), "orange"),
        ((255, 255, 0), "yellow"),
        ((0, 128, 0), "green"),
        ((0, 0, 255), "blue"),
        ((128, 0, 128), "purple"),
        ((255, 192, 203), "pink"),
        ((139, 69, 19), "brown"),
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((128, 128, 128), "gray"),
    ],
)
def test_the_names_agree_with_the_css_colours(rgb: tuple[int, int, int], color: str) -> None:
    assert COLORS[int(name_colors(np.array(rgb) / 255))] == color


def _disc(rgb: tuple[int, int, int]) -> np.ndarray:
    rows, columns = np.mgrid[0:40, 0:40]
    pixels = np.zeros((40, 40, 4), dtype=np.float32)
    pixels[..., :3] = np.array(rgb) / 255
    pixels[..., 3] = (rows - 20) ** 2 + (columns - 20) ** 2 < 300
    return pixels


@pytest.mark.parametrize("color", COLORS)
def test_recolouring_shows_the_named_colour_and_keeps_the_shape(color: str) -> None:
    disc = _disc((220, 40, 40))
    changed = recolor(disc, color)
    assert color_shares(changed)[color] > 0.95
    assert np.array_equal(changed[..., 3], disc[..., 3])


def test_recolouring_leaves_other_colours_alone() -> None:
    disc = _disc((220, 40, 40))
    disc[:8, :, :3] = np.array([30, 160, 60]) / 255
    changed = recolor(disc, "blue")
    assert np.allclose(changed[:8], disc[:8], atol=1e-3)


def test_materials_differ_in_texture_and_only_glass_is_transparent() -> None:
    disc = _disc((150, 92, 48))
    spread = {}
    for material in ("wood", "metal", "plastic", "glass"):
        changed = apply_material(disc, material, "red" if material == "plastic" else None)
        inside = disc[..., 3] > 0.5
        spread[material] = float(to_lch(changed[..., :3])[0][inside].std())
        assert (changed[..., 3][inside].min() < 0.9) == (material == "glass")
    assert spread["wood"] > 0.03
    assert spread["metal"] > spread["plastic"]
