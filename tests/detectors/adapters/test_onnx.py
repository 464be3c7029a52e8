"""The ONNX adapter decodes YOLOX as published and sees real photographs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from detectors.adapters.onnx import OnnxDetector, decode_yolox, suppress
from detectors.errors import InputError


@pytest.fixture(scope="module")
def yolox(shared: Path) -> OnnxDetector:
    pytest.importorskip("onnxruntime")
    return OnnxDetector(shared / "models" / "yolox_nano" / "yolox_nano.onnx")


def test_decoding_equals_the_published_formula_cell_by_cell() -> None:
    rng = np.random.default_rng(0)
    output = rng.uniform(0, 1, (64 * 21 // 16, 7)).astype(np.float32)  # 8x8 + 4x4 + 2x2 cells
    boxes, scores, labels = decode_yolox(output, 64, 64)
    row = 0
    for stride in (8, 16, 32):
        for y in range(64 // stride):
            for x in range(64 // stride):
                dx, dy, w, h, objectness, *classes = output[row].tolist()
                cx, cy = (dx + x) * stride, (dy + y) * stride
                w, h = math.exp(w) * stride, math.exp(h) * stride
                expected = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                assert boxes[row] == pytest.approx(expected, rel=1e-5, abs=1e-4)
                assert scores[row] == pytest.approx(objectness * max(classes), rel=1e-6)
                assert labels[row] == int(np.argmax(classes))
                row += 1
    assert row == len(output)


def test_rows_that_fit_no_grid_are_refused() -> None:
    with pytest.raises(InputError, match="has 10 rows, its grids 84"):
        decode_yolox(np.zeros((10, 7), dtype=np.float32), 64, 64)


def test_suppression_is_per_class_and_keeps_the_best() -> None:
    boxes = np.array(
        [[0, 0, 10, 10], [1, 1, 10, 10], [1, 1, 10, 10], [50, 50, 60, 60]], dtype=float
    )
    scores, labels = np.array([0.8, 0.9, 0.7, 0.1]), np.array([0, 0, 1, 0])
    assert suppress(boxes, scores, labels, 0.5) == [1, 2, 3]
    assert suppress(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 0.5) == []


def test_photographs_are_seen_with_boxes_where_the_annotation_has_them(
    shared: Path, yolox: OnnxDetector
) -> None:
    coco = shared / "data" / "coco"
    instances = json.loads((coco / "instances.json").read_text())
    names = {item["id"]: item["name"] for item in instances["categories"]}
    images = {item["id"]: item for item in instances["images"] if item["subset"] == "val2017"}
    chosen = sorted(images)[:40]
    right = found = 0
    for image_id in chosen:
        scene = yolox.detect([coco / "images" / images[image_id]["file_name"]])[0]
        truth = [
            (names[item["category_id"]], item["bbox"])
            for item in instances["annotations"]
            if item["image_id"] == image_id
        ]
        for item in scene.objects:
            if item.score < 0.25:  # weaker ones are kept for soft execution to weigh
                continue
            found += 1
            right += any(
                name == item.name and _iou(item.box, (x, y, x + w, y + h)) >= 0.5
                for name, (x, y, w, h) in truth
            )
    assert found > 40
    assert right / found > 0.5


def test_objects_get_colours_and_relations(shared: Path, yolox: OnnxDetector) -> None:
    scene = yolox.detect([shared / "data" / "coco" / "images" / "000000000009.jpg"])[0]
    assert scene.detector == "onnx:yolox_nano.onnx"
    assert all(item.attributes for item in scene.objects)
    assert {"to the left of", "to the right of"} <= {item.predicate for item in scene.relations}


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"bad\.onnx: not a usable ONNX model"):
        OnnxDetector(tmp_path / "bad.onnx")
    with pytest.raises(InputError, match=r"absent\.onnx: no such ONNX file"):
        OnnxDetector(tmp_path / "absent.onnx")


def _iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)
