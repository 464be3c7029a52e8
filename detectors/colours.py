"""Colour names of a region from its pixels, in CIELAB.

Legend: H, W region height and width in pixels; Lab after CIE 1976 (D65), L in 0..100, hue in
degrees. A region's background is judged from the ring around its box, so that the wall behind a
cup does not name the cup.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

__all__ = ["COLOUR_NAMES", "name_colours", "pixel_colours", "srgb_to_lab"]

COLOUR_NAMES = (
    "black",
    "white",
    "gray",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "beige",
)
_INDEX = {name: position for position, name in enumerate(COLOUR_NAMES)}
_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE_D65 = np.array([0.95047, 1.0, 1.08883])
_LONGEST_SIDE = 48
_HUE_BORDERS = np.array([40.0, 68.0, 106.0, 199.0, 310.0, 336.0])
_HUE_NAMES = ("red", "orange", "yellow", "green", "blue", "purple", "pink")


def srgb_to_lab(pixels: np.ndarray) -> np.ndarray:
    """sRGB (..., 3), 0..255, to CIELAB (..., 3): L 0..100, a and b (IEC 61966-2-1, CIE 15)."""
    values = np.asarray(pixels, dtype=np.float64) / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ_OF_RGB.T / _WHITE_D65
    cubic = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = cubic[..., 0], cubic[..., 1], cubic[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def pixel_colours(lab: np.ndarray) -> np.ndarray:
    """Index into `COLOUR_NAMES` for each CIELAB pixel; (..., 3) to (...)."""
    lightness, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a)) % 360
    by_hue = np.array([_INDEX[name] for name in _HUE_NAMES])
    names = by_hue[np.searchsorted(_HUE_BORDERS, hue, side="right")]
    names = np.where((hue >= 97) & (hue < 106) & (lightness < 60), _INDEX["green"], names)
    warm = (hue >= 20) & (hue < 100)
    reddish = (hue < 34) | (hue >= 336)
    names = np.where(reddish & (lightness > 62) & (chroma < 62), _INDEX["pink"], names)
    brown = (
        warm & (lightness < 58) & (chroma < 30 + 0.6 * lightness) & ((hue >= 42) | (chroma < 38))
    )
    names = np.where(brown, _INDEX["brown"], names)
    beige = (hue >= 50) & (hue < 105) & (lightness >= 58) & (chroma < 32)
    names = np.where(beige, _INDEX["beige"], names)
    colourless = chroma < np.where(lightness > 75, 9.0, np.where(lightness < 30, 16.0, 11.0))
    grey = np.select(
        [lightness < 27, lightness > 80], [_INDEX["black"], _INDEX["white"]], _INDEX["gray"]
    )
    return np.where(colourless | (lightness < 9), grey, names)


def name_colours(
    image: Image.Image, box: tuple[float, float, float, float], *, minimum: float = 0.2
) -> dict[str, float]:
    """The colours of what fills `box`, with their shares of its pixels, largest first.

    Args:
        image: RGB picture.
        box: (x1, y1, x2, y2) in its pixels.
        minimum: colours with a smaller share are left out (the largest never is).

    Returns:
        Colour name to share in 0..1; empty when the box holds no pixel of the picture.
    """
    inside = _crop(image, box, 0.0)
    if inside is None:
        return {}
    pixels, weights = inside
    lab = srgb_to_lab(pixels).reshape(-1, 3)
    weights = weights.ravel() * _foreground(image, box, lab)
    shares = np.bincount(pixel_colours(lab), weights=weights, minlength=len(COLOUR_NAMES))
    shares = shares / shares.sum()
    order = np.argsort(-shares, kind="stable")
    return {
        COLOUR_NAMES[position]: float(shares[position])
        for rank, position in enumerate(order)
        if shares[position] >= minimum or rank == 0
    }


def _crop(
    image: Image.Image, box: tuple[float, float, float, float], margin: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixels (H, W, 3) of the box grown by `margin` of its size; weights falling off outwards."""
    x1, y1, x2, y2 = box
    grow_x, grow_y = (x2 - x1) * margin, (y2 - y1) * margin
    left, top = max(0, round(x1 - grow_x)), max(0, round(y1 - grow_y))
    right, bottom = min(image.width, round(x2 + grow_x)), min(image.height, round(y2 + grow_y))
    if right <= left or bottom <= top:
        return None
    scale = min(1.0, _LONGEST_SIDE / max(right - left, bottom - top))
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    region = image.crop((left, top, right, bottom)).convert("RGB")
    pixels = np.asarray(region.resize(size, Image.Resampling.BOX))
    rows = np.linspace(-1, 1, size[1])[:, None] if size[1] > 1 else np.zeros((1, 1))
    columns = np.linspace(-1, 1, size[0])[None, :] if size[0] > 1 else np.zeros((1, 1))
    weights = np.exp(-(rows**2 + columns**2) / 0.7)
    return pixels, weights


def _foreground(
    image: Image.Image, box: tuple[float, float, float, float], lab: np.ndarray
) -> np.ndarray:
    """Weight of each inside pixel (P,): low where it looks like the ring around the box."""
    grown = _crop(image, box, 0.25)
    if grown is None:
        return np.ones(len(lab))
    pixels, _ = grown
    height, width = pixels.shape[:2]
    ring = np.ones((height, width), dtype=bool)
    ring[height // 6 : height - height // 6, width // 6 : width - width // 6] = False
    outside = srgb_to_lab(pixels[ring])
    if len(outside) < 8:
        return np.ones(len(lab))
    if len(outside) > 200:
        outside = outside[:: len(outside) // 200]
    distances = np.linalg.norm(lab[:, None] - outside[None], axis=-1)
    alike = (distances < 12).mean(axis=1)
    weights = 1 / (1 + (alike / 0.08) ** 2)
    kept = weights.mean()
    if kept < 0.08:  # nothing stands out from its surroundings: believe every pixel
        return np.ones(len(lab))
    return weights + 1e-6
