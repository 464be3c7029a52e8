"""Visual Genome's own scene graphs (`scene_graphs.json`), streamed.

The file is a list of `{"image_id", "objects": [{"object_id", "names", "x", "y", "w", "h",
"attributes"}], "relationships": [{"predicate", "subject_id", "object_id"}]}` (Krishna et al. 2017,
release 1.4). It does not say how large the pictures are; `image_data.json` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from detectors.errors import InputError
from detectors.scene import Scene
from eval.errors import InputError as EvaluationInputError
from eval.json_items import iterate_json_values

__all__ = ["iterate_visual_genome", "picture_sizes"]


def iterate_visual_genome(path: Path, size_of: Callable[[str], tuple[int, int]]) -> Iterator[Scene]:
    """Yield the scenes of a `scene_graphs.json`, one at a time, as GQA's graphs would be.

    The first name of an object counts; names, attributes and predicates become lower case without
    blanks around them; relations of objects that are missing and objects without a name are left
    out; of two objects with one id the first stays.

    Args:
        path: the file.
        size_of: image id -> width and height.

    Raises:
        InputError: unreadable file, or a record without the fields above.
    """
    for number, record in enumerate(_values(path)):
        image_id = str(record.get("image_id", "")) if isinstance(record, dict) else ""
        where = f"{path}: record {number}"
        if not image_id:
            raise InputError(f"{where}: field 'image_id' is missing")
        objects = _objects(record, f"{path}: image {image_id}")
        for position, relation in enumerate(_list(record, "relationships", where)):
            place = f"{path}: image {image_id}: relationship {position}"
            subject, target = (str(_field(relation, key, place)) for key in _ENDS)
            name = _clean(_field(relation, "predicate", place))
            if subject in objects and name:
                objects[subject]["relations"].append({"name": name, "object": target})
        width, height = size_of(image_id)
        graph = {"width": width, "height": height, "objects": objects}
        yield Scene.from_gqa(graph, image_id, source=str(path), on_problem="repair")


_ENDS = ("subject_id", "object_id")


def picture_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Image id -> width and height, from Visual Genome's `image_data.json`.

    Raises:
        InputError: unreadable file, or a record without `image_id`, `width` and `height`.
    """
    sizes = {}
    for number, record in enumerate(_values(path)):
        where = f"{path}: record {number}"
        width, height = _field(record, "width", where), _field(record, "height", where)
        if not isinstance(width, int) or not isinstance(height, int):
            raise InputError(f"{where}: fields 'width' and 'height' must be whole numbers")
        sizes[str(_field(record, "image_id", where))] = (width, height)
    return sizes


def _objects(record: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The objects of one record in GQA's form, without relations."""
    objects: dict[str, dict[str, Any]] = {}
    for position, item in enumerate(_list(record, "objects", where)):
        place = f"{where}: object {position}"
        names = item.get("names", [item.get("name")]) if isinstance(item, dict) else []
        name = _clean(names[0]) if isinstance(names, list) and names else ""
        key = str(_field(item, "object_id", place))
        if not name or key in objects:
            continue
        listed = [_clean(word) for word in item.get("attributes") or []]
        box = {side: _field(item, side, place) for side in ("x", "y", "w", "h")}
        attributes = [word for word in dict.fromkeys(listed) if word]
        objects[key] = {"name": name, **box, "attributes": attributes, "relations": []}
    return objects


def _values(path: Path) -> Iterator[Any]:
    try:
        yield from iterate_json_values(path)
    except EvaluationInputError as error:
        raise InputError(str(error)) from None


def _list(record: dict[str, Any], key: str, where: str) -> list[Any]:
    values = record.get(key, [])
    if not isinstance(values, list):
        raise InputError(f"{where}: field {key!r} must be a list")
    return values


def _field(record: Any, key: str, where: str) -> Any:
    if not isinstance(record, dict) or key not in record:
        raise InputError(f"{where}: field {key!r} is missing")
    return record[key]


def _clean(text: Any) -> str:
    """Lower case, single blanks."""
    return " ".join(str(text or "").lower().split())
