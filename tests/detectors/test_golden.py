"""Our network against answers of the real detectron2 0.5 and torchvision 0.29, stage by stage.

The numbers come from `benchmarks/golden_published.py`; the weights are drawn here from its seed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from detectors.key_maps import DETECTRON2, TORCHVISION, load_weights
from detectors.preprocessing import prepare
from detectors.pretrained import PretrainedDetector
from detectors.rcnn import RCNN
from detectors.rcnn_config import detectron2_c4, detectron2_fpn, torchvision_fpn
from tests.detectors import published

GOLDEN = Path(__file__).with_name("golden")
SIDE, PROPOSALS = 96, 24
KEPT = (
    "anchors", "proposals", "proposal logits", "class logits", "boxes", "scores", "labels",
)  # fmt: skip
NAMES = tuple(f"class {number}" for number in range(90))
VARIANTS = {
    "detectron2-fpn": (detectron2_fpn(NAMES[:80]), published.detectron2_fpn, DETECTRON2),
    "detectron2-c4": (detectron2_c4(NAMES[:80]), published.detectron2_c4, DETECTRON2),
    "torchvision-fpn": (torchvision_fpn(NAMES), published.torchvision_fpn, TORCHVISION),
}


def golden_picture() -> PIL.Image.Image:
    """Noise, which no later version of a library can draw differently."""
    pixels = np.random.default_rng(7).integers(0, 256, (72, 110, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels)


def detector(kind: str, golden: dict[str, np.ndarray]) -> PretrainedDetector:
    config, draw, key_map = VARIANTS[kind]
    config = replace(config, minimum_side=SIDE, proposals_after_nms=PROPOSALS)
    tensors = draw()
    for key, factor in golden.items():
        if key.startswith("scale "):
            for kind_of in ("weight", "bias"):
                tensors[f"{key.removeprefix('scale ')}.{kind_of}"] *= float(factor)
    model = RCNN(config)
    load_weights(model, tensors, key_map, kind)
    return PretrainedDetector(model)


def close(found: torch.Tensor, wanted: np.ndarray, what: str) -> None:
    assert tuple(found.shape) == wanted.shape, what
    scale = max(float(np.abs(wanted).max()), 1.0)
    assert float(np.abs(found.numpy() - wanted).max()) <= 1e-3 * scale, what


@pytest.mark.parametrize("kind", VARIANTS)
def test_every_stage_equals_the_published_implementation(kind: str) -> None:
    with np.load(GOLDEN / f"{kind}.npz") as saved:
        golden = {key: saved[key] for key in saved.files}
    mine = detector(kind, golden)
    picture = golden_picture()
    prepared = prepare([picture], mine.config)
    with torch.inference_mode():
        levels = mine.model.levels(prepared.pictures)
        height, width = prepared.pictures.shape[2:]
        raw = mine.model.proposals(levels, (height, width))
        boxes, logits = mine.model.proposals.propose(raw, prepared.sizes)
        output = mine.model.describe(levels, boxes)
    for level, value in enumerate(levels):
        close(value[0, :8], golden[f"map {level}"], f"map {level}")
    close(raw.anchors, golden["anchors"], "anchors")
    close(boxes[0], golden["proposals"], "proposals")
    if "proposal logits" in golden:
        close(logits[0], golden["proposal logits"], "proposal logits")
    close(output.logits, golden["class logits"], "class logits")
    (scene,) = mine.detect([picture])
    close(torch.from_numpy(scene.boxes()), golden["boxes"], "boxes")
    close(torch.tensor([item.score for item in scene.objects]), golden["scores"], "scores")
    labels = [mine.config.classes.index(item.name) for item in scene.objects]
    assert labels == golden["labels"].astype(int).tolist()
    assert len(labels) > 20
