"""Visual Genome's files read as GQA's do, and broken records are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detectors.errors import InputError
from gqa_reasoner.data.visual_genome import iterate_visual_genome, picture_sizes

RECORD: dict[str, Any] = {
    "image_id": 7,
    "objects": [
        {"object_id": 1, "names": ["Clock "], "synsets": ["clock.n.01"], "x": 4, "y": 5, "w": 6,
         "h": 7, "attributes": ["green", "Tall", "green"]},
        {"object_id": 2, "names": ["street"], "x": 0, "y": 9, "w": 60, "h": 30},
        {"object_id": 2, "names": ["road"], "x": 0, "y": 9, "w": 60, "h": 30},
        {"object_id": 3, "names": [], "x": 0, "y": 0, "w": 1, "h": 1},
    ],
    "relationships": [
        {"predicate": "ON", "subject_id": 1, "object_id": 2, "relationship_id": 5, "synsets": []},
        {"predicate": "near", "subject_id": 1, "object_id": 99},
    ],
}  # fmt: skip


def write(path: Path, records: Any) -> Path:
    path.write_text(json.dumps(records))
    return path


def test_records_become_scenes(tmp_path: Path) -> None:
    path = write(tmp_path / "scene_graphs.json", [RECORD])
    (scene,) = iterate_visual_genome(path, lambda _: (80, 60))
    assert (scene.image_id, scene.width, scene.height) == ("7", 80, 60)
    assert [item.name for item in scene.objects] == ["clock", "street"]
    assert scene.objects[0].box == (4, 5, 10, 12)
    assert list(scene.objects[0].attributes) == ["green", "tall"]
    assert [(r.subject, r.predicate, r.object) for r in scene.relations] == [("1", "on", "2")]


def test_sizes_are_read_from_the_list_of_pictures(tmp_path: Path) -> None:
    rows = [{"image_id": 7, "width": 80, "height": 60, "url": "", "coco_id": None}]
    assert picture_sizes(write(tmp_path / "image_data.json", rows)) == {"7": (80, 60)}


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({"7": {}}, "expected a list of records"),
        ([{"objects": []}], "record 0: field 'image_id' is missing"),
        ([{"image_id": 7, "objects": {}}], "image 7: field 'objects' must be a list"),
        ([{"image_id": 7, "objects": [{"names": ["a"]}]}], "object 0: field 'object_id' is miss"),
        (
            [{"image_id": 7, "objects": [{"object_id": 1, "names": ["a"], "x": 1}]}],
            "object 0: field 'y' is missing",
        ),
        (
            [{"image_id": 7, "objects": [], "relationships": [{"subject_id": 1}]}],
            "relationship 0: field 'object_id' is missing",
        ),
    ],
)
def test_broken_records_are_named(tmp_path: Path, records: Any, words: str) -> None:
    path = write(tmp_path / "scene_graphs.json", records)
    with pytest.raises(InputError) as caught:
        list(iterate_visual_genome(path, lambda _: (80, 60)))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
