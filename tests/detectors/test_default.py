from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file, save_file

from detectors.config import DetectorConfig, from_mapping, to_mapping
from detectors.default import RegionDetector, save_detector
from detectors.errors import InputError
from detectors.factory import create_detector
from detectors.faster_rcnn import build_detector
from detectors.protocol import Detector
from tests.detectors.toy import tiny_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights")
    save_detector(build_detector(tiny_config(score_threshold=0.0)), path, card="# card\n")
    return path


def picture(width: int, height: int, seed: int = 0) -> PIL.Image.Image:
    rng = np.random.default_rng(seed)
    return PIL.Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_scene_has_dense_arrays_and_boxes_of_the_original_picture(folder: Path) -> None:
    detector = RegionDetector.from_pretrained(folder)
    assert isinstance(detector, Detector)
    (scene,) = detector.detect([picture(300, 100)], ["a"])
    count = len(scene.objects)
    assert (scene.image_id, scene.width, scene.height) == ("a", 300, 100)
    assert count > 0
    assert scene.boxes()[:, [0, 2]].max() <= 300.01
    assert scene.boxes()[:, [1, 3]].max() <= 100.01
    assert scene.boxes()[:, [0, 2]].max() > 96
    assert scene.class_probabilities is not None
    assert scene.class_probabilities.shape == (count, 2)
    assert scene.relation_probabilities is not None
    assert scene.relation_probabilities.shape == (count, count, 2)
    assert scene.features is not None
    assert scene.features.dtype == np.float32
    assert set(scene.scene_attributes["probabilities"]["location"]) == {
        "indoors", "outdoors", "none",
    }  # fmt: skip
    json.dumps(scene.to_json())


def test_pictures_of_all_shapes_and_modes_go_through_in_one_batch(folder: Path) -> None:
    detector = RegionDetector.from_pretrained(folder)
    images = [picture(96, 64), picture(50, 200, 1).convert("L"), picture(3, 3, 2), picture(96, 64)]
    scenes = detector.detect(images)
    assert [(scene.width, scene.height) for scene in scenes] == [image.size for image in images]
    assert [scene.image_id for scene in scenes] == ["0", "1", "2", "3"]
    assert np.allclose(scenes[0].boxes(), scenes[3].boxes(), atol=1e-2)


def test_no_pictures_give_no_scenes_and_wrong_ids_are_refused(folder: Path) -> None:
    detector = RegionDetector.from_pretrained(folder)
    assert detector.detect([]) == []
    with pytest.raises(InputError, match="image_ids"):
        detector.detect([picture(96, 64)], [])


def test_threshold_is_respected_and_the_factory_loads_a_folder(folder: Path) -> None:
    detector = create_detector(f"default:{folder}", threshold=0.999)
    assert detector.detect([picture(96, 64)])[0].objects == []


@pytest.mark.parametrize("spec", ["nothing", "onnx:", "oracle:", "hf:", "rcnn:", "lxmert:"])
def test_unknown_detectors_are_refused_in_one_line(spec: str) -> None:
    with pytest.raises(InputError, match="detector"):
        create_detector(spec)


def test_missing_unexpected_and_misshapen_tensors_are_listed(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(str(folder / "model.safetensors"))
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    name = next(iter(sorted(tensors)))
    changed = {**tensors, "surplus": torch.zeros(1)}
    del changed[name]
    save_file(changed, str(tmp_path / "model.safetensors"))
    with pytest.raises(InputError, match=r"missing.*unexpected.*surplus") as caught:
        RegionDetector.from_pretrained(tmp_path)
    assert name in str(caught.value)
    save_file({**tensors, name: torch.zeros(1, 2, 3)}, str(tmp_path / "model.safetensors"))
    with pytest.raises(InputError, match="expected shape"):
        RegionDetector.from_pretrained(tmp_path)
    endless = {**tensors, name: torch.full_like(tensors[name], torch.inf)}
    save_file(endless, str(tmp_path / "model.safetensors"))
    with pytest.raises(InputError, match=rf"{name}: holds values that are not finite"):
        RegionDetector.from_pretrained(tmp_path)


def test_damaged_and_missing_files_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json.*no such file"):
        RegionDetector.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        RegionDetector.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    weights = (folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        RegionDetector.from_pretrained(tmp_path)


def test_configuration_round_trips_and_refuses_what_it_does_not_know() -> None:
    config = tiny_config()
    again = from_mapping(DetectorConfig, json.loads(json.dumps(to_mapping(config))), "x")
    assert again == config
    with pytest.raises(InputError, match=r"x: unknown keys \['speed'\]"):
        from_mapping(DetectorConfig, {"speed": 3}, "x")
    with pytest.raises(InputError, match="x: feature_size: expected int, got 'big'"):
        from_mapping(DetectorConfig, {"feature_size": "big"}, "x")
    with pytest.raises(InputError, match="image_size: expected 2 values, got 3"):
        from_mapping(DetectorConfig, {"image_size": [1, 2, 3]}, "x")
