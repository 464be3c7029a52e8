"""Reading picture files of any kind as RGB, with one clear line for those that cannot be read."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image
import PIL.ImageOps

from detectors.errors import InputError

__all__ = ["MAXIMUM_PIXELS", "load_image", "load_image_bytes", "named_pictures", "to_rgb"]

MAXIMUM_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decoded."""
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def load_image(path: str | Path, *, max_pixels: int = MAXIMUM_PIXELS) -> PIL.Image.Image:
    """Read a picture file as RGB.

    The EXIF rotation is applied; CMYK, grey, palette and 16-bit pictures are converted;
    transparency is put on white; of an animation the first frame is taken.

    Args:
        path: the file.
        max_pixels: largest number of pixels that is decoded.

    Returns:
        An RGB picture of 8 bits a channel.

    Raises:
        InputError: the file is missing, empty, truncated, not a picture or too large.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: picture: no such file")
    if not path.is_file():
        raise InputError(f"{path}: picture: expected a file, got a folder")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: picture: the file is empty (0 bytes)")
    except PermissionError as error:
        raise InputError(f"{path}: picture: no permission to read it") from error
    return _decode(path, str(path), max_pixels)


def named_pictures(
    images: Sequence[PIL.Image.Image | str | Path], image_ids: Sequence[str] | None = None
) -> Iterator[tuple[str, PIL.Image.Image]]:
    """(image id, RGB picture) of pictures or paths, opened one by one.

    Args:
        image_ids: one each; default: the stem of the path, else the position.

    Raises:
        InputError: the number of ids differs (at once), or a picture cannot be read.
    """
    if image_ids is not None and len(image_ids) != len(images):
        raise InputError(
            f"image_ids: expected one for each of {len(images)} pictures, got {len(image_ids)}"
        )
    return _named(images, image_ids)


def _named(
    images: Sequence[PIL.Image.Image | str | Path], image_ids: Sequence[str] | None
) -> Iterator[tuple[str, PIL.Image.Image]]:
    for position, item in enumerate(images):
        default = Path(item).stem if isinstance(item, (str, Path)) else str(position)
        picture = load_image(item) if isinstance(item, (str, Path)) else to_rgb(item)
        yield (default if image_ids is None else str(image_ids[position])), picture


def load_image_bytes(
    data: bytes, name: str, *, max_pixels: int = MAXIMUM_PIXELS
) -> PIL.Image.Image:
    """`load_image` for a picture file in memory; `name` is what errors call it."""
    if not data:
        raise InputError(f"{name}: picture: the file is empty (0 bytes)")
    return _decode(io.BytesIO(data), name, max_pixels)


def _decode(source: Path | BinaryIO, name: str, max_pixels: int) -> PIL.Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(source) as picture:
                width, height = picture.size
                if width * height > max_pixels:
                    raise InputError(
                        f"{name}: picture: {width}x{height} pixels are more than the "
                        f"{max_pixels:,} allowed"
                    )
                picture.seek(0)
                picture.load()
                return to_rgb(PIL.ImageOps.exif_transpose(picture))
    except InputError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"{name}: picture: too large to decode ({_line(error)})") from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{name}: picture: not a picture file that Pillow can read") from error
    except PermissionError as error:
        raise InputError(f"{name}: picture: no permission to read it") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        raise InputError(f"{name}: picture: damaged or truncated ({_line(error)})") from error


def to_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """A picture of any Pillow mode as RGB of 8 bits a channel, transparency put on white."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode in _SIXTEEN_BIT or picture.mode == "I":
        values = np.asarray(picture, dtype=np.float64)
        eight_bit = np.clip(np.round(values / 257), 0, 255).astype(np.uint8)
        return PIL.Image.fromarray(eight_bit).convert("RGB")
    if picture.mode == "F":
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
        scale = 255.0 if values.size and values.max() <= 1.0 else 1.0
        return PIL.Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", with_alpha.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, with_alpha).convert("RGB")
    return picture.convert("RGB")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
