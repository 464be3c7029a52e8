"""Photographs in COCO's format train the detector on MobileNetV2, and broken files are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import save_file

from detectors.default import RegionDetector
from detectors.errors import InputError
from detectors.mobilenet import MobileNetV2, load_mobilenet
from gqa_reasoner.cli import main
from gqa_reasoner.training.detector_coco import read_coco


def published_mobilenet(folder: Path) -> Path:
    """A folder with the published names, filled with noise; normalization is not the identity."""
    generator = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True)
    tensors = {"classifier.weight": torch.zeros(2, 1280), "classifier.bias": torch.zeros(2)}
    for name, value in MobileNetV2().state_dict().items():
        if not name.endswith(".weight"):
            continue
        layer, count = f"mobilenet_v2.{name.removesuffix('.weight')}", len(value)
        fan = value[0].numel()
        noise = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
        tensors[f"{layer}.convolution.weight"] = noise
        for part in ("weight", "bias", "running_mean", "running_var"):
            base = 0.1 * torch.rand(count, generator=generator)
            tensors[f"{layer}.normalization.{part}"] = base + (
                0.9 if part in ("weight", "running_var") else 0.0
            )
        tensors[f"{layer}.normalization.num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
    save_file(tensors, str(folder / "model.safetensors"))
    config = {"depth_multiplier": 1.0, "tf_padding": True, "layer_norm_eps": 0.001}
    (folder / "config.json").write_text(json.dumps({"model_type": "mobilenet_v2", **config}))
    return folder


def coco_record(count: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(count):
        subset = "val" if number % 3 == 2 else "train"
        images.append(
            {"id": number, "file_name": f"{number:04d}.jpg", "width": 64, "height": 48,
             "subset": subset}
        )  # fmt: skip
        for category in (1, 2):
            x, y = (float(v) for v in rng.uniform(0, 20, 2))
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": category,
                 "bbox": [x, y, 24.0, 20.0], "iscrowd": 0}
            )  # fmt: skip
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "coco"
    (folder / "images").mkdir(parents=True)
    record = coco_record()
    for item in record["images"]:
        PIL.Image.new("RGB", (64, 48), (item["id"] * 30, 90, 20)).save(
            folder / "images" / item["file_name"]
        )
    (folder / "instances.json").write_text(json.dumps(record))
    return folder / "instances.json"


def test_the_backbone_equals_the_published_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = published_mobilenet(tmp_path / "mobilenet")
    mine = MobileNetV2()
    load_mobilenet(mine, folder)
    config = transformers.MobileNetV2Config(tf_padding=True, layer_norm_eps=0.001)
    theirs = transformers.MobileNetV2Model.from_pretrained(
        folder, config=config, add_pooling_layer=False
    ).eval()
    pictures = torch.rand(1, 3, 70, 95, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        maps = mine(pictures)
        wanted = theirs(pictures, output_hidden_states=True)
    assert [tuple(part.shape[1:]) for part in maps] == [
        (24, 18, 24), (32, 9, 12), (96, 5, 6), (1280, 3, 3),
    ]  # fmt: skip
    for part, position in zip(maps[:3], (1, 4, 11), strict=True):
        torch.testing.assert_close(part, wanted.hidden_states[position], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(maps[3], wanted.last_hidden_state, rtol=1e-4, atol=1e-4)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    folder = published_mobilenet(tmp_path / "mobilenet")
    with pytest.raises(InputError, match=r"config\.json: no such file"):
        load_mobilenet(MobileNetV2(), tmp_path)
    (folder / "config.json").write_text(json.dumps({"depth_multiplier": 0.5}))
    with pytest.raises(InputError, match=r"depth_multiplier: expected 1\.0, got 0\.5"):
        load_mobilenet(MobileNetV2(), folder)
    (folder / "config.json").write_text("{}")
    save_file({"other.weight": torch.zeros(2)}, str(folder / "model.safetensors"))
    with pytest.raises(InputError, match=r"unexpected other\.weight"):
        load_mobilenet(MobileNetV2(), folder)


def test_the_command_fine_tunes_freezes_and_exports(photos: Path, tmp_path: Path) -> None:
    folder = published_mobilenet(tmp_path / "mobilenet")
    config = tmp_path / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "steps": 2, "batch_size": 2, "minimum_name_count": 1, "facts": [], "threads": 1,
                "frozen_maps": 2, "backbone_learning_rate_share": 0.1, "warmup_steps": 1,
                "precision": "float32",
                "model": {"image_size": [64, 64], "pyramid_channels": 8, "feature_size": 16},
            }
        )
    )  # fmt: skip
    out = tmp_path / "out"
    status = main(
        ["train", "--stage", "detector", "--backbone", f"mobilenet_v2:{folder}", "--coco",
         f"{photos}#train", "--validation", f"{photos}#val", "--config", str(config), "--output",
         str(out), "--seed", "1"]
    )  # fmt: skip
    assert status == 0
    detector = RegionDetector.from_pretrained(out / "weights", threshold=0.0)
    before = MobileNetV2()
    load_mobilenet(before, folder)
    after = detector.model.backbone.state_dict()
    for name, value in before.state_dict().items():
        frozen = name.startswith("conv_stem") or (
            name.startswith("layer.") and int(name.split(".")[1]) <= 4
        )
        same = torch.equal(after[name], value.half().float())
        assert same == frozen, name
    card = (out / "weights" / "README.md").read_text()
    assert "MobileNetV2" in card
    assert f"--coco {photos}#train" in card.replace("'", "")
    (scene,) = detector.detect([photos.parent / "images" / "0000.jpg"])
    assert {item.name for item in scene.objects} <= {"cat", "dog"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.pop("images"), "field 'images' must be a list"),
        (lambda r: r["images"].append(dict(r["images"][0])), "duplicate image id 0"),
        (lambda r: r["images"][0].update(width="wide"), "field 'width' must be a whole number"),
        (lambda r: r["annotations"][1].update(image_id=99), "annotation 1: unknown image 99"),
        (lambda r: r["annotations"][1].update(category_id=9), "annotation 1: unknown category 9"),
        (lambda r: r["annotations"][1].update(bbox=[1, 2, 3]), "'bbox' must be four numbers"),
        (
            lambda r: r["annotations"][1].update(bbox=[50, 2, 30, 9]),
            "reaches outside the 64 x 48 picture",
        ),
    ],
)
def test_broken_coco_files_are_named(tmp_path: Path, change: Any, words: str) -> None:
    record = coco_record()
    change(record)
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError) as caught:
        read_coco(str(path))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_files_and_subsets_are_named(photos: Path, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(InputError, match="no images of subset 'test'"):
        read_coco(f"{photos}#test")
    with pytest.raises(InputError, match="no such file"):
        read_coco(str(tmp_path / "absent.json"))
    (tmp_path / "cut.json").write_text(photos.read_text()[:50])
    with pytest.raises(InputError, match="not JSON"):
        read_coco(str(tmp_path / "cut.json"))
    options = ["train", "--stage", "detector", "--coco", str(photos), "--output", str(tmp_path)]
    assert main([*options, "--backbone", "resnet:here"]) == 2
    assert "expected mobilenet_v2:DIR" in capsys.readouterr().err
