"""Losses of the published variants, for fine-tuning on GQA- or COCO-shaped data.

Legend: B pictures, M true boxes a picture (padded), R sampled regions a picture, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.faster_rcnn import Targets
from detectors.rcnn import RCNN
from detectors.roi_heads import RegionSample, sample_regions

__all__ = ["freeze_early_stages", "rcnn_losses"]


def freeze_early_stages(model: RCNN, last: int = 2) -> None:
    """Keep the stem and the stages up to `last` as they are (detectron2 `FREEZE_AT`)."""
    for name in ("stem", *(f"res{stage}" for stage in range(2, last + 1))):
        for parameter in getattr(model.backbone, name).parameters():
            parameter.requires_grad_(False)


def rcnn_losses(
    model: RCNN,
    pictures: Tensor,
    targets: Targets,
    *,
    regions_per_picture: int = 512,
    positive_fraction: float = 0.25,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Losses of both stages (Ren et al. 2015; normalization as in detectron2).

    Args:
        model: the variant; its proposals are limited as in inference.
        pictures: (B, 3, H, W), normalized and padded.
        targets: boxes, labels and, where the model has an attribute head, attributes.
        regions_per_picture: proposals drawn a picture, besides its true boxes.
        positive_fraction: largest share of positives among them.
        generator: source of randomness.
    """
    size = (pictures.shape[2], pictures.shape[3])
    background = len(model.config.classes)
    levels = model.levels(pictures)
    raw = model.proposals(levels, size)
    losses = model.proposals.losses(raw, targets.boxes, targets.mask, generator)
    boxes, _ = model.proposals.propose(raw, [size] * pictures.shape[0])
    sample = sample_regions(
        boxes,
        targets.boxes,
        targets.labels,
        targets.mask,
        background=background,
        count=regions_per_picture,
        positive_fraction=positive_fraction,
        jitter=0.0,
        size=size,
        generator=generator,
    )
    counted = sample.labels >= 0
    own_boxes = [own[kept] for own, kept in zip(sample.boxes, counted, strict=True)]
    features = model.pool(levels, own_boxes)
    logits, deltas = model.predictor(features)
    return losses | _region_losses(model, features, logits, deltas, sample, counted, targets)


def _region_losses(
    model: RCNN,
    features: Tensor,
    logits: Tensor,
    deltas: Tensor,
    sample: RegionSample,
    counted: Tensor,
    targets: Targets,
) -> dict[str, Tensor]:
    """Class, box and attribute losses over the counted regions."""
    labels = sample.labels[counted]
    losses = {"class": F.cross_entropy(logits, labels)}
    picture = counted.nonzero(as_tuple=True)[0]
    positive = (labels != len(model.config.classes)).nonzero().squeeze(1)
    true_index = sample.true_index[counted][positive]
    target = targets.boxes[picture[positive], true_index]
    wanted = model.coder.encode(sample.boxes[counted][positive], target)
    moved = deltas[positive, labels[positive]]
    losses["box"] = (moved - wanted).abs().sum() / max(labels.numel(), 1)
    if model.attributes is not None:
        losses["attribute"] = _attribute_loss(
            model.attributes(features[positive], labels[positive]),
            targets.attributes[picture[positive], true_index],
        )
    return losses


def _attribute_loss(logits: Tensor, listed: Tensor) -> Tensor:
    """Softmax cross-entropy towards the listed attributes in equal shares, or towards "none".

    Bottom-up attention's attribute head is a softmax over the attributes and "none".
    """
    if not logits.shape[0]:
        return logits.sum() * 0
    none = (~listed.any(dim=1, keepdim=True)).to(listed.dtype)
    share = torch.cat([listed, none], dim=1)
    return F.cross_entropy(logits, share / share.sum(dim=1, keepdim=True))
