"""Region proposal network (Ren et al. 2015, section 3.1) over a feature pyramid.

Legend: B pictures, A anchors a cell, N anchors of all levels, M true boxes (padded), P proposals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.anchors import AnchorGenerator
from detectors.boxes import BoxCoder, clip_boxes
from detectors.matching import match_boxes, sample_balanced
from detectors.ops import batched_nms

__all__ = ["ProposalNetwork", "ProposalOutput", "ProposalSettings"]


class ProposalSettings(NamedTuple):
    """Selection and training constants; the defaults are those of the paper and detectron2."""

    before_nms: int = 1000
    after_nms: int = 1000
    nms_threshold: float = 0.7
    minimum_size: float = 0.0
    as_published: bool = False
    """Round like torchvision when suppressing; see `ops.batched_nms`."""
    rank_by_probability: bool = False
    """Suppress in the order of sigmoid scores (torchvision), which may tie where logits do not."""
    positive_overlap: float = 0.7
    negative_overlap: float = 0.3
    sampled: int = 256
    positive_fraction: float = 0.5


class ProposalOutput(NamedTuple):
    """Raw outputs of all levels, in the anchors' order."""

    logits: Tensor
    """(B, N) objectness before the sigmoid."""
    deltas: Tensor
    """(B, N, 4)."""
    anchors: Tensor
    """(N, 4)."""
    level_sizes: list[int]
    """Anchors of each level; they sum to N."""


class ProposalNetwork(nn.Module):
    """A 3x3 convolution and two 1x1 convolutions, shared by all pyramid levels."""

    def __init__(
        self,
        channels: int,
        anchors: AnchorGenerator,
        settings: ProposalSettings,
        hidden_channels: int | None = None,
    ) -> None:
        super().__init__()
        per_cell = anchors.anchors_per_cell()[0]
        self.anchors = anchors
        self.settings = settings
        self.coder = BoxCoder()
        hidden = hidden_channels or channels
        self.shared = nn.Conv2d(channels, hidden, 3, padding=1)
        self.objectness = nn.Conv2d(hidden, per_cell, 1)
        self.box_deltas = nn.Conv2d(hidden, 4 * per_cell, 1)
        for layer in (self.shared, self.objectness, self.box_deltas):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(
        self, levels: Sequence[Tensor], size: tuple[int, int] | None = None
    ) -> ProposalOutput:
        """Pyramid levels (B, C, h, w) of pictures padded to `size` -> raw outputs."""
        batch = levels[0].shape[0]
        logits, deltas = [], []
        for level in levels:
            hidden = torch.relu(self.shared(level))
            logits.append(self.objectness(hidden).permute(0, 2, 3, 1).reshape(batch, -1))
            deltas.append(self.box_deltas(hidden).permute(0, 2, 3, 1).reshape(batch, -1, 4))
        anchors = self.anchors([(level.shape[2], level.shape[3]) for level in levels], size)
        return ProposalOutput(
            torch.cat(logits, dim=1).float(),
            torch.cat(deltas, dim=1).float(),
            torch.cat(anchors),
            [part.shape[0] for part in anchors],
        )

    @torch.no_grad()
    def propose(
        self, output: ProposalOutput, sizes: Sequence[tuple[int, int]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Proposals of each picture, best first.

        Per level the `before_nms` best anchors are decoded, clipped to the picture and dropped
        when a side is below `minimum_size`; non-maximum suppression runs per level; the
        `after_nms` best of all levels remain (detectron2 `find_top_rpn_proposals`).

        Args:
            output: raw outputs.
            sizes: (height, width) of each picture without padding.

        Returns:
            Per picture boxes (P, 4) and objectness logits (P,).
        """
        settings = self.settings
        picked, levels = [], []
        start = 0
        for level, size in enumerate(output.level_sizes):
            count = min(settings.before_nms, size)
            index = output.logits[:, start : start + size].topk(count, dim=1).indices + start
            picked.append(index)
            levels.append(torch.full((count,), level))
            start += size
        index, level_ids = torch.cat(picked, dim=1), torch.cat(levels)
        scores = output.logits.gather(1, index)
        deltas = output.deltas.gather(1, index[..., None].expand(-1, -1, 4))
        boxes = self.coder.decode(output.anchors[index], deltas)
        results: tuple[list[Tensor], list[Tensor]] = ([], [])
        for picture, (height, width) in enumerate(sizes):
            own = clip_boxes(boxes[picture], height, width)
            sides = own[:, 2:] - own[:, :2]
            large = (sides > settings.minimum_size).all(dim=1)
            own, own_scores, own_levels = own[large], scores[picture][large], level_ids[large]
            ranks = own_scores.sigmoid() if settings.rank_by_probability else own_scores
            keep = batched_nms(
                own, ranks, own_levels, settings.nms_threshold, as_published=settings.as_published
            )
            keep = keep[: settings.after_nms]
            results[0].append(own[keep])
            results[1].append(own_scores[keep])
        return results

    def losses(
        self,
        output: ProposalOutput,
        true_boxes: Tensor,
        true_mask: Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Binary cross-entropy and L1 losses over sampled anchors, divided by their number.

        Args:
            output: raw outputs.
            true_boxes: (B, M, 4), padded.
            true_mask: (B, M) bool.
            generator: source of randomness for the sampling.
        """
        settings = self.settings
        matches = match_boxes(
            output.anchors,
            true_boxes,
            true_mask,
            low=settings.negative_overlap,
            high=settings.positive_overlap,
            allow_low_quality=True,
        )
        index, drawn = sample_balanced(
            matches.positive,
            matches.negative,
            count=settings.sampled,
            positive_fraction=settings.positive_fraction,
            generator=generator,
        )
        positive = matches.positive.gather(1, index) & drawn
        total = drawn.sum().clamp(min=1)
        logits = output.logits.gather(1, index)
        objectness = F.binary_cross_entropy_with_logits(
            logits, positive.to(logits.dtype), reduction="none"
        )
        picture, place = positive.nonzero(as_tuple=True)
        anchor_index = index[picture, place]
        target = true_boxes[picture, matches.true_index[picture, anchor_index]]
        wanted = self.coder.encode(output.anchors[anchor_index], target)
        regression = (output.deltas[picture, anchor_index] - wanted).abs().sum()
        return {
            "rpn_objectness": (objectness * drawn).sum() / total,
            "rpn_box": regression / total,
        }
