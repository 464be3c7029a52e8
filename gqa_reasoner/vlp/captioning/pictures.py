"""Captions of files, folders and archives of pictures; what cannot be read is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.captioner import Caption, Captioner, CaptionSettings
from gqa_reasoner.vlp.data.pictures import PictureSource

if TYPE_CHECKING:
    import PIL.Image

    from gqa_reasoner.vlp.captioning.consensus import Consensus

__all__ = ["CaptionRun", "PictureCaptions", "read_boxes"]

Boxes = Mapping[str, Sequence[Sequence[float]]]


@dataclass(frozen=True)
class PictureCaptions:
    """What is said about a picture, or about each of its boxes (`box` None: the whole)."""

    name: str
    box: tuple[float, ...] | None
    captions: list[Caption]

    def to_json(self) -> dict[str, Any]:
        """A JSON record."""
        place = {} if self.box is None else {"box": list(self.box)}
        return {"image": self.name, **place, "captions": [one.to_json() for one in self.captions]}


class CaptionRun:
    """Captions pictures one batch after the other.

    Args:
        places: files, folders, `.zip` and `.tar` archives.
        boxes: by picture name (path, file name, or file name without suffix).
        consensus: puts the captions of whole pictures into another order.

    Raises:
        InputError: a place that is not there, a folder without pictures, boxes of no picture.
    """

    def __init__(
        self,
        captioner: Captioner,
        places: Sequence[Path],
        settings: CaptionSettings,
        *,
        boxes: Boxes | None = None,
        batch_size: int = 32,
        consensus: Consensus | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"captions: batch size: expected at least 1, got {batch_size}")
        self.captioner, self.settings, self.batch_size = captioner, settings, batch_size
        self.consensus = consensus
        self.failures: list[tuple[str, str]] = []
        self._items = [item for place in places for item in _items(place)]
        self._boxes: dict[int, Sequence[Sequence[float]]] | None = None
        if boxes is not None:
            self._boxes = self._match(boxes)

    def __len__(self) -> int:
        return len(self._items)

    def _match(self, boxes: Boxes) -> dict[int, Sequence[Sequence[float]]]:
        """Boxes by number of the picture."""
        found: dict[int, Sequence[Sequence[float]]] = {}
        used: set[str] = set()
        for number, (shown, _, name) in enumerate(self._items):
            path = PurePosixPath(name)
            for key in (shown, name, path.name, path.stem):
                if key in boxes:
                    found[number] = boxes[key]
                    used.add(key)
                    break
        left = [key for key in boxes if key not in used]
        if left:
            raise InputError(
                f"boxes: {len(left)} of {len(boxes)} name pictures that are not there: "
                f"{', '.join(left[:3])}"
            )
        return found

    def __iter__(self) -> Iterator[PictureCaptions]:
        for start in range(0, len(self._items), self.batch_size):
            numbers, images = [], []
            for number in range(start, min(start + self.batch_size, len(self._items))):
                shown, source, name = self._items[number]
                try:
                    images.append(source.read(name))
                    numbers.append(number)
                except InputError as error:
                    self.failures.append((shown, str(error)))
            yield from self._captions(numbers, images)

    def _captions(
        self, numbers: list[int], images: list[PIL.Image.Image]
    ) -> Iterator[PictureCaptions]:
        if self._boxes is None:
            found = self._whole(numbers, images)
            for number, captions in zip(numbers, found, strict=True):
                yield PictureCaptions(self._items[number][0], None, captions)
            return
        for number, image in zip(numbers, images, strict=True):
            shown, boxes = self._items[number][0], self._boxes.get(number, ())
            said = self.captioner.caption_regions(image, boxes, self.settings, source=shown)
            for box, captions in zip(boxes, said, strict=True):
                yield PictureCaptions(shown, tuple(box), captions)

    def _whole(self, numbers: list[int], images: list[PIL.Image.Image]) -> list[list[Caption]]:
        if self.consensus is None or not images:
            return self.captioner.caption(images, self.settings, numbers)
        features = self.captioner.features(images)
        found = self.captioner.caption_features(features, self.settings, numbers=numbers)
        return self.consensus.choose(features, found)


class _OneFile:
    """A single picture file as a source."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> PIL.Image.Image:
        from detectors.images import load_image

        return load_image(self.path)


def _items(place: Path) -> Iterator[tuple[str, Any, str]]:
    """(shown name, source, name in the source) of every picture of a place."""
    if not place.exists():
        raise InputError(f"{place}: no such file or folder")
    if place.is_file() and place.suffix.lower() not in (".zip", ".tar", ".gz", ".tgz"):
        yield str(place), _OneFile(place), place.name
        return
    source = PictureSource.open(place)
    for name in source.names():
        yield f"{place}/{name}", source, name


def read_boxes(path: Path) -> dict[str, list[list[float]]]:
    """Boxes from JSON: `{"picture": [[left, top, right, bottom], …]}` in pixels.

    Raises:
        InputError: no such file, or another form.
    """
    if not path.is_file():
        raise InputError(f"{path}: boxes: no such file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: boxes: not JSON ({error})") from None
    if not isinstance(value, dict) or not value:
        raise InputError(f"{path}: boxes: expected an object of picture names to lists of boxes")
    for name, boxes in value.items():
        if not isinstance(boxes, list) or not all(isinstance(box, list) for box in boxes):
            raise InputError(f"{path}: {name}: expected a list of [left, top, right, bottom]")
    return value
