from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import PIL.Image
import pytest

from detectors.errors import InputError
from gqa_reasoner.vlp.data.pictures import PictureSource


def picture(color: str) -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (8, 6), color).save(stream, "PNG")
    return stream.getvalue()


FILES = {
    "sub/red.png": picture("red"),
    "blue.png": picture("blue"),
    "bad.jpg": b"no picture",
    "empty.png": b"",
    "notes.txt": b"x",
}


def places(root: Path) -> list[Path]:
    for name, data in FILES.items():
        (root / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "folder" / name).write_bytes(data)
    with zipfile.ZipFile(root / "a.zip", "w") as bag:
        for name, data in FILES.items():
            bag.writestr(name, data)
    with tarfile.open(root / "a.tar", "w") as tape:
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tape.addfile(member, io.BytesIO(data))
    return [root / "folder", root / "a.zip", root / "a.tar"]


def test_folder_zip_and_tar_hold_the_same(tmp_path: Path) -> None:
    for place in places(tmp_path):
        source = PictureSource.open(place)
        assert source.names() == ["bad.jpg", "blue.png", "empty.png", "sub/red.png"]
        assert "red.png" in source and "green.png" not in source
        assert source.missing(["red.png", "green.png"]) == ["green.png"]
        assert source.read("red.png").getpixel((0, 0)) == (255, 0, 0)
        assert source.stamp("blue.png")[0] == len(FILES["blue.png"])
        for name in ("bad.jpg", "empty.png", "green.png"):
            with pytest.raises(InputError, match=name):
                source.read(name)


def test_places_without_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no archive")
    for name in ("empty", "text.zip", "absent"):
        with pytest.raises(InputError, match=name):
            PictureSource.open(tmp_path / name)


def test_two_pictures_of_one_name_need_their_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(picture("red"))
    source = PictureSource.open(tmp_path)
    assert "x.png" not in source and "a/x.png" in source
