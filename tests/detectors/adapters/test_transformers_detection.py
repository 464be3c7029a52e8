"""Detectors of the transformers library run from a local folder, and say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from detectors.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("yolos")
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[64, 64],
        num_detection_tokens=5,
        id2label={0: "Cat", 1: "dog"},
        label2id={"Cat": 0, "dog": 1},
    )
    transformers.YolosForObjectDetection(config).save_pretrained(place)
    transformers.YolosImageProcessor(size={"height": 64, "width": 64}).save_pretrained(place)
    return place


def test_a_local_folder_gives_scenes_in_pixels_of_the_picture(folder: Path) -> None:
    from detectors.adapters.transformers_detection import TransformersDetector

    detector = TransformersDetector(str(folder), threshold=0.0)
    scene = detector.detect([Image.new("RGB", (200, 100), (200, 30, 30))], ["red"])[0]
    assert scene.image_id == "red"
    assert scene.detector.startswith("transformers:")
    assert {item.name for item in scene.objects} <= {"cat", "dog"}
    assert len(scene.objects) == 5
    for item in scene.objects:
        assert 0 <= item.box[0] <= item.box[2] <= 200
        assert 0 <= item.box[1] <= item.box[3] <= 100


def test_a_name_that_cannot_be_downloaded_gives_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    from detectors.adapters.transformers_detection import TransformersDetector

    with pytest.raises(InputError) as caught:
        TransformersDetector("nobody/no-such-detector")
    assert "nobody/no-such-detector" in str(caught.value)
    assert "network" in str(caught.value)
    assert "\n" not in str(caught.value)
