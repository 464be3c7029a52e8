"""Published Faster R-CNN variants as data: what differs between the code bases, field by field.

Sources: Detectron2 (Wu et al. 2019) `config/defaults.py` and its model zoo; torchvision
`fasterrcnn_resnet50_fpn`; bottom-up attention (Anderson et al. 2018) in the form published for
LXMERT and VisualBERT (`unc-nlp/frcnn-vg-finetuned`, config.yaml).
"""

from __future__ import annotations

from dataclasses import dataclass

from detectors.errors import InputError

__all__ = [
    "RCNNConfig",
    "bottom_up_attention",
    "detectron2_c4",
    "detectron2_fpn",
    "torchvision_fpn",
]

CAFFE_MEAN = (103.53, 116.28, 123.675)
FPN_ANCHORS = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))


@dataclass(frozen=True)
class RCNNConfig:
    """One variant; the defaults are detectron2's."""

    classes: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    """Without the "none" that the attribute head has in addition."""
    depth: int = 50
    head: str = "fpn"
    """`fpn`: pyramid and two fully connected layers; `c4`: stride 16 and res5 per region."""
    stride_in_1x1: bool = True
    """Where a bottleneck is strided: its first 1x1 (MSRA, Caffe2) or its 3x3 convolution."""
    caffe_max_pool: bool = False
    """Stem pooling without padding, output size rounded up."""
    norm_epsilon: float = 1e-5
    res5_dilated: bool = False
    """res5 of a `c4` head keeps its resolution and dilates its 3x3 convolutions by 2."""
    input_format: str = "BGR"
    pixel_mean: tuple[float, float, float] = CAFFE_MEAN
    pixel_std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """In units of 0..255, in the order of `input_format`."""
    resize: str = "pillow"
    """`pillow`: bilinear on bytes; `float`: the same size, but `interpolate` on floats, which does
    not smooth when it shrinks; `tensor`: `interpolate` with a rounded-down size."""
    minimum_side: int = 800
    maximum_side: int = 1333
    size_divisor: int = 32
    anchor_sizes: tuple[tuple[float, ...], ...] = FPN_ANCHORS
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchors_rounded: bool = False
    """Corners rounded to whole pixels, strides from picture and map size (torchvision)."""
    proposal_channels: int | None = None
    """Hidden channels of the proposal head; None = as many as its input."""
    proposals_before_nms: int = 1000
    proposals_after_nms: int = 1000
    proposal_nms_threshold: float = 0.7
    minimum_proposal_size: float = 0.0
    rank_proposals_by_probability: bool = False
    """Suppress proposals in the order of their sigmoid scores (torchvision), not of the logits."""
    level_shift: float = 0.0
    """Added to a region's pyramid level before rounding down (torchvision: 1e-6)."""
    pooling: str = "align"
    """`align`: RoIAlign shifted by half a cell; `align-unshifted`; `max`: RoIPool."""
    pooler_size: int = 7
    pooler_sampling_ratio: int = 0
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    background_first: bool = False
    """The class index of background: 0 (torchvision) or the last (detectron2)."""
    selection: str = "per-class"
    """`per-class`: threshold and suppression per class; `per-region`: every region is its best
    class, suppression across classes (as published for LXMERT); `by-confidence`: regions whose
    best surviving class is sure enough (bottom-up attention, adaptive)."""
    score_threshold: float = 0.05
    nms_thresholds: tuple[float, ...] = (0.5,)
    """`per-region` tries them in order until `minimum_regions` remain."""
    minimum_box_size: float = 0.0
    minimum_regions: int = 0
    maximum_regions: int = 100
    detector_name: str = "faster-rcnn"

    def __post_init__(self) -> None:
        """Raise `InputError` for values that no variant has."""
        allowed = {
            "depth": (50, 101, 152),
            "head": ("fpn", "c4"),
            "input_format": ("BGR", "RGB"),
            "resize": ("pillow", "float", "tensor"),
            "pooling": ("align", "align-unshifted", "max"),
            "selection": ("per-class", "per-region", "by-confidence"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise InputError(
                    f"rcnn config: {name}: expected one of {values}, got {getattr(self, name)!r}"
                )
        levels = 5 if self.head == "fpn" else 1
        if len(self.anchor_sizes) != levels:
            raise InputError(
                f"rcnn config: anchor_sizes: expected {levels} levels, got {len(self.anchor_sizes)}"
            )


def detectron2_fpn(classes: tuple[str, ...], depth: int = 50) -> RCNNConfig:
    """`COCO-Detection/faster_rcnn_R_{50,101}_FPN_{1x,3x}` of the detectron2 model zoo."""
    return RCNNConfig(classes, depth=depth, detector_name=f"detectron2-r{depth}-fpn")


def detectron2_c4(classes: tuple[str, ...], depth: int = 50) -> RCNNConfig:
    """`COCO-Detection/faster_rcnn_R_{50,101}_C4_{1x,3x}` of the detectron2 model zoo."""
    return RCNNConfig(
        classes,
        depth=depth,
        head="c4",
        size_divisor=0,
        anchor_sizes=((32.0, 64.0, 128.0, 256.0, 512.0),),
        proposals_before_nms=6000,
        pooler_size=14,
        detector_name=f"detectron2-r{depth}-c4",
    )


def torchvision_fpn(classes: tuple[str, ...], *, norm_epsilon: float = 0.0) -> RCNNConfig:
    """`torchvision.models.detection.fasterrcnn_resnet50_fpn`.

    Args:
        classes: without background, in the model's order (COCO: 90, with the unused ones).
        norm_epsilon: of the normalization: 0 with the published COCO_V1 weights, 1e-5 otherwise.
    """
    return RCNNConfig(
        classes,
        stride_in_1x1=False,
        norm_epsilon=norm_epsilon,
        input_format="RGB",
        pixel_mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
        pixel_std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
        resize="tensor",
        anchors_rounded=True,
        minimum_proposal_size=1e-3,
        rank_proposals_by_probability=True,
        level_shift=1e-6,
        pooling="align-unshifted",
        pooler_sampling_ratio=2,
        background_first=True,
        minimum_box_size=1e-2,
        detector_name="torchvision-r50-fpn",
    )


def bottom_up_attention(
    classes: tuple[str, ...], attributes: tuple[str, ...], *, regions: tuple[int, int] = (36, 36)
) -> RCNNConfig:
    """The Visual Genome Faster R-CNN R-101 C4 of bottom-up attention (1,600 and 400 names).

    Args:
        classes: 1,600 object names.
        attributes: 400 attribute names.
        regions: fewest and most regions: (36, 36) fixed, chosen as published for LXMERT, or
            (10, 100) adaptive, chosen as in the original features.
    """
    adaptive = regions[0] != regions[1]
    return RCNNConfig(
        classes,
        attributes,
        depth=101,
        head="c4",
        caffe_max_pool=True,
        res5_dilated=True,
        pixel_mean=(102.9801, 115.9465, 122.7717),
        resize="float",
        minimum_side=600,
        maximum_side=1000,
        size_divisor=0,
        anchor_sizes=((32.0, 64.0, 128.0, 256.0, 512.0),),
        proposal_channels=512,
        proposals_before_nms=6000,
        proposals_after_nms=300,
        pooling="max",
        pooler_size=14,
        selection="by-confidence" if adaptive else "per-region",
        score_threshold=0.2,
        nms_thresholds=(0.3,) if adaptive else (0.5, 1.0),
        minimum_regions=regions[0],
        maximum_regions=regions[1],
        detector_name="bottom-up-attention",
    )
