from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from detectors.errors import InputError
from detectors.images import load_image

RED = (200, 30, 40)


def save(picture: PIL.Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def pixel(path: Path, place: tuple[int, int] = (5, 5)) -> tuple[int, ...]:
    picture = load_image(path)
    assert picture.mode == "RGB"
    return tuple(np.asarray(picture)[place[1], place[0]].tolist())


def test_cmyk_and_grey_and_palette_become_rgb(tmp_path: Path) -> None:
    red = PIL.Image.new("RGB", (20, 10), RED)
    cmyk = save(red.convert("CMYK"), tmp_path / "a.tif")
    assert np.allclose(pixel(cmyk), RED, atol=3)
    palette = save(red.quantize(8), tmp_path / "b.png")
    assert np.allclose(pixel(palette), RED, atol=3)
    grey = save(PIL.Image.new("L", (20, 10), 77), tmp_path / "c.png")
    assert pixel(grey) == (77, 77, 77)
    bilevel = save(PIL.Image.new("1", (20, 10), 1), tmp_path / "d.png")
    assert pixel(bilevel) == (255, 255, 255)


def test_sixteen_bit_pictures_keep_their_brightness(tmp_path: Path) -> None:
    values = np.full((10, 20), 32896, dtype=np.uint16)
    path = save(PIL.Image.fromarray(values), tmp_path / "deep.png")
    assert pixel(path) == (128, 128, 128)


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    clear = save(PIL.Image.new("RGBA", (20, 10), (*RED, 0)), tmp_path / "a.png")
    assert pixel(clear) == (255, 255, 255)
    half = save(PIL.Image.new("RGBA", (20, 10), (0, 0, 0, 128)), tmp_path / "b.png")
    assert np.allclose(pixel(half), 127, atol=1)
    palette = PIL.Image.new("P", (20, 10), 0)
    palette.putpalette([*RED] * 256)
    assert pixel(save(palette, tmp_path / "c.png", transparency=0)) == (255, 255, 255)


def test_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [PIL.Image.new("RGB", (20, 10), colour) for colour in (RED, (0, 0, 255))]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.allclose(pixel(path), RED, atol=3)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    picture = PIL.Image.new("RGB", (20, 10), RED)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    path = save(picture, tmp_path / "turned.jpg", exif=exif)
    assert load_image(path).size == (10, 20)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"hello, this is not a picture", "not a picture"),
        ("head.png", b"\x89PNG\r\n\x1a\n", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_truncated_pictures_are_refused(tmp_path: Path, kind: str) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(stream, kind)
    data = stream.getvalue()
    path = tmp_path / "cut"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cut: picture"):
        load_image(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_image(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="folder"):
        load_image(tmp_path)


def test_decompression_bombs_are_refused_before_decoding(tmp_path: Path) -> None:
    path = save(PIL.Image.new("1", (20_000, 20_000)), tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"20000x20000|too large"):
        load_image(path)
    small = save(PIL.Image.new("RGB", (200, 100)), tmp_path / "small.png")
    with pytest.raises(InputError, match="200x100"):
        load_image(small, max_pixels=10_000)
    assert load_image(small, max_pixels=20_000).size == (200, 100)
