"""Pictures from a folder, a zip file or a tar file, read by name as RGB."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import PIL.Image

from detectors.errors import InputError
from detectors.extraction import PICTURE_SUFFIXES
from detectors.images import MAXIMUM_PIXELS, load_image, to_rgb

__all__ = ["PictureSource", "decode_picture"]


def decode_picture(data: bytes, place: str) -> PIL.Image.Image:
    """Bytes of a picture file as RGB.

    Raises:
        InputError: empty, damaged, too large, or not a picture; the line begins with `place`.
    """
    if not data:
        raise InputError(f"{place}: picture: the file is empty (0 bytes)")
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            if picture.size[0] * picture.size[1] > MAXIMUM_PIXELS:
                raise InputError(f"{place}: picture: {picture.size} pixels are too many")
            picture.load()
            return to_rgb(picture)
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        line = " ".join(str(error).split())[:120]
        raise InputError(f"{place}: picture: damaged or not a picture ({line})") from error


class PictureSource:
    """Pictures by name.

    A name is the path inside the folder or archive. A picture is also found by its file name
    alone where that is unambiguous, so caption files that leave the folder out work.
    """

    def __init__(self, path: Path, places: dict[str, Any], archive: Any = None) -> None:
        self.path = path
        self._places = places
        self._archive = archive
        self._lock = threading.Lock()
        short: dict[str, str | None] = {}
        for name in places:
            base = PurePosixPath(name).name
            short[base] = None if base in short else name
        self._short = short

    @classmethod
    def open(cls, path: str | Path) -> PictureSource:
        """Open a folder, `.zip` or `.tar` (also `.tar.gz`) of pictures.

        Raises:
            InputError: no such place, not an archive, or no picture in it.
        """
        path = Path(path)
        if path.is_dir():
            files = sorted(item for item in path.rglob("*") if item.is_file())
            places: dict[str, Any] = {item.relative_to(path).as_posix(): item for item in files}
            source = cls(path, _pictures(places))
        elif not path.is_file():
            raise InputError(f"{path}: pictures: no such folder or archive")
        elif zipfile.is_zipfile(path):
            bag = zipfile.ZipFile(path)
            source = cls(path, _pictures({item.filename: item for item in bag.infolist()}), bag)
        elif tarfile.is_tarfile(path):
            try:
                tape = tarfile.open(path)  # noqa: SIM115 - stays open for reading by name
                members = {item.name: item for item in tape.getmembers() if item.isfile()}
            except (tarfile.TarError, OSError, EOFError) as error:
                raise InputError(f"{path}: pictures: damaged tar file ({error})") from error
            source = cls(path, _pictures(members), tape)
        else:
            raise InputError(f"{path}: pictures: expected a folder, .zip or .tar")
        if not source._places:
            raise InputError(f"{path}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
        return source

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.resolve(name) is not None

    def resolve(self, name: str) -> str | None:
        """The full name of a picture given by full or file name; None where it is not there."""
        if name in self._places:
            return name
        return self._short.get(PurePosixPath(name).name)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that are not here, in order."""
        return [name for name in names if self.resolve(name) is None]

    def stamp(self, name: str) -> tuple[int, int]:
        """Two numbers that change with a picture: bytes, and time or checksum.

        Raises:
            InputError: no such picture.
        """
        place = self._places[self._full(name)]
        if isinstance(place, Path):
            state = place.stat()
            return state.st_size, state.st_mtime_ns
        if isinstance(place, zipfile.ZipInfo):
            return place.file_size, place.CRC
        return place.size, int(place.mtime)

    def _full(self, name: str) -> str:
        full = self.resolve(name)
        if full is None:
            raise InputError(f"{self.path}: {name}: picture: not there ({len(self)} are)")
        return full

    def read(self, name: str) -> PIL.Image.Image:
        """A picture as RGB.

        Raises:
            InputError: no such picture, or one that cannot be decoded.
        """
        full = self._full(name)
        place = self._places[full]
        if isinstance(place, Path):
            return load_image(place)
        return decode_picture(self._bytes(place, full), f"{self.path}: {full}")

    def _bytes(self, place: Any, name: str) -> bytes:
        with self._lock:
            try:
                if isinstance(place, zipfile.ZipInfo):
                    return self._archive.read(place)
                stream = self._archive.extractfile(place)
                return stream.read() if stream is not None else b""
            except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError) as error:
                raise InputError(f"{self.path}: {name}: picture: damaged ({error})") from error


def _pictures(places: dict[str, Any]) -> dict[str, Any]:
    return {
        name: place
        for name, place in places.items()
        if PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES
        and not PurePosixPath(name).name.startswith(".")
        and "__MACOSX" not in name
    }
