"""Uploads: judged by their header, decoded only when small enough, kept within bounds."""

from __future__ import annotations

import io
import struct
import time
import zlib

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.scene import Scene
from gqa_reasoner.web.errors import RequestError
from gqa_reasoner.web.limits import Limits
from gqa_reasoner.web.uploads import UploadStore, read_upload, shown

LIMITS = Limits()


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size; its pixels are zeros that pack to almost nothing."""

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    data = b"".join(packer.compress(row) for _ in range(min(height, 64))) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", data) + part(b"IEND", b"")


def encoded(mode: str, kind: str, size: tuple[int, int] = (31, 17)) -> bytes:
    out = io.BytesIO()
    PIL.Image.new(mode, size, 100 if mode in "L1P" else None).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("RGBA", "PNG"), ("L", "PNG"), ("CMYK", "JPEG"), ("P", "GIF"),
     ("RGB", "WEBP"), ("RGB", "BMP"), ("I;16", "PNG")],
)  # fmt: skip
def test_pictures_of_every_kind_become_rgb(mode: str, kind: str) -> None:
    found = read_upload(encoded(mode, kind), LIMITS)
    assert (found.mode, found.size) == ("RGB", (31, 17))


@pytest.mark.parametrize("size", [(20_000, 10_000), (7_000, 6_000), (65_000, 65_000)])
def test_too_many_pixels_are_refused_before_decoding(size: tuple[int, int]) -> None:
    data = png_of(*size)
    began = time.perf_counter()
    with pytest.raises(RequestError, match=r"too many pixels.*at most 40 megapixels") as refused:
        read_upload(data, LIMITS)
    assert refused.value.status == 413
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"GIF89a", 422),
        (b"no picture at all", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"%PDF-1.4", 415),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", 415),
        (encoded("RGB", "JPEG", (400, 300))[:700], 422),
    ],
    ids=["empty", "gif head", "text", "svg", "pdf", "postscript", "cut off"],
)
def test_what_is_no_whole_picture_is_refused_in_words(data: bytes, status: int) -> None:
    with pytest.raises(RequestError) as refused:
        read_upload(data, LIMITS)
    assert refused.value.status in (status, 415 if data == b"GIF89a" else status)
    assert "picture" in refused.value.words or "empty" in refused.value.words


@given(data=st.binary(max_size=200), place=st.integers(0, 600))
@settings(max_examples=60, deadline=None)
def test_damage_anywhere_never_escapes_as_another_error(data: bytes, place: int) -> None:
    whole = encoded("RGB", "PNG", (40, 40))
    damaged = whole[:place] + data + whole[place + len(data) :]
    try:
        assert read_upload(damaged, LIMITS).mode == "RGB"
    except RequestError as error:
        assert error.status in (413, 415, 422)


def test_what_is_shown_is_small_and_without_metadata() -> None:
    picture = PIL.Image.new("RGB", (3000, 1000), "red")
    picture.info["exif"] = b"secret place"
    found = PIL.Image.open(io.BytesIO(shown(picture)))
    assert max(found.size) == 2048
    assert not found.getexif()
    assert b"secret" not in shown(picture)


def test_the_oldest_uploads_are_forgotten() -> None:
    store = UploadStore(Limits(uploads=2))
    kept = [
        store.add(PIL.Image.new("RGB", (8, 8)), Scene(str(number), 8, 8)) for number in range(3)
    ]
    assert len(store) == 2
    assert store.get(kept[2].token).scene.image_id == "2"
    with pytest.raises(RequestError, match="upload the picture again") as refused:
        store.get(kept[0].token)
    assert refused.value.status == 404
    tiny = UploadStore(Limits(upload_memory=1))
    first = tiny.add(PIL.Image.new("RGB", (8, 8)), Scene("a", 8, 8))
    assert tiny.get(first.token) is first  # the newest one is always kept
    tiny.add(PIL.Image.new("RGB", (8, 8)), Scene("b", 8, 8))
    assert len(tiny) == 1
