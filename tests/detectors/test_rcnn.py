from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from detectors import rcnn_config
from detectors.anchors import AnchorGenerator, RoundedAnchorGenerator
from detectors.errors import InputError
from detectors.faster_rcnn import Targets
from detectors.key_maps import DETECTRON2, load_weights
from detectors.preprocessing import prepare, resized_size
from detectors.pretrained import PretrainedDetector, lxmert_config, read_names
from detectors.rcnn import RCNN
from detectors.rcnn_selection import select_by_confidence, select_per_class, select_per_region
from detectors.rcnn_training import freeze_early_stages, rcnn_losses
from tests.detectors import published, reference_ops

SMALL = {
    "minimum_side": 64,
    "maximum_side": 96,
    "proposals_before_nms": 20,
    "proposals_after_nms": 6,
    "score_threshold": 0.0,
}


def names(count: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(count))


def picture(width: int, height: int) -> PIL.Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise)


def test_shorter_side_is_scaled_and_the_longer_limited() -> None:
    config = rcnn_config.detectron2_fpn(names(1))
    assert resized_size(480, 640, config) == (800, 1067)
    assert resized_size(640, 480, config) == (1067, 800)
    assert resized_size(300, 1200, config) == (333, 1333)
    torchvision = rcnn_config.torchvision_fpn(names(1))
    assert resized_size(480, 640, torchvision) == (800, 1066)
    vg = rcnn_config.bottom_up_attention(names(1), names(1))
    assert resized_size(375, 500, vg) == (600, 800)
    assert resized_size(333, 1000, vg) == (333, 1000)


def test_detectron2_input_is_bgr_minus_mean_and_padded_with_zeros() -> None:
    config = replace(rcnn_config.detectron2_fpn(names(1)), minimum_side=50, maximum_side=50)
    red = PIL.Image.new("RGB", (50, 40), (200, 10, 20))
    prepared = prepare([red], config)
    assert prepared.sizes == [(40, 50)]
    assert prepared.pictures.shape == (1, 3, 64, 64)
    expected = torch.tensor([20 - 103.53, 10 - 116.28, 200 - 123.675])
    assert torch.allclose(prepared.pictures[0, :, 5, 5], expected)
    assert not prepared.pictures[0, :, 40:].any()
    assert not prepared.pictures[0, :, :, 50:].any()


def test_torchvision_input_is_rgb_in_units_of_the_imagenet_deviation() -> None:
    config = replace(rcnn_config.torchvision_fpn(names(1)), minimum_side=32, maximum_side=64)
    prepared = prepare([PIL.Image.new("RGB", (64, 32), (255, 0, 51))], config)
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225])
    assert torch.allclose(prepared.pictures[0, :, 3, 3], expected, atol=1e-5)


