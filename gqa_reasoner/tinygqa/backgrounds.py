"""Procedural backgrounds: eight places, by day or night, in four kinds of weather.

Legend: a background is (240, 320, 3) float32 in 0..255; `floor` is the y where the ground starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["HEIGHT", "INDOORS", "WIDTH", "Background", "draw_background"]

WIDTH, HEIGHT = 320, 240
INDOORS = ("kitchen", "living room", "bedroom")
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Background:
    """A drawn place; `night` darkens the objects too."""

    image: Image.Image
    place: str
    weather: str | None
    night: bool
    floor: int
    water: tuple[int, int] | None
    """The rows (first, last) of open water."""


def draw_background(rng: np.random.Generator, place: str) -> Background:
    """Draw `place` with a random time, weather and details."""
    if place in INDOORS:
        floor = int(rng.integers(128, 146))
        image = Image.new("RGB", (WIDTH, HEIGHT))
        {"kitchen": _kitchen, "living room": _living_room, "bedroom": _bedroom}[place](
            rng, image, floor
        )
        return Background(image, place, None, False, floor, None)
    night = bool(rng.random() < 0.25)
    weather = str(
        rng.choice(
            ["clear", "cloudy"] if night else ["sunny", "cloudy", "rainy"],
            p=[0.6, 0.4] if night else [0.5, 0.3, 0.2],
        )
    )
    floor = int(rng.integers(96, 118))
    image = _sky(rng, floor, weather, night)
    water = _GROUNDS[place](rng, image, floor)
    if night:
        _darken(image, floor)
    if weather == "rainy":
        _rain(rng, image)
    return Background(image, place, weather, night, floor, water)


def _vary(rng: np.random.Generator, color: Color, amount: int = 14) -> Color:
    red, green, blue = (int(np.clip(v + rng.integers(-amount, amount + 1), 0, 255)) for v in color)
    return red, green, blue


def _gradient(image: Image.Image, top: int, bottom: int, first: Color, last: Color) -> None:
    share = np.linspace(0.0, 1.0, max(bottom - top, 1))[:, None, None]
    rows = np.array(first) * (1 - share) + np.array(last) * share
    block = np.broadcast_to(rows, (max(bottom - top, 1), image.width, 3)).astype(np.uint8)
    image.paste(Image.fromarray(np.ascontiguousarray(block)), (0, top))


def _speckle(
    rng: np.random.Generator, image: Image.Image, top: int, bottom: int, strength: float
) -> None:
    """Coarse grain on rows top..bottom, as of grass, sand or carpet."""
    rows = bottom - top
    coarse = rng.normal(0, strength, ((rows + 2) // 3, (WIDTH + 3) // 4))
    grain = np.kron(coarse, np.ones((3, 4)))[:rows, :WIDTH, None]
    block = np.asarray(image.crop((0, top, WIDTH, bottom)), dtype=np.float32) + grain
    image.paste(Image.fromarray(block.clip(0, 255).astype(np.uint8)), (0, top))


def _sky(rng: np.random.Generator, floor: int, weather: str, night: bool) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT))
    colors: dict[tuple[str, bool], tuple[Color, Color]] = {
        ("sunny", False): ((70, 150, 235), (190, 225, 250)),
        ("cloudy", False): ((150, 165, 182), (206, 214, 222)),
        ("rainy", False): ((96, 106, 120), (150, 158, 168)),
        ("clear", True): ((10, 14, 44), (36, 44, 92)),
        ("cloudy", True): ((22, 25, 40), (52, 56, 74)),
    }
    first, last = colors[weather, night]
    _gradient(image, 0, floor, _vary(rng, first, 8), _vary(rng, last, 8))
    draw = ImageDraw.Draw(image)
    x = int(rng.integers(30, WIDTH - 30))
    y = int(rng.integers(18, 40))
    if weather == "sunny":
        radius = int(rng.integers(11, 17))
        for extra, color in ((9, (150, 200, 240)), (4, (230, 232, 190)), (0, (255, 226, 90))):
            size = radius + extra
            draw.ellipse((x - size, y - size, x + size, y + size), fill=color)
    elif weather == "clear":
        for _ in range(int(rng.integers(40, 70))):
            star = (int(rng.integers(0, WIDTH)), int(rng.integers(0, floor - 6)))
            size = int(rng.random() < 0.3)
            draw.rectangle((*star, star[0] + size, star[1] + size), fill=(235, 235, 215))
        draw.ellipse((x - 12, y - 12, x + 12, y + 12), fill=(240, 238, 210))
        draw.ellipse((x - 6, y - 14, x + 16, y + 9), fill=first)
    else:
        base = 235 if weather == "cloudy" else 122
        _clouds(rng, image, floor, 70 if night else base, 7)
    return image


def _clouds(
    rng: np.random.Generator, image: Image.Image, floor: int, brightness: int, count: int
) -> None:
    layer = Image.new("L", image.size)
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(8, max(floor - 40, 30)))
        for _ in range(5):
            dx, dy = int(rng.integers(-26, 27)), int(rng.integers(-5, 6))
            radius = int(rng.integers(7, 15))
            box = (x + dx - radius * 1.5, y + dy - radius, x + dx + radius * 1.5, y + dy + radius)
            draw.ellipse(box, fill=255)
    layer = layer.filter(ImageFilter.BoxBlur(2))
    shade = brightness - int(rng.integers(0, 16))
    image.paste((shade, shade, min(shade + 6, 255)), (0, 0), layer)


def _rain(rng: np.random.Generator, image: Image.Image) -> None:
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(130):
        x, y = int(rng.integers(-10, WIDTH)), int(rng.integers(-10, HEIGHT))
        length = int(rng.integers(6, 13))
        draw.line((x, y, x - length // 3, y + length), fill=(205, 215, 230, 150))


def _darken(image: Image.Image, floor: int) -> None:
    block = np.asarray(image.crop((0, floor - 34, WIDTH, HEIGHT)), dtype=np.float32)
    share = np.full((block.shape[0], 1, 1), 0.46, dtype=np.float32)
    share[:34, 0, 0] = 1.0
    dark = block * share * np.where(share < 1, np.array([0.85, 0.92, 1.2]), 1.0)
    image.paste(Image.fromarray(dark.clip(0, 255).astype(np.uint8)), (0, floor - 34))


def _hills(rng: np.random.Generator, image: Image.Image, floor: int, color: Color) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 6))):
        x, wide = int(rng.integers(-20, WIDTH + 20)), int(rng.integers(50, 120))
        tall = int(rng.integers(10, 30))
        draw.ellipse((x - wide, floor - tall, x + wide, floor + tall), fill=_vary(rng, color, 10))


def _street(rng: np.random.Generator, image: Image.Image, floor: int) -> None:
    draw = ImageDraw.Draw(image)
    x = -5
    while x < WIDTH:
        wide, tall = int(rng.integers(26, 60)), int(rng.integers(22, 66))
        wall = _vary(rng, (132, 128, 132), 22)
        draw.rectangle((x, floor - tall, x + wide, floor), fill=wall)
        light = (236, 214, 130) if rng.random() < 0.4 else (96, 108, 124)
        for row in range(floor - tall + 6, floor - 8, 11):
            for column in range(x + 5, x + wide - 6, 10):
                draw.rectangle((column, row, column + 4, row + 5), fill=light)
        x += wide + int(rng.integers(0, 8))
    _gradient(image, floor, floor + 40, _vary(rng, (178, 174, 168), 8), (190, 186, 180))
    for column in range(int(rng.integers(0, 30)), WIDTH, 34):
        draw.line((column, floor, column - 12, floor + 40), fill=(154, 150, 146))
    draw.rectangle((0, floor + 38, WIDTH, floor + 42), fill=(126, 124, 122))
    _gradient(image, floor + 42, HEIGHT, _vary(rng, (88, 90, 94), 8), (104, 106, 110))
    stripe = (floor + 42 + HEIGHT) // 2
    for column in range(int(rng.integers(-30, 10)), WIDTH, 62):
        draw.polygon(
            [
                (column, stripe + 3),
                (column + 3, stripe - 3),
                (column + 35, stripe - 3),
                (column + 34, stripe + 3),
            ],
            fill=(226, 222, 200),
        )
    _speckle(rng, image, floor, HEIGHT, 4.0)


def _park(rng: np.random.Generator, image: Image.Image, floor: int) -> None:
    draw = ImageDraw.Draw(image)
    for column in range(-10, WIDTH + 10, 15):
        radius = int(rng.integers(9, 17))
        box = (column - radius, floor - radius, column + radius, floor + radius)
        draw.ellipse(box, fill=_vary(rng, (58, 112, 62), 12))
    _gradient(image, floor, HEIGHT, _vary(rng, (104, 164, 84), 10), (132, 190, 100))
    left = int(rng.integers(40, 220))
    end = int(rng.integers(-60, 260))
    path = [(left, floor), (left + 22, floor), (end + 130, HEIGHT), (end, HEIGHT)]
    draw.polygon(path, fill=_vary(rng, (208, 192, 158), 10))
    _speckle(rng, image, floor, HEIGHT, 6.0)


def _field(rng: np.random.Generator, image: Image.Image, floor: int) -> None:
    _hills(rng, image, floor, (104, 148, 92))
    _gradient(image, floor, HEIGHT, _vary(rng, (186, 178, 92), 12), (206, 188, 110))
    draw = ImageDraw.Draw(image)
    middle = int(rng.integers(80, 240))
    for offset in range(-900, 901, 60):
        draw.line((middle + offset // 6, floor, middle + offset, HEIGHT), fill=(150, 148, 70))
    for column in range(int(rng.integers(0, 26)), WIDTH, 27):
        draw.rectangle((column, floor - 14, column + 3, floor + 4), fill=(132, 100, 70))
    for row in (floor - 10, floor - 3):
        draw.line((0, row, WIDTH, row), fill=(146, 112, 80), width=2)
    _speckle(rng, image, floor + 5, HEIGHT, 6.0)


def _waves(rng: np.random.Generator, image: Image.Image, top: int, bottom: int) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range((bottom - top) * 2):
        x, y = int(rng.integers(-10, WIDTH)), int(rng.integers(top + 2, bottom))
        wide = int(6 + 16 * (y - top) / max(HEIGHT - top, 1) + rng.integers(0, 8))
        color = (126, 184, 222) if rng.random() < 0.6 else (40, 98, 158)
        draw.arc((x, y - 3, x + wide, y + 3), 190, 350, fill=color)


def _beach(rng: np.random.Generator, image: Image.Image, floor: int) -> tuple[int, int]:
    shore = floor + int(rng.integers(34, 52))
    _gradient(image, floor, shore, (34, 104, 170), (86, 172, 206))
    _waves(rng, image, floor, shore)
    _gradient(image, shore, HEIGHT, _vary(rng, (228, 206, 158), 8), (238, 220, 176))
    draw = ImageDraw.Draw(image)
    for column in range(-10, WIDTH, 18):
        rise = int(rng.integers(2, 6))
        draw.ellipse((column, shore - rise, column + 26, shore + rise), fill=(240, 244, 244))
    _speckle(rng, image, shore + 6, HEIGHT, 6.0)
    return floor, shore - 4


def _ocean(rng: np.random.Generator, image: Image.Image, floor: int) -> tuple[int, int]:
    _gradient(image, floor, HEIGHT, _vary(rng, (30, 92, 156), 8), _vary(rng, (52, 132, 190), 8))
    _waves(rng, image, floor, HEIGHT)
    return floor, HEIGHT


_GROUNDS = {
    "street": _street,
    "park": _park,
    "field": _field,
    "beach": _beach,
    "ocean": _ocean,
}


def _kitchen(rng: np.random.Generator, image: Image.Image, floor: int) -> None:
    wall = _vary(rng, (226, 232, 228), 12)
    image.paste(wall, (0, 0, WIDTH, floor))
    draw = ImageDraw.Draw(image)
    line = (wall[0] - 24, wall[1] - 24, wall[2] - 24)
    for column in range(0, WIDTH, 16):
        draw.line((column, 40, column, floor), fill=line)
    for row in range(40, floor, 16):
        draw.line((0, row, WIDTH, row), fill=line)
    cabinet = _vary(rng, (150, 164, 172), 26)
    dark = (cabinet[0] - 34, cabinet[1] - 34, cabinet[2] - 34)
    for column in range(int(rng.integers(-40, 0)), WIDTH, 54):
        draw.rectangle((column, 0, column + 52, 36), fill=cabinet, outline=dark)
        draw.rectangle((column + 6, 4, column + 46, 30), outline=dark)
        draw.rectangle((column + 24, 31, column + 30, 33), fill=dark)
    first, second = _vary(rng, (214, 206, 194), 10), _vary(rng, (180, 172, 164), 10)
    rows = np.arange(floor, HEIGHT)
    depth = 900.0 / (rows - floor + 26)
    across = (np.arange(WIDTH)[None, :] - 160) * depth[:, None] / 30.0
    checks = (np.floor(across / 34) + np.floor(depth[:, None] * 0.36)).astype(int) % 2
    block = np.where(checks[..., None] == 0, np.array(first), np.array(second))
    image.paste(Image.fromarray(block.astype(np.uint8)), (0, floor))
    draw.rectangle((0, floor - 3, WIDTH, floor), fill=dark)


def _living_room(rng: np.random.Generator, image: Image.Image, floor: int) -> None:
    wall = _vary(rng, (226, 204, 170), 14)
    image.paste(wall, (0, 0, WIDTH, floor))
    draw = ImageDraw.Draw(image)
    stripe = (wall[0] - 14, wall[1] - 14, wall[2] - 14)
    for column in range(0, WIDTH, 22):
        draw.rectangle((column, 0, column + 9, floor), fill=stripe)
    draw.rectangle((0, floor - 6, WIDTH, floor), fill=(244, 240, 232))
    wood = _vary(rng, (186, 146, 104), 12)
    image.paste(wood, (0, floor, WIDTH, HEIGHT))
    for row in range(floor + 8, HEIGHT, 11):
        draw.line((0, row, WIDTH, row), fill=(wood[0] - 24, wood[1] - 24, wood[2] - 22))
    rug = _vary(rng, (168, 108, 112), 30)
    draw.ellipse((50, floor + 26, 270, HEIGHT + 14), fill=rug)
    light = (min(rug[0] + 30, 255), min(rug[1] + 30, 255), min(rug[2] + 30, 255))
    draw.ellipse((66, floor + 34, 254, HEIGHT + 4), outline=light, width=3)


def _bedroom(rng: np.random.Generator, image: Image.Image, floor: int) -> None:
    _gradient(image, 0, floor, _vary(rng, (186, 196, 224), 16), (206, 212, 232))
    draw = ImageDraw.Draw(image)
    cloth = _vary(rng, (150, 140, 190), 24)
    for left in (-14, WIDTH - 30):
        for fold in range(0, 44, 11):
            shade = cloth if fold % 22 == 0 else tuple(value - 18 for value in cloth)
            draw.rectangle((left + fold, 0, left + fold + 10, floor + 6), fill=shade)
    draw.rectangle((0, 0, WIDTH, 5), fill=(124, 112, 120))
    image.paste(_vary(rng, (170, 166, 178), 12), (0, floor, WIDTH, HEIGHT))
    draw.rectangle((0, floor - 4, WIDTH, floor), fill=(240, 240, 244))
    _speckle(rng, image, floor, HEIGHT, 7.0)
