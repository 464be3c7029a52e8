from __future__ import annotations

import pytest
import torch

from detectors.faster_rcnn import FasterRCNN, Targets, TrainingSettings, build_detector
from detectors.roi_heads import PyramidPooler, sample_regions
from tests.detectors.toy import tiny_config


@pytest.fixture
def model() -> FasterRCNN:
    torch.manual_seed(0)
    return build_detector(tiny_config(score_threshold=0.0)).eval()


def targets(counts: list[int]) -> Targets:
    most = max(counts)
    boxes = torch.zeros(len(counts), most, 4)
    mask = torch.zeros(len(counts), most, dtype=torch.bool)
    for picture, count in enumerate(counts):
        for row in range(count):
            boxes[picture, row] = torch.tensor([5.0 + 30 * row, 10, 30 + 30 * row, 40])
            mask[picture, row] = True
    return Targets(
        boxes,
        torch.zeros(len(counts), most, dtype=torch.int64),
        mask,
        torch.zeros(len(counts), most, 2),
        torch.zeros(len(counts), most, most, 2),
        {"location": torch.zeros(len(counts), dtype=torch.int64)},
    )


def test_losses_are_finite_and_reach_every_parameter(model: FasterRCNN) -> None:
    model.train()
    losses = model.losses(
        torch.randint(0, 256, (2, 3, 64, 96)).float(),
        targets([2, 1]),
        TrainingSettings(),
        torch.Generator().manual_seed(0),
    )
    assert set(losses) == {
        "rpn_objectness", "rpn_box", "class", "box", "attribute", "relation", "picture",
    }  # fmt: skip
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert torch.isfinite(total)
    untouched = [name for name, p in model.named_parameters() if p.grad is None]
    assert untouched == []


def test_pictures_without_objects_give_finite_losses(model: FasterRCNN) -> None:
    empty = targets([1, 1])._replace(mask=torch.zeros(2, 1, dtype=torch.bool))
    losses = model.losses(torch.zeros(2, 3, 64, 96), empty, TrainingSettings())
    assert torch.isfinite(torch.stack(list(losses.values()))).all()
    assert losses["box"] == 0
    assert losses["relation"] == 0


def test_detections_have_matching_shapes_and_stay_inside(model: FasterRCNN) -> None:
    pictures = torch.randint(0, 256, (2, 3, 64, 96)).float()
    for detections, (height, width) in zip(
        model(pictures, [(64, 96), (40, 70)]), [(64, 96), (40, 70)], strict=True
    ):
        count = detections.boxes.shape[0]
        assert 0 < count <= 36
        assert detections.class_probabilities.shape == (count, 2)
        assert detections.attribute_probabilities.shape == (count, 2)
        assert detections.relation_probabilities.shape == (count, count, 2)
        assert detections.features.shape == (count, 32)
        assert (detections.boxes >= 0).all()
        assert (detections.boxes <= torch.tensor([width, height, width, height])).all()
        assert (detections.scores.diff() <= 0).all()
        assert (detections.class_probabilities.sum(dim=1) <= 1 + 1e-5).all()
        assert (detections.relation_probabilities.diagonal() == 0).all()


def test_a_threshold_that_nothing_passes_gives_an_empty_scene(model: FasterRCNN) -> None:
    strict = build_detector(tiny_config(score_threshold=0.999)).eval()
    (detections,) = strict(torch.zeros(1, 3, 64, 96), [(64, 96)])
    assert detections.boxes.shape == (0, 4)
    assert detections.relation_probabilities.shape == (0, 0, 2)


def test_a_picture_is_described_the_same_alone_and_in_a_batch(model: FasterRCNN) -> None:
    pictures = torch.randint(0, 256, (3, 3, 64, 96)).float()
    together = model(pictures, [(64, 96)] * 3)
    (alone,) = model(pictures[1:2], [(64, 96)])
    assert torch.allclose(together[1].boxes, alone.boxes, atol=1e-3)
    assert torch.allclose(together[1].scores, alone.scores, atol=1e-5)


def test_regions_are_pooled_from_the_level_of_their_size() -> None:
    pooler = PyramidPooler(7, 2, 96.0, (4, 8, 16, 32))
    sizes = torch.tensor([10.0, 30, 60, 100, 150, 500])
    boxes = torch.stack([torch.zeros(6), torch.zeros(6), sizes, sizes], dim=1)
    assert pooler.assign(boxes).tolist() == [0, 0, 1, 2, 2, 3]
    canonical = PyramidPooler(7, 2, 224.0, (4, 8, 16, 32))
    assert canonical.assign(torch.tensor([[0.0, 0, 224, 224]])).tolist() == [2]


def test_pooling_reads_only_the_assigned_level() -> None:
    pooler = PyramidPooler(2, 2, 96.0, (4, 8, 16, 32))
    levels = [
        torch.full((1, 1, 64 // s, 64 // s), float(s)).expand(1, 3, -1, -1) for s in (4, 8, 16, 32)
    ]
    boxes = torch.tensor([[[0.0, 0, 20, 20], [0, 0, 60, 60], [4, 4, 30, 30]]])
    pooled = pooler(levels, boxes)
    assert pooled.shape == (1, 3, 2, 2, 3)
    assert pooled[0, :, 0, 0, 0].tolist() == [4, 8, 4]


def test_region_sample_starts_with_the_true_boxes() -> None:
    truth = targets([2, 1])
    sample = sample_regions(
        [torch.tensor([[5.0, 10, 30, 40], [60, 5, 70, 12]]), torch.zeros(0, 4)],
        truth.boxes,
        truth.labels,
        truth.mask,
        background=2,
        count=4,
        positive_fraction=0.5,
        jitter=0.0,
        size=(64, 96),
    )
    assert torch.equal(sample.boxes[:, :2], truth.boxes)
    assert sample.labels[0, :2].tolist() == [0, 0]
    assert sorted(sample.labels[0, 2:].tolist()) == [0, 2]
    assert sample.labels[1].tolist()[:2] == [0, -1]
    assert (sample.labels[1, 2:] == -1).all()
