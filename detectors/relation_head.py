"""Relations between pairs of regions.

Legend: B pictures, N objects a picture, D feature size, C classes, R predicates, H hidden size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.attribute_head import PRIOR_LOGIT
from detectors.boxes import box_area, pairwise_intersection

__all__ = ["GEOMETRY_SIZE", "RelationHead", "pair_geometry", "relation_loss"]

GEOMETRY_SIZE = 17


def pair_geometry(boxes: Tensor, size: tuple[float, float]) -> Tensor:
    """Where the second box lies as seen from the first: (B, N, N, GEOMETRY_SIZE).

    Shifts and log sizes as in the box coder (Ren et al. 2015, equation 2; used for relations by
    Zellers et al. 2018 and Hu et al. 2018), overlaps relative to either box, differences of the
    four sides and both centres in units of the picture.

    Args:
        boxes: (B, N, 4) in pixels.
        size: height and width of the picture.
    """
    height, width = size
    scale = boxes.new_tensor([width, height, width, height])
    boxes = boxes / scale
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
    centres = (boxes[..., 2:] + boxes[..., :2]) / 2
    count = boxes.shape[1]
    shift = centres[:, None, :, :] - centres[:, :, None, :]
    relative = (shift / sides[:, :, None, :]).clamp(-8, 8)
    log_ratio = torch.log(sides[:, None, :, :] / sides[:, :, None, :])
    overlap = pairwise_intersection(boxes, boxes)
    area = box_area(boxes).clamp(min=1e-6)
    union = area[:, :, None] + area[:, None, :] - overlap
    overlaps = torch.stack(
        [overlap / union, overlap / area[:, :, None], overlap / area[:, None, :]], dim=-1
    )
    edges = boxes[:, None, :, :] - boxes[:, :, None, :]
    own = centres[:, :, None, :].expand(-1, -1, count, -1)
    log_sides = torch.log(sides)[:, :, None, :].expand(-1, -1, count, -1)
    return torch.cat([shift, relative, log_ratio, overlaps, edges, own, log_sides], dim=-1)


class RelationHead(nn.Module):
    """Predicate logits of every ordered pair from features, classes and geometry."""

    def __init__(
        self,
        feature_size: int,
        classes: int,
        predicates: int,
        embedding_size: int,
        hidden_size: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, embedding_size)
        self.subject = nn.Linear(feature_size + embedding_size, hidden_size)
        self.object = nn.Linear(feature_size + embedding_size, hidden_size)
        self.geometry = nn.Sequential(
            nn.Linear(GEOMETRY_SIZE, hidden_size), nn.ReLU(), nn.Linear(hidden_size, hidden_size)
        )
        self.hidden = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, predicates)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.constant_(self.output.bias, PRIOR_LOGIT)

    def forward(
        self, features: Tensor, labels: Tensor, boxes: Tensor, size: tuple[float, float]
    ) -> Tensor:
        """Features (B, N, D), labels (B, N), boxes (B, N, 4) -> logits (B, N, N, R), float32.

        Entry [b, i, j, r] belongs to objects[i] --r--> objects[j].
        """
        joined = torch.cat([features, self.embedding(labels).to(features.dtype)], dim=-1)
        geometry = self.geometry(pair_geometry(boxes, size))
        pair = self.subject(joined)[:, :, None] + self.object(joined)[:, None, :] + geometry
        return self.output(torch.relu(self.hidden(torch.relu(pair)))).float()


def relation_loss(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy, summed over predicates and averaged over ordered pairs.

    Args:
        logits: (B, N, N, R).
        target: (B, N, N, R).
        mask: (B, N) bool: the objects there are.
    """
    if not logits.numel():
        return logits.sum() * 0
    count = mask.shape[1]
    pairs = mask[:, :, None] & mask[:, None, :] & ~torch.eye(count, dtype=torch.bool)
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=-1)
    return (each * pairs).sum() / pairs.sum().clamp(min=1)
