"""Scenes on disk with their dense arrays, in shards that are written whole or not at all.

A shard is one `.npz`: a JSON record of its scenes and their arrays in half precision.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from detectors.errors import InputError
from detectors.scene import Relation, Scene, SceneObject, SceneVocabulary

__all__ = ["read_scene_shard", "without_objects", "write_scene_shard"]

_ARRAYS = (
    "features",
    "class_probabilities",
    "attribute_probabilities",
    "relation_probabilities",
)


def write_scene_shard(path: Path, scenes: Sequence[Scene]) -> None:
    """Write scenes to one file, atomically."""
    arrays: dict[str, np.ndarray] = {}
    records: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes):
        for name in _ARRAYS:
            values = getattr(scene, name)
            if values is not None:
                arrays[f"{number}.{name}"] = np.asarray(values, dtype=np.float16)
        records.append(_record(scene))
    arrays["scenes"] = np.asarray(json.dumps(records))
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(path.name + ".part")
    with side.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    side.replace(path)


def read_scene_shard(path: Path) -> list[Scene]:
    """Read what `write_scene_shard` wrote; arrays come back as float32.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            records = json.loads(str(data["scenes"]))
            scenes = [_scene(record) for record in records]
            for key in data.files:
                number, _, name = key.partition(".")
                if name in _ARRAYS:
                    setattr(scenes[int(number)], name, data[key].astype(np.float32))
    except (OSError, ValueError, KeyError, IndexError, TypeError, BadZipFile) as error:
        raise InputError(f"{path}: not a readable shard of scenes: {error}") from None
    return scenes


def _record(scene: Scene) -> dict[str, Any]:
    return {
        "image_id": scene.image_id,
        "width": scene.width,
        "height": scene.height,
        "detector": scene.detector,
        "scene_attributes": scene.scene_attributes,
        "vocabulary": [
            list(scene.vocabulary.classes),
            list(scene.vocabulary.attributes),
            list(scene.vocabulary.predicates),
        ],
        "objects": [
            [item.id, item.name, float(item.score), [float(v) for v in item.box],
             {name: float(score) for name, score in item.attributes.items()}]
            for item in scene.objects
        ],
        "relations": [[r.subject, r.predicate, r.object, float(r.score)] for r in scene.relations],
    }  # fmt: skip


def _scene(record: dict[str, Any]) -> Scene:
    return Scene(
        record["image_id"],
        record["width"],
        record["height"],
        [
            SceneObject(object_id, name, score, tuple(box), attributes)  # type: ignore[arg-type]
            for object_id, name, score, box, attributes in record["objects"]
        ],
        [Relation(*values) for values in record["relations"]],
        record["scene_attributes"],
        vocabulary=SceneVocabulary(*(tuple(names) for names in record["vocabulary"])),
        detector=record["detector"],
    )


def without_objects(scene: Scene, share: float, seed: int) -> Scene:
    """The scene as a detector would give it that misses `share` of the objects (at random)."""
    generator = np.random.default_rng([seed, zlib.crc32(scene.image_id.encode())])
    kept = np.flatnonzero(generator.random(len(scene.objects)) >= share)
    ids = {scene.objects[place].id for place in kept}
    arrays = {
        name: None if values is None else values[kept]
        for name in ("features", "class_probabilities", "attribute_probabilities")
        for values in (getattr(scene, name),)
    }
    links = scene.relation_probabilities
    return Scene(
        image_id=scene.image_id,
        width=scene.width,
        height=scene.height,
        objects=[scene.objects[place] for place in kept],
        relations=[r for r in scene.relations if r.subject in ids and r.object in ids],
        scene_attributes=dict(scene.scene_attributes),
        relation_probabilities=None if links is None else links[np.ix_(kept, kept)],
        vocabulary=scene.vocabulary,
        detector=scene.detector,
        **arrays,
    )
