"""Faster R-CNN (Ren et al. 2015) with attribute, relation and whole-picture heads.

Legend: B pictures, M true boxes a picture (padded), C classes, A attributes, R predicates,
D feature size. Boxes are (x1, y1, x2, y2) in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from detectors.anchors import AnchorGenerator
from detectors.attribute_head import AttributeHead, PictureHead, attribute_loss, picture_losses
from detectors.backbone import SmallResidualNetwork
from detectors.boxes import clip_boxes
from detectors.config import DetectorConfig
from detectors.fpn import FeaturePyramid
from detectors.mobilenet import MobileNetV2
from detectors.ops import batched_nms, nms
from detectors.relation_head import RelationHead, relation_loss
from detectors.roi_heads import (
    BoxHead,
    BoxPredictor,
    PyramidPooler,
    RegionSample,
    box_losses,
    sample_regions,
)
from detectors.rpn import ProposalNetwork, ProposalSettings

__all__ = ["Detections", "FasterRCNN", "Targets", "TrainingSettings", "build_detector"]


class Targets(NamedTuple):
    """What the pictures of a training batch show; M is the largest number of objects."""

    boxes: Tensor
    """(B, M, 4)."""
    labels: Tensor
    """(B, M) int64."""
    mask: Tensor
    """(B, M) bool, False on padding."""
    attributes: Tensor
    """(B, M, A) of 0 and 1."""
    relations: Tensor
    """(B, M, M, R) of 0 and 1."""
    picture: Mapping[str, Tensor]
    """Fact -> (B,) int64, -1 where not stated."""


@dataclass(frozen=True)
class TrainingSettings:
    """Sampling and loss weights of training."""

    regions_per_picture: int = 32
    """Proposals drawn a picture; its true boxes come in addition."""
    positive_fraction: float = 0.25
    box_jitter: float = 0.08
    unlabelled_attribute_weight: float = 1.0
    label_smoothing: float = 0.0
    loss_weights: dict[str, float] = field(
        default_factory=lambda: {"attribute": 0.5, "relation": 1.0, "picture": 0.2}
    )


class Detections(NamedTuple):
    """Objects of one picture, best first; N rows."""

    boxes: Tensor
    """(N, 4) in pixels of the network's input."""
    scores: Tensor
    """(N,) probability of the class named by `labels`."""
    labels: Tensor
    """(N,) int64."""
    class_probabilities: Tensor
    """(N, C); what is missing to 1 is background."""
    attribute_probabilities: Tensor
    """(N, A)."""
    relation_probabilities: Tensor
    """(N, N, R)."""
    features: Tensor
    """(N, D)."""
    picture: dict[str, Tensor]
    """Fact -> (values,) probabilities."""


