"""Pictures that visitors upload: checked before they are decoded, kept in memory for a while."""

from __future__ import annotations

import io
import secrets
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass

import PIL.Image
import PIL.ImageOps

from detectors.images import to_rgb
from detectors.scene import Scene
from gqa_reasoner.web.errors import RequestError
from gqa_reasoner.web.limits import Limits

__all__ = ["Upload", "UploadStore", "read_upload", "shown"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Pillow's readers that an upload may reach."""
_LONGEST_SHOWN = 2048


@dataclass
class Upload:
    """One uploaded picture."""

    token: str
    width: int
    height: int
    jpeg: bytes
    """What the page shows; boxes refer to `width` and `height`."""
    scene: Scene


class UploadStore:
    """The last uploads, bounded in number and in bytes; nothing is written to disk."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, picture: PIL.Image.Image, scene: Scene) -> Upload:
        """Keep a picture and forget the oldest ones beyond the bounds."""
        upload = Upload(secrets.token_urlsafe(16), *picture.size, shown(picture), scene)
        with self._lock:
            self._kept[upload.token] = upload
            while len(self._kept) > 1 and (
                len(self._kept) > self.limits.uploads
                or sum(len(item.jpeg) for item in self._kept.values()) > self.limits.upload_memory
            ):
                self._kept.popitem(last=False)
        return upload

    def get(self, token: str) -> Upload:
        """An upload.

        Raises:
            RequestError: 404, forgotten or never made.
        """
        with self._lock:
            found = self._kept.get(token)
            if found is not None:
                self._kept.move_to_end(token)
        if found is None:
            raise RequestError(404, "this upload is not kept any more; upload the picture again")
        return found


def read_upload(data: bytes, limits: Limits) -> PIL.Image.Image:
    """Decode an uploaded picture as RGB.

    The size in the header is judged before a pixel is decoded; the EXIF rotation is applied.

    Raises:
        RequestError: 422, empty or damaged; 415, no picture; 413, too many pixels.
    """
    if not data:
        raise RequestError(422, "the uploaded file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > limits.upload_pixels:
                    raise _too_many(limits, f" ({width}x{height})")
                picture.load()
                return to_rgb(PIL.ImageOps.exif_transpose(picture))
    except RequestError:
        raise
    except PIL.UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        raise RequestError(415, f"this is not a picture of a known kind ({kinds})") from None
    except PIL.Image.DecompressionBombError:
        raise _too_many(limits) from None
    except Exception:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        raise RequestError(422, "the picture is damaged or cut off") from None


def _too_many(limits: Limits, size: str = "") -> RequestError:
    most = limits.upload_pixels / 1e6
    return RequestError(
        413, f"the picture has too many pixels{size}; at most {most:g} megapixels are read"
    )


def shown(picture: PIL.Image.Image, longest: int = _LONGEST_SHOWN) -> bytes:
    """A JPEG of a picture, no side longer than `longest` pixels, without any metadata."""
    small = picture.copy()
    small.thumbnail((longest, longest))
    out = io.BytesIO()
    small.convert("RGB").save(out, "JPEG", quality=88)
    return out.getvalue()
