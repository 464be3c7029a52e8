"""The published Faster R-CNN variants in plain torch: inference and losses.

Legend: B pictures, R regions, K classes, C channels, D feature size. Boxes are (x1, y1, x2, y2)
in pixels of the resized picture. In class scores background is the last column, whatever the
published order was: the loaders move it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.anchors import AnchorGenerator, RoundedAnchorGenerator
from detectors.boxes import BoxCoder, clip_boxes
from detectors.fpn import FeaturePyramid
from detectors.ops import roi_align
from detectors.rcnn_config import RCNNConfig
from detectors.rcnn_selection import (
    Selected,
    select_by_confidence,
    select_per_class,
    select_per_region,
)
from detectors.region_pooling import roi_pool
from detectors.resnet import BLOCKS, ResNet, make_stage
from detectors.roi_heads import PyramidPooler
from detectors.rpn import ProposalNetwork, ProposalSettings

__all__ = ["RCNN", "AttributePredictor", "ClassPredictor", "RegionOutput"]

_CHUNK = 64
"""Regions that go through res5 together; bounds the memory, does not change the result."""


_SELECTIONS = {
    "per-class": select_per_class,
    "per-region": select_per_region,
    "by-confidence": select_by_confidence,
}


class RegionOutput(NamedTuple):
    """Raw outputs of all regions of all pictures."""

    features: Tensor
    """(R, D)."""
    logits: Tensor
    """(R, K + 1)."""
    deltas: Tensor
    """(R, K, 4)."""
    attributes: Tensor | None
    """(R, attributes + 1), the last is "none"."""


class ClassPredictor(nn.Module):
    """Class logits and box deltas of each class."""

    def __init__(self, feature_size: int, classes: int) -> None:
        super().__init__()
        self.classes = nn.Linear(feature_size, classes + 1)
        self.deltas = nn.Linear(feature_size, 4 * classes)
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.normal_(self.deltas.weight, std=0.001)
        nn.init.zeros_(self.classes.bias)
        nn.init.zeros_(self.deltas.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(R, D) -> (R, K + 1) and (R, K, 4)."""
        deltas = self.deltas(features)
        return self.classes(features), deltas.view(len(deltas), deltas.shape[1] // 4, 4)


class AttributePredictor(nn.Module):
    """Attribute logits from the feature and the embedding of the best class, background included.

    Sizes as published for bottom-up attention: embedding D / 8, hidden D / 4.
    """

    def __init__(self, feature_size: int, classes: int, attributes: int) -> None:
        super().__init__()
        embedding = feature_size // 8
        self.embedding = nn.Embedding(classes + 1, embedding)
        self.hidden = nn.Linear(feature_size + embedding, feature_size // 4)
        self.output = nn.Linear(feature_size // 4, attributes + 1)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Features (R, D), labels (R,) -> (R, attributes + 1)."""
        joined = torch.cat([features, self.embedding(labels)], dim=-1)
        return self.output(torch.relu(self.hidden(joined)))


class RCNN(nn.Module):
    """A published variant; `config` says which.

    Raises:
        InputError: the configuration is inconsistent (from `RCNNConfig`).
    """

    def __init__(self, config: RCNNConfig) -> None:
        super().__init__()
        self.config = config
        pyramid = config.head == "fpn"
        self.backbone = ResNet(
            config.depth,
            5 if pyramid else 4,
            stride_in_1x1=config.stride_in_1x1,
            caffe_max_pool=config.caffe_max_pool,
            epsilon=config.norm_epsilon,
        )
        self.strides = (4, 8, 16, 32, 64) if pyramid else (16,)
        kind = RoundedAnchorGenerator if config.anchors_rounded else AnchorGenerator
        anchors = kind(config.anchor_sizes, config.anchor_ratios, self.strides)
        settings = ProposalSettings(
            config.proposals_before_nms,
            config.proposals_after_nms,
            config.proposal_nms_threshold,
            config.minimum_proposal_size,
            as_published=True,
            rank_by_probability=config.rank_proposals_by_probability,
        )
        channels = 256 if pyramid else 1024
        self.proposals = ProposalNetwork(channels, anchors, settings, config.proposal_channels)
        classes = len(config.classes)
        if pyramid:
            self.pyramid = FeaturePyramid((256, 512, 1024, 2048), 256)
            self.box_head = nn.Sequential(
                nn.Flatten(), nn.Linear(256 * config.pooler_size**2, 1024), nn.ReLU(),
                nn.Linear(1024, 1024), nn.ReLU(),
            )  # fmt: skip
            self.assigner = PyramidPooler(
                config.pooler_size, 0, 224.0, self.strides[:4], level_shift=config.level_shift
            )
        else:
            self.box_head = make_stage(
                5,
                BLOCKS[config.depth][3],
                stride=1 if config.res5_dilated else 2,
                stride_in_1x1=config.stride_in_1x1,
                dilation=2 if config.res5_dilated else 1,
                epsilon=config.norm_epsilon,
            )
        self.feature_size = 1024 if pyramid else 2048
        self.predictor = ClassPredictor(self.feature_size, classes)
        self.attributes: AttributePredictor | None = None
        if config.attributes:
            self.attributes = AttributePredictor(self.feature_size, classes, len(config.attributes))
        self.coder = BoxCoder(config.box_weights)

    def levels(self, pictures: Tensor) -> list[Tensor]:
        """Maps of stride 4 to 64 (pyramid) or of stride 16 of pictures (B, 3, H, W)."""
        maps = self.backbone(pictures)
        if self.config.head == "c4":
            return maps[-1:]
        levels = self.pyramid(maps)
        return [*levels, F.max_pool2d(levels[-1], 1, stride=2)]

    def pool(self, levels: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Features (R, D) of the boxes (R_b, 4) of each picture."""
        config = self.config
        picture = torch.cat(
            [torch.full((len(own), 1), float(row)) for row, own in enumerate(boxes)]
        )
        regions = torch.cat([picture, torch.cat(list(boxes))], dim=1)
        size = (config.pooler_size, config.pooler_size)
        if config.head == "c4":
            parts = [
                self.box_head(self._crop(levels[0], part, size, 16)).mean(dim=(2, 3))
                for part in regions.split(_CHUNK)
            ]
            return torch.cat(parts) if parts else regions.new_zeros(0, self.feature_size)
        assigned = self.assigner.assign(regions[:, 1:])
        pooled = levels[0].new_zeros(len(regions), 256, *size)
        for level, stride in enumerate(self.strides[:4]):
            mine = (assigned == level).nonzero().squeeze(1)
            if mine.numel():
                part = self._crop(levels[level], regions[mine], size, stride)
                pooled = pooled.index_copy(0, mine, part)
        return self.box_head(pooled)

    def _crop(self, level: Tensor, regions: Tensor, size: tuple[int, int], stride: int) -> Tensor:
        if self.config.pooling == "max":
            return roi_pool(level, regions, size, spatial_scale=1 / stride)
        return roi_align(
            level,
            regions,
            size,
            spatial_scale=1 / stride,
            sampling_ratio=self.config.pooler_sampling_ratio,
            aligned=self.config.pooling == "align",
        )

    def describe(self, levels: Sequence[Tensor], boxes: Sequence[Tensor]) -> RegionOutput:
        """Raw outputs of given boxes, such as those of a feature file that is to be checked."""
        features = self.pool(levels, boxes)
        logits, deltas = self.predictor(features)
        attributes = None
        if self.attributes is not None:
            attributes = self.attributes(features, logits.argmax(dim=1))
        return RegionOutput(features, logits, deltas, attributes)

    @torch.no_grad()
    def forward(self, pictures: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Selected]:
        """Detect.

        Args:
            pictures: (B, 3, H, W), normalized and padded.
            sizes: (height, width) of each picture without padding.
        """
        levels = self.levels(pictures)
        raw = self.proposals(levels, (pictures.shape[2], pictures.shape[3]))
        boxes, _ = self.proposals.propose(raw, sizes)
        output = self.describe(levels, boxes)
        probabilities = output.logits.softmax(dim=-1)
        decoded = torch.cat(boxes)[:, None, :]
        if self.config.selection != "by-confidence":
            decoded = self.coder.decode(decoded, output.deltas)
        select = _SELECTIONS[self.config.selection]
        results, start = [], 0
        for own, size in zip(boxes, sizes, strict=True):
            rows = slice(start, start + len(own))
            start += len(own)
            attributes = None
            if output.attributes is not None:
                attributes = output.attributes[rows, :-1].softmax(dim=-1)
            results.append(
                select(
                    clip_boxes(decoded[rows], *size),
                    probabilities[rows],
                    output.features[rows],
                    attributes,
                    self.config,
                )
            )
        return results
