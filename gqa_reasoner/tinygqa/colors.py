"""Colour names, recolouring and materials, all in the perceptual space OKLab (Ottosson 2020).

Legend: pixel arrays are (H, W, 4) float32 in 0..1, sRGB with straight alpha; `L` is lightness
0..1, `C` chroma, `h` hue in degrees.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gqa_reasoner.tinygqa.catalogue import COLORS

__all__ = ["TARGETS", "apply_material", "color_shares", "name_colors", "recolor", "solid"]

TARGETS: Mapping[str, tuple[float, float, float]] = {
    "red": (0.58, 0.225, 27.0),
    "orange": (0.74, 0.175, 58.0),
    "yellow": (0.88, 0.175, 98.0),
    "green": (0.62, 0.175, 144.0),
    "blue": (0.57, 0.175, 256.0),
    "purple": (0.48, 0.19, 305.0),
    "pink": (0.78, 0.135, 352.0),
    "brown": (0.43, 0.085, 52.0),
    "black": (0.24, 0.006, 260.0),
    "white": (0.955, 0.004, 260.0),
    "gray": (0.64, 0.008, 250.0),
}
"""The (L, C, h) at the middle of each colour name."""

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)
_FROM_LMS = np.linalg.inv(_TO_LMS).astype(np.float32)
_FROM_LAB = np.linalg.inv(_TO_LAB).astype(np.float32)


def to_lch(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sRGB (..., 3) in 0..1 to lightness, chroma and hue in degrees, each (...)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360.0
    return lab[..., 0], chroma, hue


def from_lch(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Lightness, chroma and hue in degrees (...) to sRGB (..., 3), clipped to 0..1."""
    angle = np.radians(hue)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    linear = np.clip((lab @ _FROM_LAB.T) ** 3 @ _FROM_LMS.T, 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def solid(color: str) -> tuple[int, int, int]:
    """The middle of a colour name as 8-bit sRGB."""
    lightness, chroma, hue = (np.array(value, dtype=np.float32) for value in TARGETS[color])
    red, green, blue = np.round(from_lch(lightness, chroma, hue) * 255).astype(int)
    return int(red), int(green), int(blue)


def name_colors(rgb: np.ndarray) -> np.ndarray:
    """The colour name of every pixel (..., 3) as an index into `COLORS` (...).

    Tans and creams have none of the names: they get `len(COLORS)`.
    """
    lightness, chroma, hue = to_lch(rgb)
    names = np.full(lightness.shape, COLORS.index("gray"))
    gray = chroma < 0.04
    names[gray & (lightness < 0.42)] = COLORS.index("black")
    names[gray & (lightness > 0.86)] = COLORS.index("white")
    edges = (
        (12.0, 36.0, "red"),
        (36.0, 79.0, "orange"),
        (79.0, 112.0, "yellow"),
        (112.0, 178.0, "green"),
        (178.0, 275.0, "blue"),
        (275.0, 333.0, "purple"),
    )
    colored = np.full(lightness.shape, COLORS.index("pink"))
    for low, high, name in edges:
        colored[(hue >= low) & (hue < high)] = COLORS.index(name)
    warm = (hue >= 15.0) & (hue < 100.0)
    colored[warm & (lightness < 0.60) & (chroma < 0.135)] = COLORS.index("brown")
    colored[(hue >= 42.0) & (hue < 100.0) & (lightness < 0.55)] = COLORS.index("brown")
    reddish = (hue >= 333.0) | (hue < 25.0)
    colored[reddish & (lightness < 0.64) & (chroma > 0.17)] = COLORS.index("red")
    colored[(hue < 42.0) & (lightness > 0.76)] = COLORS.index("pink")
    colored[(hue >= 42.0) & (hue < 100.0) & (lightness > 0.66) & (chroma < 0.115)] = len(COLORS)
    colored[(lightness < 0.27) & (chroma < 0.06)] = COLORS.index("black")
    return np.where(gray, names, colored)


def color_shares(pixels: np.ndarray) -> dict[str, float]:
    """Share of each colour name among the opaque pixels of (H, W, 4)."""
    opaque = pixels[..., 3] > 0.5
    if not opaque.any():
        return dict.fromkeys(COLORS, 0.0)
    counts = np.bincount(name_colors(pixels[opaque][:, :3]), minlength=len(COLORS) + 1)
    total = float(counts.sum())
    return {name: float(counts[index]) / total for index, name in enumerate(COLORS)}


def _distance(hue: np.ndarray, centre: float) -> np.ndarray:
    return np.abs((hue - centre + 180.0) % 360.0 - 180.0)


def dominant_weights(pixels: np.ndarray) -> np.ndarray:
    """How much each pixel belongs to the glyph's dominant colour, (H, W) in 0..1.

    The dominant colour is the fullest window of 50 degrees of hue, or the colourless pixels of
    middle and high lightness where those are more than one and a half times as many.
    """
    lightness, chroma, hue = to_lch(pixels[..., :3])
    opaque = pixels[..., 3] > 0.3
    colored = opaque & (chroma > 0.045)
    plain = opaque & (chroma <= 0.045) & (lightness > 0.15)
    histogram = np.bincount(
        (hue[colored] // 5).astype(int) % 72, weights=np.sqrt(chroma[colored]), minlength=72
    )
    window = sum(np.roll(histogram, shift) for shift in range(-5, 6))
    peak = float(np.argmax(window)) * 5 + 2.5
    near = colored & (_distance(hue, peak) < 30.0)
    if near.sum() * 1.5 < plain.sum():
        return np.clip((0.075 - chroma) / 0.03, 0.0, 1.0) * opaque
    closeness = np.clip((52.0 - _distance(hue, peak)) / 20.0, 0.0, 1.0)
    return closeness * np.clip((chroma - 0.02) / 0.03, 0.0, 1.0) * opaque


def recolor(
    pixels: np.ndarray, color: str, weights: np.ndarray | None = None, *, contrast: float = 0.75
) -> np.ndarray:
    """Move the dominant colour of (H, W, 4) to `color`, keeping its shading.

    `weights` (H, W) says which pixels move (default `dominant_weights`); `contrast` scales the
    differences of lightness around their mean.
    """
    if weights is None:
        weights = dominant_weights(pixels)
    lightness, _, _ = to_lch(pixels[..., :3])
    target_lightness, target_chroma, target_hue = TARGETS[color]
    total = float(weights.sum()) or 1.0
    mean = float((lightness * weights).sum()) / total
    if color in ("black", "white"):
        contrast *= 0.55
    new_lightness = np.clip(target_lightness + (lightness - mean) * contrast, 0.06, 0.985)
    new_chroma = np.full_like(lightness, target_chroma)
    changed = from_lch(new_lightness, new_chroma, np.full_like(lightness, target_hue))
    result = pixels.copy()
    mix = weights[..., None]
    result[..., :3] = pixels[..., :3] * (1 - mix) + changed * mix
    return result


def apply_material(pixels: np.ndarray, material: str, color: str | None) -> np.ndarray:
    """Draw the dominant part of (H, W, 4) as if made of `material`.

    Wood shows a grain, metal bright and dark bands, plastic flat colour with a highlight, glass
    is half transparent with light rims.
    """
    weights = dominant_weights(pixels)
    height, width = weights.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    if material == "wood":
        base = recolor(pixels, color or "brown", weights, contrast=0.6)
        wave = np.sin(rows * 0.78 + 2.2 * np.sin(columns * 0.055) + 0.8 * np.sin(columns * 0.17))
        return _shade(base, weights, np.where(wave > 0.35, -0.10, 0.035))
    if material == "metal":
        base = recolor(pixels, color or "gray", weights, contrast=0.85)
        wave = np.sin((columns + 0.6 * rows) * (2 * np.pi / 46.0))
        return _shade(base, weights, 0.13 * np.sign(wave) * np.abs(wave) ** 1.5)
    if material == "plastic":
        base = recolor(pixels, color or "red", weights, contrast=0.35)
        spot = ((columns / width - 0.3) / 0.22) ** 2 + ((rows / height - 0.22) / 0.12) ** 2
        return _shade(base, weights, 0.16 * (spot < 1.0))
    base = recolor(pixels, "blue", weights, contrast=0.5)
    lightness, _, hue = to_lch(base[..., :3])
    glassy = from_lch(0.55 + 0.5 * lightness.clip(0, 0.8), np.full_like(lightness, 0.045), hue)
    mix = weights[..., None]
    base[..., :3] = base[..., :3] * (1 - mix) + glassy * mix
    wave = np.sin((columns - rows) * (2 * np.pi / 60.0))
    base = _shade(base, weights, 0.12 * (wave > 0.75))
    rim = _rim(base[..., 3] > 0.4)
    base[..., 3] *= 1 - weights * np.where(rim, 0.1, 0.5)
    return base


def _shade(pixels: np.ndarray, weights: np.ndarray, change: np.ndarray) -> np.ndarray:
    lightness, chroma, hue = to_lch(pixels[..., :3])
    changed = from_lch(np.clip(lightness + change, 0.05, 0.985), chroma, hue)
    mix = weights[..., None]
    result = pixels.copy()
    result[..., :3] = pixels[..., :3] * (1 - mix) + changed * mix
    return result


def _rim(inside: np.ndarray, width: int = 4) -> np.ndarray:
    core = inside.copy()
    for axis in (0, 1):
        for shift in (-width, width):
            core &= np.roll(inside, shift, axis=axis)
    return inside & ~core
