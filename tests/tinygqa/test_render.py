from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from detectors.scene import Scene
from gqa_reasoner.tinygqa.catalogue import catalogue
from gqa_reasoner.tinygqa.relations import left_of
from gqa_reasoner.tinygqa.render import image_id, jpeg_bytes, plan_scene, render_scene
from gqa_reasoner.tinygqa.stage import owner_map


def test_a_picture_depends_on_seed_and_index_alone(font: Path) -> None:
    first, scene = render_scene(7, 3, font)
    render_scene(8, 5, font)
    again, same = render_scene(7, 3, font)
    assert jpeg_bytes(7, 3, first) == jpeg_bytes(7, 3, again)
    assert scene.to_gqa() == same.to_gqa()
    other, _ = render_scene(7, 4, font)
    assert np.asarray(other).tobytes() != np.asarray(first).tobytes()


def test_the_picture_has_the_stated_size_and_id(font: Path) -> None:
    image, scene = render_scene(2, 41, font)
    assert image.size == (scene.width, scene.height) == (320, 240)
    assert scene.image_id == image_id(2, 41) == "tiny2_000041"


def test_boxes_are_inside_the_picture_and_not_slivers(scenes: list[Scene]) -> None:
    for scene in scenes:
        for item in scene.objects:
            x1, y1, x2, y2 = item.box
            assert 0 <= x1 < x2 <= 320 and 0 <= y1 < y2 <= 240
            assert min(x2 - x1, y2 - y1) >= 7


def test_names_and_attributes_are_the_catalogues(scenes: list[Scene]) -> None:
    for scene in scenes:
        for item in scene.objects:
            assert set(item.attributes) <= set(catalogue()[item.name].attributes())


def test_attributes_do_not_contradict(scenes: list[Scene]) -> None:
    for words in ({"small", "large"}, {"open", "closed"}, {"wood", "metal", "plastic", "glass"}):
        for scene in scenes:
            for item in scene.objects:
                assert len(words & set(item.attributes)) <= 1


def test_relations_link_present_objects_once(scenes: list[Scene]) -> None:
    for scene in scenes:
        ids = {item.id for item in scene.objects}
        triples = [(r.subject, r.predicate, r.object) for r in scene.relations]
        assert len(set(triples)) == len(triples)
        assert all(r.subject in ids and r.object in ids for r in scene.relations)
        assert all(r.subject != r.object for r in scene.relations)


def test_relations_that_have_an_inverse_list_it(scenes: list[Scene]) -> None:
    inverse = {
        "to the left of": "to the right of",
        "to the right of": "to the left of",
        "on": "under",
        "under": "on",
        "in front of": "behind",
        "behind": "in front of",
        "above": "below",
        "below": "above",
        "near": "near",
    }
    for scene in scenes:
        triples = {(r.subject, r.predicate, r.object) for r in scene.relations}
        for subject, predicate, other in triples:
            if predicate in inverse:
                assert (other, inverse[predicate], subject) in triples


def test_left_and_right_are_functions_of_the_boxes(scenes: list[Scene]) -> None:
    for scene in scenes:
        boxes = {item.id: item.box for item in scene.objects}
        listed = {(r.subject, r.object) for r in scene.relations if r.predicate == "to the left of"}
        expected = {
            (first, second)
            for first in boxes
            for second in boxes
            if left_of(boxes[first], boxes[second])
        }
        assert listed == expected


def test_composed_relations_touch(scenes: list[Scene]) -> None:
    touching = {"on", "holding", "wearing", "riding", "sitting on", "in front of"}
    seen: Counter[str] = Counter()
    for scene in scenes:
        boxes = {item.id: item.box for item in scene.objects}
        for relation in scene.relations:
            if relation.predicate not in touching:
                continue
            seen[relation.predicate] += 1
            first, second = boxes[relation.subject], boxes[relation.object]
            assert min(first[2], second[2]) - max(first[0], second[0]) >= -2
            assert min(first[3], second[3]) - max(first[1], second[1]) >= -4
    assert {"on", "holding", "wearing", "in front of"} <= set(seen)


def test_boxes_are_tight_around_the_visible_pixels(font: Path) -> None:
    plan = plan_scene(1234, 0, font)
    owners = owner_map(plan.items) // 8
    boxes = set()
    for number in range(1, len(plan.items) + 1):
        rows, columns = np.nonzero(owners == number)
        boxes.add((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    assert boxes <= {item.box for item in plan.scene.objects}


def test_weather_is_told_outdoors_only(scenes: list[Scene]) -> None:
    for scene in scenes:
        facts = scene.scene_attributes
        assert ("weather" in facts) == (facts["location"] == "outdoors")


def test_the_graph_is_valid_gqa_json(scenes: list[Scene]) -> None:
    for scene in scenes[:10]:
        record = json.loads(json.dumps(scene.to_gqa()))
        assert Scene.from_gqa(record, scene.image_id).to_gqa() == record


def test_pictures_hold_five_to_twelve_objects(scenes: list[Scene]) -> None:
    assert all(4 <= len(scene.objects) <= 12 for scene in scenes)
    assert sum(len(scene.objects) for scene in scenes) / len(scenes) > 7


def test_names_repeat_within_pictures(scenes: list[Scene]) -> None:
    repeated = [len({i.name for i in scene.objects}) < len(scene.objects) for scene in scenes]
    assert sum(repeated) / len(repeated) > 0.4
