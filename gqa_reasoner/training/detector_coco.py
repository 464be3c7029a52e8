"""Photographs with boxes in COCO's format as training pictures of the detector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from detectors.errors import InputError
from detectors.scene import Scene, SceneObject
from gqa_reasoner.training.detector_data import PictureSet

__all__ = ["read_coco"]

_SLACK = 2.0
"""Pixels that a box may reach over the border, for files that round."""


def read_coco(
    specification: str, *, images: Path | None = None, limit: int | None = None
) -> PictureSet:
    """Pictures and boxes of a COCO instances file.

    Args:
        specification: `FILE`, or `FILE#SUBSET` for the images whose field `subset` is SUBSET.
        images: folder of the pictures; default: `images` beside the file or its own folder.
        limit: use only the first pictures.

    Raises:
        InputError: the file is missing, is not JSON, or a record has a wrong or missing field; the
            line names file, record and field.
    """
    name, _, subset = specification.partition("#")
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{path}: COCO instances: no such file")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: COCO instances: not JSON ({error})") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(record, dict) or not isinstance(record.get(key), list):
            raise InputError(f"{path}: field {key!r} must be a list")
    names = {_whole(item, "id", path): str(item.get("name")) for item in record["categories"]}
    scenes: dict[int, Scene] = {}
    every: set[int] = set()
    for item in record["images"]:
        number = _whole(item, "id", path)
        if number in every:
            raise InputError(f"{path}: duplicate image id {number}")
        every.add(number)
        if subset and item.get("subset") != subset:
            continue
        if limit is not None and len(scenes) == limit:
            continue
        stem = Path(str(item.get("file_name", number))).stem
        scenes[number] = Scene(stem, _whole(item, "width", path), _whole(item, "height", path), [])
    if not scenes:
        raise InputError(f"{path}: no images" + (f" of subset {subset!r}" if subset else ""))
    for item in record["annotations"]:
        image = _whole(item, "image_id", path)
        if image not in every:
            raise InputError(f"{path}: annotation {item.get('id')}: unknown image {image}")
        if image in scenes and not item.get("iscrowd"):
            scenes[image].objects.append(_object(item, scenes[image], names, path))
    folder = images or (
        path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    )
    return PictureSet(specification, folder, list(scenes.values()))


def _object(item: Any, scene: Scene, names: dict[int, str], path: Path) -> SceneObject:
    where = f"{path}: annotation {item.get('id')}"
    category = _whole(item, "category_id", path)
    if category not in names:
        raise InputError(f"{where}: unknown category {category}")
    box = item.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_number(v) for v in box):
        raise InputError(f"{where}: field 'bbox' must be four numbers, got {box!r}")
    x, y, width, height = (float(value) for value in box)
    right, below = x + width, y + height
    if (
        min(x, y) < -_SLACK
        or min(width, height) < 0
        or right > scene.width + _SLACK
        or below > scene.height + _SLACK
    ):
        raise InputError(
            f"{where}: bbox {box} reaches outside the {scene.width} x {scene.height} picture"
        )
    corners = (max(x, 0.0), max(y, 0.0), min(right, scene.width), min(below, scene.height))
    return SceneObject(str(item.get("id")), names[category], 1.0, corners)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(item: Any, key: str, path: Path) -> int:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{path}: field {key!r} must be a whole number, got {value!r}")
    return value
