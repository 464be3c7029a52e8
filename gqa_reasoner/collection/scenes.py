"""Scenes into the tables, and back.

Legend: P pictures, N objects, D feature size. A picture's or an object's number is its row in the
memory-mapped vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.errors import InputError
from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.collection.database import ROOMS

if TYPE_CHECKING:
    import duckdb

    from gqa_reasoner.collection.database import Writer

__all__ = ["insert_rows", "insert_scenes", "load_scene"]

_COLUMNS: dict[str, tuple[tuple[str, type], ...]] = {
    "images": (
        ("image", np.int32), ("image_id", str), ("digest", str), ("bytes", np.int64),
        ("modified", np.int64), ("width", np.int32), ("height", np.int32), ("taken", str),
        ("latitude", float), ("longitude", float), ("caption", str), ("embedded", bool),
        ("detector", str),
    ),
    "objects": (
        ("image", np.int32), ("object", np.int32), ("id", str), ("name", np.int32),
        ("score", np.float32), ("x1", np.float32), ("y1", np.float32), ("x2", np.float32),
        ("y2", np.float32),
    ),
    "attributes": (
        ("image", np.int32), ("object", np.int32), ("name", np.int32), ("score", np.float32),
    ),
    "relations": (
        ("image", np.int32), ("subject", np.int32), ("predicate", np.int32),
        ("object", np.int32), ("score", np.float32),
    ),
    "facts": (("image", np.int32), ("kind", str), ("value", str), ("score", np.float32)),
    "caption_words": (("image", np.int32), ("word", str), ("weight", float)),
    "expansions": (
        ("name", np.int32), ("relation", str), ("tail", str), ("weight", np.float32),
    ),
}  # fmt: skip


def insert_scenes(
    writer: Writer, scenes: Iterable[Scene], details: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, tuple[int, int]]:
    """Add pictures in one transaction; ones of the same id must have been removed before.

    Args:
        writer: of the collection.
        scenes: one per picture.
        details: by image id, further columns of `images` (digest, bytes, modified, taken,
            latitude, longitude, caption, embedded).

    Returns:
        By image id its number and the number of its first object.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in ROOMS}
    numbers: dict[str, tuple[int, int]] = {}
    for scene in scenes:
        image = writer.take("image", 1)
        first = writer.take("object", len(scene.objects))
        numbers[scene.image_id] = (image, first)
        _picture_rows(rows, writer, scene, image, first, (details or {}).get(scene.image_id, {}))
    writer.connection.begin()
    for table, values in rows.items():
        if values:
            insert_rows(writer.connection, table, values)
    writer.save_names()
    writer.connection.commit()
    return numbers


def _picture_rows(
    rows: dict[str, list[tuple[Any, ...]]],
    writer: Writer,
    scene: Scene,
    image: int,
    first: int,
    known: Mapping[str, Any],
) -> None:
    rows["images"].append(
        (
            image, scene.image_id, known.get("digest"), known.get("bytes"), known.get("modified"),
            scene.width, scene.height, known.get("taken"), known.get("latitude"),
            known.get("longitude"), known.get("caption"), bool(known.get("embedded")),
            scene.detector,
        )
    )  # fmt: skip
    places = {item.id: first + place for place, item in enumerate(scene.objects)}
    codes = writer.codes(item.name for item in scene.objects)
    for item, code in zip(scene.objects, codes, strict=True):
        place = places[item.id]
        rows["objects"].append((image, place, item.id, code, item.score, *item.box))
        for word, score in zip(
            writer.codes(item.attributes), item.attributes.values(), strict=True
        ):
            rows["attributes"].append((image, place, word, score))
    predicates = writer.codes(link.predicate for link in scene.relations)
    for link, code in zip(scene.relations, predicates, strict=True):
        ends = places.get(link.subject), places.get(link.object)
        if None not in ends:
            rows["relations"].append((image, ends[0], code, ends[1], link.score))
    rows["facts"] += [(image, *fact) for fact in _facts(scene.scene_attributes)]


def _facts(attributes: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """(kind, value, probability) of what is known of the whole picture."""
    shares = attributes.get("probabilities")
    shares = shares if isinstance(shares, Mapping) else {}
    found = []
    for kind, value in attributes.items():
        if kind in shares or kind == "probabilities":
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        found += [(kind, word, 1.0) for word in values if isinstance(word, str)]
    for kind, weights in shares.items():
        if isinstance(weights, Mapping):
            found += [(kind, str(word), float(share)) for word, share in weights.items()
                      if word != "none" and share >= 0.01]  # fmt: skip
    return found


def insert_rows(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert many rows at once, column by column; their order is that of the table."""
    columns = list(zip(*rows, strict=True))
    names = [name for name, _ in _COLUMNS[table]]
    arrays = {
        name: _array(values, kind)
        for (name, kind), values in zip(_COLUMNS[table], columns, strict=True)
    }
    connection.register("incoming", arrays)
    listed = ", ".join(names)
    chosen = listed.replace("taken", "CAST(taken AS TIMESTAMP)")
    connection.execute(f"INSERT INTO {table} ({listed}) SELECT {chosen} FROM incoming")
    connection.unregister("incoming")


def _array(values: tuple[Any, ...], kind: type) -> Any:
    if kind is str or any(value is None for value in values):
        if kind is str:
            return np.array([None if value is None else str(value) for value in values], object)
        mask = [value is None for value in values]
        return np.ma.masked_array(
            np.array([0 if value is None else value for value in values], kind), mask
        )
    return np.array(values, dtype=kind)


def load_scene(connection: duckdb.DuckDBPyConnection, image_id: str) -> Scene:
    """The stored scene of a picture, without dense arrays.

    Raises:
        InputError: no such picture in the index.
    """
    row = connection.execute(
        "SELECT image, width, height, detector FROM images WHERE image_id = ?", [image_id]
    ).fetchone()
    if row is None:
        raise InputError(f"no picture {image_id!r} in the index")
    image, width, height, detector = row
    found: dict[int, dict[str, float]] = {}
    for number, name, score in connection.execute(
        "SELECT a.object, t.text, a.score FROM attributes a JOIN terms t ON t.code = a.name "
        "WHERE a.image = ? ORDER BY a.object, a.score DESC, t.text", [image]
    ).fetchall():  # fmt: skip
        found.setdefault(number, {})[name] = score
    rows = connection.execute(
        "SELECT o.object, o.id, t.text, o.score, o.x1, o.y1, o.x2, o.y2 FROM objects o "
        "JOIN terms t ON t.code = o.name WHERE o.image = ? ORDER BY o.object", [image]
    ).fetchall()  # fmt: skip
    objects = [
        SceneObject(item[1], item[2], item[3], item[4:8], found.get(item[0], {})) for item in rows
    ]
    ids = {item[0]: item[1] for item in rows}
    links = connection.execute(
        "SELECT r.subject, t.text, r.object, r.score FROM relations r JOIN terms t ON "
        "t.code = r.predicate WHERE r.image = ? ORDER BY r.subject, r.object, t.text", [image]
    ).fetchall()  # fmt: skip
    relations = [Relation(ids[one], word, ids[other], score) for one, word, other, score in links]
    facts: dict[str, Any] = {}
    for kind, value in connection.execute(
        "SELECT kind, arg_max(value, score) FROM facts WHERE image = ? GROUP BY kind "
        "HAVING max(score) >= 1 - sum(score)",
        [image],
    ).fetchall():
        facts[kind] = value
    return Scene(image_id, width, height, objects, relations, facts, detector=detector)