class FasterRCNN(nn.Module):
    """A two-stage detector made of the parts given.

    Args:
        config: thresholds and vocabulary.
        backbone: pictures -> maps, finest first.
        pyramid: maps -> levels.
        proposals: the proposal network.
        pooler: levels and boxes -> pooled cells.
        box_head: pooled cells -> region features.
        predictor: features -> class logits and deltas.
        attributes: the attribute head.
        relations: the relation head.
        picture: head for facts of the whole picture.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: DetectorConfig,
        backbone: nn.Module,
        pyramid: nn.Module,
        proposals: ProposalNetwork,
        pooler: nn.Module,
        box_head: nn.Module,
        predictor: BoxPredictor,
        attributes: AttributeHead,
        relations: RelationHead,
        picture: PictureHead,
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.pyramid = pyramid
        self.proposals = proposals
        self.pooler = pooler
        self.box_head = box_head
        self.predictor = predictor
        self.attributes = attributes
        self.relations = relations
        self.picture = picture
        self.register_buffer("mean", torch.tensor(config.pixel_mean).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(config.pixel_std).view(1, 3, 1, 1), False)

    @property
    def background(self) -> int:
        """Index of the background class: the last."""
        return len(self.config.vocabulary.classes)

    def normalize(self, pictures: Tensor) -> Tensor:
        """RGB pictures (B, 3, H, W) of 0..255 -> network input, channels last in memory."""
        normalized = (pictures.float() - self.mean) / self.std
        return normalized.contiguous(memory_format=torch.channels_last)

    def _levels(self, pictures: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        maps = self.backbone(self.normalize(pictures))
        return self.pyramid(maps), self.picture(maps[-1])

    def losses(
        self,
        pictures: Tensor,
        targets: Targets,
        settings: TrainingSettings,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """All weighted losses of a batch of pictures (B, 3, H, W) of 0..255."""
        size = (pictures.shape[2], pictures.shape[3])
        levels, facts = self._levels(pictures)
        raw = self.proposals(levels[1:])
        losses = self.proposals.losses(raw, targets.boxes, targets.mask, generator)
        boxes, _ = self.proposals.propose(raw, [size] * pictures.shape[0])
        sample = sample_regions(
            boxes,
            targets.boxes,
            targets.labels,
            targets.mask,
            background=self.background,
            count=settings.regions_per_picture,
            positive_fraction=settings.positive_fraction,
            jitter=settings.box_jitter,
            size=size,
            generator=generator,
        )
        features = self.box_head(self.pooler(levels, sample.boxes))
        logits, deltas = self.predictor(features)
        losses |= box_losses(
            logits,
            deltas,
            sample,
            targets.boxes,
            self.predictor.coder,
            background=self.background,
            label_smoothing=settings.label_smoothing,
        )
        losses |= self._name_losses(features, sample, targets, settings, size)
        losses["picture"] = picture_losses(facts, targets.picture)
        weights = settings.loss_weights
        return {key: value * weights.get(key, 1.0) for key, value in losses.items()}

    def _name_losses(
        self,
        features: Tensor,
        sample: RegionSample,
        targets: Targets,
        settings: TrainingSettings,
        size: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Attribute loss over positive regions, relation loss over the moved true boxes."""
        positive = (sample.labels >= 0) & (sample.labels != self.background)
        picture, place = positive.nonzero(as_tuple=True)
        logits = self.attributes(
            features[picture, place],
            sample.labels[picture, place],
            box_sizes(sample.boxes[picture, place], size),
        )
        wanted = targets.attributes[picture, sample.true_index[picture, place]]
        objects = targets.boxes.shape[1]
        relations = self.relations(
            features[:, :objects], targets.labels, sample.boxes[:, :objects], size
        )
        return {
            "attribute": attribute_loss(
                logits, wanted, unlabelled_weight=settings.unlabelled_attribute_weight
            ),
            "relation": relation_loss(relations, targets.relations, targets.mask),
        }

    @torch.no_grad()
    def forward(self, pictures: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Detect objects.

        Args:
            pictures: (B, 3, H, W) RGB of 0..255, padded at the right and below.
            sizes: (height, width) of each picture without padding.
        """
        levels, facts = self._levels(pictures)
        boxes, _ = self.proposals.propose(self.proposals(levels[1:]), sizes)
        padded, _ = _pad(boxes)
        logits, deltas = self.predictor(self.box_head(self.pooler(levels, padded)))
        probabilities = (logits / self.config.class_temperature).softmax(dim=-1)
        decoded = self.predictor.coder.decode(padded, deltas)
        chosen = []
        for picture, size in enumerate(sizes):
            count = boxes[picture].shape[0]
            own = clip_boxes(decoded[picture, :count], *size)
            chosen.append(self._select(own, probabilities[picture, :count]))
        final, _ = _pad([own for own, _, _ in chosen])
        features = self.box_head(self.pooler(levels, final))
        results = []
        for picture, (own, scores, probability) in enumerate(chosen):
            one = {key: value[picture].softmax(dim=-1) for key, value in facts.items()}
            own_features = features[picture, : own.shape[0]]
            results.append(
                self._describe(own, scores, probability, own_features, sizes[picture], one)
            )
        return results

    def _select(self, boxes: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, scores and class probabilities of the objects of one picture, best first.

        Score threshold and non-maximum suppression per class as published (Ren et al. 2015;
        detectron2 `fast_rcnn_inference`), with one class per region, then once more across
        classes with a higher threshold.
        """
        config = self.config
        foreground = probabilities[:, :-1]
        scores, labels = foreground.max(dim=1)
        passed = (scores > config.score_threshold).nonzero().squeeze(1)
        keep = passed[
            batched_nms(boxes[passed], scores[passed], labels[passed], config.box_nms_threshold)
        ]
        keep = keep[nms(boxes[keep], scores[keep], config.duplicate_nms_threshold)]
        keep = keep[: config.maximum_objects]
        return boxes[keep], scores[keep], foreground[keep]

    def _describe(
        self,
        boxes: Tensor,
        scores: Tensor,
        probabilities: Tensor,
        features: Tensor,
        size: tuple[int, int],
        facts: dict[str, Tensor],
    ) -> Detections:
        """Attributes and relations of the chosen objects."""
        config = self.config
        labels = (
            probabilities.argmax(dim=1)
            if boxes.shape[0]
            else torch.empty(0, dtype=torch.int64, device=boxes.device)
        )
        attributes = self.attributes(features, labels, box_sizes(boxes, size))
        relations = self.relations(features[None], labels[None], boxes[None], size)[0]
        related = (relations / config.relation_temperature).sigmoid()
        related = related * (1 - torch.eye(boxes.shape[0]))[..., None]
        return Detections(
            boxes,
            scores,
            labels,
            probabilities,
            (attributes / config.attribute_temperature).sigmoid(),
            related,
            features,
            facts,
        )


def box_sizes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Log width, log height, square root of the area and foot of each box, in picture units."""
    height, width = size
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1.0)
    share = sides / sides.new_tensor([width, height])
    area = (share[..., 0] * share[..., 1]).sqrt()
    return torch.cat(
        [torch.log(share), area[..., None], (boxes[..., 3] / height)[..., None]], dim=-1
    )


def _pad(boxes: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
    """Boxes of each picture as one tensor (B, longest, 4), zero-padded, and their counts."""
    counts = [part.shape[0] for part in boxes]
    padded = boxes[0].new_zeros(len(boxes), max([*counts, 1]), 4)
    for picture, part in enumerate(boxes):
        padded[picture, : part.shape[0]] = part
    return padded, counts


def build_detector(config: DetectorConfig) -> FasterRCNN:
    """The network that `config` describes, with fresh weights from torch's global generator."""
    names = config.vocabulary
    classes, channels = len(names.classes), config.pyramid_channels
    backbone: SmallResidualNetwork | MobileNetV2 = (
        MobileNetV2()
        if config.architecture == "mobilenet_v2-fpn"
        else SmallResidualNetwork(config.stem_channels, config.stage_channels, config.stage_blocks)
    )
    anchors = AnchorGenerator(
        config.anchor_sizes, config.anchor_ratios, backbone.strides[1:], offset=0.5
    )
    settings = ProposalSettings(
        before_nms=config.proposals_before_nms,
        after_nms=config.proposals_after_nms,
        nms_threshold=config.proposal_nms_threshold,
        minimum_size=config.minimum_proposal_size,
        sampled=128,
    )
    model = FasterRCNN(
        config,
        backbone,
        FeaturePyramid(backbone.out_channels, channels, plain_levels=1),
        ProposalNetwork(channels, anchors, settings),
        PyramidPooler(
            config.pooler_size,
            config.pooler_sampling_ratio,
            config.pooler_canonical_size,
            backbone.strides,
        ),
        BoxHead(channels, config.pooler_size, config.feature_size),
        BoxPredictor(config.feature_size, classes),
        AttributeHead(
            config.feature_size, classes, len(names.attributes), config.class_embedding_size
        ),
        RelationHead(
            config.feature_size,
            classes,
            len(names.predicates),
            config.class_embedding_size,
            config.relation_size,
        ),
        PictureHead(
            backbone.out_channels[-1],
            {key: len(values) for key, values in names.scene_attributes.items()},
        ),
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
