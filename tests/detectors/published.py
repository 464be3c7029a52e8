"""State dicts with the names and shapes of published Faster R-CNN files, filled with noise.

Names: detectron2 model zoo (`COCO-Detection`), torchvision `fasterrcnn_resnet50_fpn_coco-258fb6c6`,
`unc-nlp/frcnn-vg-finetuned`.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCKS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3]}
NORM = ("weight", "bias", "running_mean", "running_var")


class Filler:
    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.tensors: dict[str, Tensor] = {}

    def add(self, name: str, *shape: int, scale: float | None = None) -> None:
        fan = 1
        for side in shape[1:]:
            fan *= side
        scale = (2 / fan) ** 0.5 if scale is None else scale
        self.tensors[name] = torch.randn(*shape, generator=self.generator) * scale

    def norm(self, name: str, channels: int) -> None:
        for part in NORM:
            base = torch.rand(channels, generator=self.generator) * 0.2
            self.tensors[f"{name}.{part}"] = base + (
                0.7 if part in ("weight", "running_var") else 0
            )


def _detectron2_stage(f: Filler, prefix: str, stage: int, blocks: int) -> None:
    outputs = 256 * 2 ** (stage - 2)
    inputs = 64 if stage == 2 else outputs // 2
    for block in range(blocks):
        name = f"{prefix}.{block}"
        if block == 0:
            f.add(f"{name}.shortcut.weight", outputs, inputs, 1, 1)
            f.norm(f"{name}.shortcut.norm", outputs)
        f.add(f"{name}.conv1.weight", outputs // 4, inputs if block == 0 else outputs, 1, 1)
        f.add(f"{name}.conv2.weight", outputs // 4, outputs // 4, 3, 3)
        f.add(f"{name}.conv3.weight", outputs, outputs // 4, 1, 1, scale=0.01)
        for conv, channels in (
            ("conv1", outputs // 4),
            ("conv2", outputs // 4),
            ("conv3", outputs),
        ):
            f.norm(f"{name}.{conv}.norm", channels)


def _detectron2_common(f: Filler, backbone: str, stages: range, depth: int) -> None:
    f.add(f"{backbone}.stem.conv1.weight", 64, 3, 7, 7, scale=0.001)
    f.norm(f"{backbone}.stem.conv1.norm", 64)
    for stage in stages:
        _detectron2_stage(f, f"{backbone}.res{stage}", stage, BLOCKS[depth][stage - 2])


def _rpn(f: Filler, channels: int, hidden: int, anchors: int) -> None:
    head = "proposal_generator.rpn_head"
    f.add(f"{head}.conv.weight", hidden, channels, 3, 3)
    f.add(f"{head}.objectness_logits.weight", anchors, hidden, 1, 1)
    f.add(f"{head}.anchor_deltas.weight", 4 * anchors, hidden, 1, 1, scale=0.001)
    f.add(f"{head}.conv.bias", hidden)
    f.add(f"{head}.objectness_logits.bias", anchors)
    f.add(f"{head}.anchor_deltas.bias", 4 * anchors, scale=0.01)


def _predictor(f: Filler, features: int, classes: int) -> None:
    name = "roi_heads.box_predictor"
    f.add(f"{name}.cls_score.weight", classes + 1, features)
    f.add(f"{name}.cls_score.bias", classes + 1)
    f.add(f"{name}.bbox_pred.weight", 4 * classes, features, scale=0.001)
    f.add(f"{name}.bbox_pred.bias", 4 * classes, scale=0.01)


def detectron2_fpn(classes: int = 80) -> dict[str, Tensor]:
    f = Filler()
    _detectron2_common(f, "backbone.bottom_up", range(2, 6), 50)
    for stage in range(2, 6):
        f.add(f"backbone.fpn_lateral{stage}.weight", 256, 128 * 2 ** (stage - 1), 1, 1)
        f.add(f"backbone.fpn_lateral{stage}.bias", 256)
        f.add(f"backbone.fpn_output{stage}.weight", 256, 256, 3, 3)
        f.add(f"backbone.fpn_output{stage}.bias", 256)
    _rpn(f, 256, 256, 3)
    f.add("roi_heads.box_head.fc1.weight", 1024, 256 * 49)
    f.add("roi_heads.box_head.fc1.bias", 1024)
    f.add("roi_heads.box_head.fc2.weight", 1024, 1024)
    f.add("roi_heads.box_head.fc2.bias", 1024)
    _predictor(f, 1024, classes)
    f.tensors["pixel_mean"] = torch.zeros(3, 1, 1)
    f.tensors["pixel_std"] = torch.ones(3, 1, 1)
    for level in range(5):
        f.tensors[f"proposal_generator.anchor_generator.cell_anchors.{level}"] = torch.zeros(3, 4)
    return f.tensors


def detectron2_c4(classes: int = 80) -> dict[str, Tensor]:
    f = Filler()
    _detectron2_common(f, "backbone", range(2, 5), 50)
    _rpn(f, 1024, 1024, 15)
    _detectron2_stage(f, "roi_heads.res5", 5, 3)
    _predictor(f, 2048, classes)
    return f.tensors


def lxmert(classes: int = 1600, attributes: int = 400) -> dict[str, Tensor]:
    f = Filler()
    _detectron2_common(f, "backbone", range(2, 5), 101)
    _rpn(f, 1024, 512, 15)
    _detectron2_stage(f, "roi_heads.res5", 5, 3)
    _predictor(f, 2048, classes)
    name = "roi_heads.box_predictor"
    f.add(f"{name}.cls_embedding.weight", classes + 1, 256)
    f.add(f"{name}.fc_attr.weight", 512, 2304)
    f.add(f"{name}.fc_attr.bias", 512)
    f.add(f"{name}.attr_score.weight", attributes + 1, 512)
    f.add(f"{name}.attr_score.bias", attributes + 1)
    f.tensors["proposal_generator.anchor_generator.cell_anchors.0"] = torch.zeros(15, 4)
    return f.tensors


def torchvision_fpn(classes: int = 91, *, new_names: bool = False) -> dict[str, Tensor]:
    f = Filler()
    f.add("backbone.body.conv1.weight", 64, 3, 7, 7)
    f.norm("backbone.body.bn1", 64)
    for layer in range(1, 5):
        outputs, inputs = 128 * 2**layer, 64 if layer == 1 else 64 * 2**layer
        for block in range(BLOCKS[50][layer - 1]):
            name, hidden = f"backbone.body.layer{layer}.{block}", outputs // 4
            f.add(f"{name}.conv1.weight", hidden, inputs if block == 0 else outputs, 1, 1)
            f.add(f"{name}.conv2.weight", hidden, hidden, 3, 3)
            f.add(f"{name}.conv3.weight", outputs, hidden, 1, 1)
            for number, channels in ((1, hidden), (2, hidden), (3, outputs)):
                f.norm(f"{name}.bn{number}", channels)
            if block == 0:
                f.add(f"{name}.downsample.0.weight", outputs, inputs, 1, 1)
                f.norm(f"{name}.downsample.1", outputs)
    middle = ".0" if new_names else ""
    for level in range(4):
        f.add(f"backbone.fpn.inner_blocks.{level}{middle}.weight", 256, 256 * 2**level, 1, 1)
        f.add(f"backbone.fpn.inner_blocks.{level}{middle}.bias", 256)
        f.add(f"backbone.fpn.layer_blocks.{level}{middle}.weight", 256, 256, 3, 3)
        f.add(f"backbone.fpn.layer_blocks.{level}{middle}.bias", 256)
    conv = "rpn.head.conv.0.0" if new_names else "rpn.head.conv"
    f.add(f"{conv}.weight", 256, 256, 3, 3)
    f.add(f"{conv}.bias", 256)
    f.add("rpn.head.cls_logits.weight", 3, 256, 1, 1)
    f.add("rpn.head.cls_logits.bias", 3)
    f.add("rpn.head.bbox_pred.weight", 12, 256, 1, 1, scale=0.001)
    f.add("rpn.head.bbox_pred.bias", 12, scale=0.01)
    f.add("roi_heads.box_head.fc6.weight", 1024, 256 * 49)
    f.add("roi_heads.box_head.fc6.bias", 1024)
    f.add("roi_heads.box_head.fc7.weight", 1024, 1024)
    f.add("roi_heads.box_head.fc7.bias", 1024)
    f.add("roi_heads.box_predictor.cls_score.weight", classes, 1024)
    f.add("roi_heads.box_predictor.cls_score.bias", classes)
    f.add("roi_heads.box_predictor.bbox_pred.weight", 4 * classes, 1024, scale=0.001)
    f.add("roi_heads.box_predictor.bbox_pred.bias", 4 * classes, scale=0.01)
    return f.tensors