def test_torchvision_anchors_are_rounded_and_strided_by_the_real_map_size() -> None:
    plain = AnchorGenerator([[32.0]], [0.5], [64])([(13, 17)], (800, 1088))[0]
    rounded = RoundedAnchorGenerator([[32.0]], [0.5], [64])([(13, 17)], (800, 1088))[0]
    assert rounded[0].tolist() == [-23.0, -11.0, 23.0, 11.0]
    assert torch.allclose(plain[0], torch.tensor([-22.627, -11.314, 22.627, 11.314]), atol=1e-3)
    assert (rounded[17] - rounded[0]).tolist() == [0, 800 // 13, 0, 800 // 13]
    assert torch.allclose(plain[17] - plain[0], torch.tensor([0.0, 64, 0, 64]))


def random_regions(count: int, classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(count, classes, 2, generator=generator) * 40
    boxes = torch.cat([corner, corner + 20], dim=-1)
    scores = (torch.randn(count, classes + 1, generator=generator) * 2).softmax(dim=1)
    return boxes, scores, torch.arange(count).float()[:, None]


def test_selection_per_class_equals_a_loop_over_classes() -> None:
    boxes, scores, features = random_regions(30, 4)
    config = replace(rcnn_config.detectron2_fpn(names(4)), maximum_regions=15)
    expected = []
    for label in range(4):
        rows = np.flatnonzero(scores[:, label].numpy() > 0.05)
        kept = reference_ops.nms(boxes[rows, label].numpy(), scores[rows, label].numpy(), 0.5)
        expected += [(float(scores[rows[i], label]), label, int(rows[i])) for i in kept]
    expected = sorted(expected, reverse=True)[:15]
    chosen = select_per_class(boxes, scores, features, None, config)
    found = list(
        zip(chosen.scores.tolist(), chosen.labels.tolist(), chosen.regions.tolist(), strict=True)
    )
    assert found == expected
    assert chosen.features[:, 0].tolist() == [row for _, _, row in expected]


def test_selection_per_region_gives_exactly_the_wanted_number() -> None:
    boxes, scores, features = random_regions(60, 4)
    config = rcnn_config.bottom_up_attention(names(4), names(2))
    attributes = torch.rand(60, 2)
    chosen = select_per_region(boxes, scores, features, attributes, config)
    assert len(chosen.boxes) == 36
    assert len(set(chosen.regions.tolist())) == 36
    assert chosen.attributes is not None
    assert torch.equal(chosen.attributes, attributes[chosen.regions])
    few = replace(config, minimum_regions=1, maximum_regions=100)
    kept = select_per_region(boxes, scores, features, None, few)
    best, labels = scores[:, :-1].max(dim=1)
    expected = reference_ops.nms(
        boxes[torch.arange(60), labels].numpy(), best.numpy(), few.nms_thresholds[0]
    )
    assert kept.regions.tolist() == expected


@pytest.mark.parametrize(("threshold", "least", "most"), [(0.6, 3, 40), (0.99, 12, 40), (0, 2, 9)])
def test_adaptive_selection_equals_the_loop_over_classes_that_was_published(
    threshold: float, least: int, most: int
) -> None:
    boxes, scores, features = random_regions(60, 4)
    config = replace(
        rcnn_config.bottom_up_attention(names(4), names(2), regions=(10, 100)),
        score_threshold=threshold, minimum_regions=least, maximum_regions=most,
    )  # fmt: skip
    assert config.selection == "by-confidence"
    confidence = np.zeros(60)
    for label in range(4):
        own = scores[:, label].numpy()
        kept = reference_ops.nms(boxes[:, 0].numpy(), own, 0.3)
        confidence[kept] = np.maximum(confidence[kept], own[kept])
    expected = np.flatnonzero(confidence >= threshold)
    if not least <= len(expected) <= most:
        count = least if len(expected) < least else most
        expected = np.argsort(-confidence, kind="stable")[:count]
    chosen = select_by_confidence(boxes[:, :1], scores, features, torch.rand(60, 2), config)
    assert sorted(chosen.regions.tolist()) == sorted(expected.tolist())
    assert torch.equal(chosen.boxes, boxes[chosen.regions, 0])
    assert torch.equal(chosen.labels, scores[chosen.regions, :-1].argmax(dim=1))


@pytest.mark.parametrize("kind", ["fpn", "c4"])
def test_variants_detect_end_to_end(kind: str) -> None:
    config = getattr(rcnn_config, f"detectron2_{kind}")(names(3))
    model = RCNN(replace(config, **SMALL))
    load_weights(model, getattr(published, f"detectron2_{kind}")(3), DETECTRON2, "file")
    (scene,) = PretrainedDetector(model).detect([picture(120, 100)], ["x"])
    assert 0 < len(scene.objects) <= 18
    assert scene.features is not None
    assert scene.features.shape == (len(scene.objects), 1024 if kind == "fpn" else 2048)
    boxes = scene.boxes()
    assert boxes.min() >= 0
    assert boxes[:, [0, 2]].max() <= 120
    assert boxes[:, [1, 3]].max() <= 100


def test_no_proposals_give_an_empty_scene() -> None:
    config = replace(rcnn_config.detectron2_fpn(names(3)), **SMALL, minimum_proposal_size=1e6)
    (scene,) = PretrainedDetector(RCNN(config)).detect([picture(120, 100)])
    assert scene.objects == []
    assert scene.features is not None
    assert scene.features.shape == (0, 1024)


def test_losses_train_every_part_that_is_not_frozen() -> None:
    config = replace(rcnn_config.detectron2_fpn(names(3)), **SMALL)
    model = RCNN(config)
    freeze_early_stages(model)
    targets = Targets(
        torch.tensor([[[5.0, 5, 40, 50], [50, 10, 90, 60]]]),
        torch.tensor([[0, 2]]),
        torch.ones(1, 2, dtype=torch.bool),
        torch.zeros(1, 2, 0),
        torch.zeros(1, 2, 2, 0),
        {},
    )
    losses = rcnn_losses(model, torch.randn(1, 3, 64, 96), targets, regions_per_picture=8)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert torch.isfinite(total)
    without = {name for name, p in model.named_parameters() if p.grad is None}
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert without == frozen
    assert all(name.startswith(("backbone.stem", "backbone.res2")) for name in frozen)


def lxmert_folder(folder: Path, **changes: object) -> Path:
    (folder / "objects_vocab.txt").write_text("dog,hound\ncat\nTree\n")
    (folder / "attributes_vocab.txt").write_text("red\nbig\n")
    record = {
        "MODEL": {"PIXEL_MEAN": [102.9801, 115.9465, 122.7717], "MAX_POOL": True},
        "INPUT": {"MIN_SIZE_TEST": 64, "MAX_SIZE_TEST": 96, "FORMAT": "BGR"},
        "RPN": {"PRE_NMS_TOPK_TEST": 30, "POST_NMS_TOPK_TEST": 5, "NMS_THRESH": 0.7},
        "PROPOSAL_GENERATOR": {"HIDDEN_CHANNELS": 512, "MIN_SIZE": 0},
        "ROI_BOX_HEAD": {"RES5HALVE": False, "NUM_ATTRS": 2, "POOLER_RESOLUTION": 14},
        "ROI_HEADS": {"NUM_CLASSES": 3, "NMS_THRESH_TEST": [0.5, 1.0]},
        "RESNETS": {"DEPTH": 101, "STRIDE_IN_1X1": True},
        "MIN_DETECTIONS": 4,
        "MAX_DETECTIONS": 4,
    }
    for key, value in changes.items():
        record[key] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(record))
    return folder


def test_the_visual_genome_model_loads_from_its_folder_and_names_attributes(
    tmp_path: Path,
) -> None:
    lxmert_folder(tmp_path)
    torch.save(published.lxmert(3, 2), tmp_path / "pytorch_model.bin")
    detector = PretrainedDetector.from_lxmert(tmp_path)
    assert detector.config.classes == ("dog", "cat", "tree")
    assert detector.config.res5_dilated
    detector.attribute_threshold = 0.0
    (scene,) = detector.detect([picture(90, 60)])
    assert 0 < len(scene.objects) <= 4
    assert scene.features is not None
    assert scene.features.shape[1] == 2048
    assert set(scene.objects[0].attributes) == {"red", "big"}
    assert sum(scene.objects[0].attributes.values()) == pytest.approx(1)


def test_names_and_configuration_must_agree(tmp_path: Path) -> None:
    lxmert_folder(tmp_path, ROI_HEADS={"NUM_CLASSES": 1600})
    with pytest.raises(InputError, match=r"NUM_CLASSES: expected 3 names, the file says 1600"):
        lxmert_config(tmp_path / "config.yaml", ["a", "b", "c"], ["d", "e"])
    with pytest.raises(InputError, match="no such file"):
        read_names(tmp_path / "none.txt")
    lxmert_folder(tmp_path)
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        PretrainedDetector.from_lxmert(tmp_path)


def test_bottom_up_attention_shrinks_without_smoothing_and_takes_blue_first(
    tmp_path: Path,
) -> None:
    config = replace(
        rcnn_config.bottom_up_attention(names(2), names(1)), minimum_side=2, maximum_side=9
    )
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[1:3, 1:3] = (200, 10, 20)  # the four pixels that the first sample lies between
    prepared = prepare([PIL.Image.fromarray(pixels)], config)
    expected = torch.tensor([20 - 102.9801, 10 - 115.9465, 200 - 122.7717])
    assert torch.allclose(prepared.pictures[0, :, 0, 0], expected, atol=1e-4)
    lxmert_folder(tmp_path)
    assert lxmert_config(tmp_path / "config.yaml", ["a", "b", "c"], ["d", "e"]).resize == "float"
    model = {"PIXEL_MEAN": [122.8, 116.0, 103.0]}
    lxmert_folder(tmp_path, MODEL=model)
    config = lxmert_config(tmp_path / "config.yaml", ["a", "b", "c"], ["d", "e"])
    assert config.input_format == "RGB"
