"""Which pictures a job is about: a folder, a list of files, or a webdataset tar.

A picture is named by its image id and read when it is its turn; tar members are found by an index
of offsets, so that any of them can be read without those before it.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import PIL.Image

from detectors.errors import InputError
from detectors.images import load_image, load_image_bytes

__all__ = ["PICTURE_SUFFIXES", "PictureReference", "list_pictures"]

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True)
class PictureReference:
    """One picture: a file, or `size` bytes at `offset` of a tar."""

    image_id: str
    path: str
    member: str = ""
    offset: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.path}/{self.member}" if self.member else self.path

    def load(self) -> PIL.Image.Image:
        """The picture as RGB.

        Raises:
            InputError: it cannot be read; the line names it.
        """
        if not self.member:
            return load_image(self.path)
        try:
            with Path(self.path).open("rb") as stream:
                stream.seek(self.offset)
                data = stream.read(self.size)
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read ({error})") from None
        return load_image_bytes(data, self.name)


def list_pictures(source: str | Path) -> list[PictureReference]:
    """Pictures of a folder (recursively), a webdataset `.tar`, or a text file with one path a line.

    Sorted by path, so that the order never depends on the file system. Relative paths of a list
    are looked for beside the list where they do not exist as they are. The image id is the file's
    name without its suffix; in a tar it is the name up to its first dot (webdataset's key).

    Raises:
        InputError: nothing there, no picture in it, or two pictures with the same id.
    """
    place = Path(source)
    if place.is_dir():
        found = [
            PictureReference(item.stem, str(item))
            for item in sorted(place.rglob("*"))
            if item.suffix.lower() in PICTURE_SUFFIXES
        ]
    elif place.is_file() and tarfile.is_tarfile(place):
        found = _tar_members(place)
    elif place.is_file():
        found = _listed(place)
    else:
        raise InputError(f"{place}: no such folder, tar or list of pictures")
    if not found:
        raise InputError(f"{place}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    ids: dict[str, PictureReference] = {}
    for item in found:
        if item.image_id in ids:
            raise InputError(
                f"{place}: {ids[item.image_id].name} and {item.name} give the same image id"
            )
        ids[item.image_id] = item
    return found


def _listed(place: Path) -> list[PictureReference]:
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{place}: neither a tar nor a text file with one path a line") from None
    paths = set()
    for line in lines:
        if line.strip():
            path = Path(line.strip())
            beside = place.parent / path
            paths.add(beside if not path.exists() and beside.exists() else path)
    return [PictureReference(path.stem, str(path)) for path in sorted(paths)]


def _tar_members(place: Path) -> list[PictureReference]:
    found = []
    try:
        with tarfile.open(place, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if member.isfile() and name.suffix.lower() in PICTURE_SUFFIXES:
                    key = name.name.split(".")[0]
                    found.append(
                        PictureReference(
                            key, str(place), member.name, member.offset_data, member.size
                        )
                    )
    except tarfile.ReadError as error:
        raise InputError(
            f"{place}: not a plain tar, or cut short ({error}); unpack a compressed one first"
        ) from None
    return sorted(found, key=lambda item: item.member)
