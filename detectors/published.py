"""Which published Faster R-CNN a weight file is, read off the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from detectors.coco_classes import COCO_CLASSES
from detectors.errors import InputError
from detectors.key_maps import DETECTRON2, TORCHVISION, KeyMap, load_weights
from detectors.pretrained import PretrainedDetector
from detectors.rcnn import RCNN
from detectors.rcnn_config import RCNNConfig, detectron2_c4, detectron2_fpn, torchvision_fpn
from detectors.weights_files import read_state_dict

__all__ = ["TORCHVISION_CLASSES", "load_published", "recognize"]

_UNUSED_CATEGORIES = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""COCO's category numbers 1 to 90 that no class has."""


def _torchvision_classes() -> tuple[str, ...]:
    used = iter(COCO_CLASSES)
    return tuple(
        f"unused {number}" if number in _UNUSED_CATEGORIES else next(used)
        for number in range(1, 91)
    )


TORCHVISION_CLASSES = _torchvision_classes()
"""torchvision's 90 COCO classes in order of category number."""


def load_published(path: str | Path, classes: Sequence[str] | None = None) -> PretrainedDetector:
    """A detectron2 model-zoo file or a torchvision `fasterrcnn_resnet50_fpn` file.

    For the Visual Genome model use `PretrainedDetector.from_lxmert`.

    Args:
        path: the weight file.
        classes: names of the classes in order; default: COCO's.

    Raises:
        InputError: the file is unreadable, of another kind, or has another number of classes.
    """
    tensors = read_state_dict(path)
    config, key_map = recognize(tensors, classes, str(path))
    model = RCNN(config)
    load_weights(model, tensors, key_map, str(path))
    return PretrainedDetector(model)


def recognize(
    tensors: Mapping[str, Tensor], classes: Sequence[str] | None, source: str
) -> tuple[RCNNConfig, KeyMap]:
    """The variant and the key map of a state dict.

    A torchvision file with `num_batches_tracked` was trained with live batch normalization, whose
    epsilon is 1e-5; torchvision's own COCO weights, which have frozen normalization, are run with
    epsilon 0 (its `overwrite_eps`).

    Raises:
        InputError: it is none of those known, or has another number of classes.
    """
    score = tensors.get("roi_heads.box_predictor.cls_score.bias")
    if score is None:
        raise InputError(
            f"{source}: weights: neither detectron2's nor torchvision's Faster R-CNN "
            "(no tensor roi_heads.box_predictor.cls_score.bias)"
        )
    if "backbone.body.conv1.weight" in tensors:
        names = tuple(classes or TORCHVISION_CLASSES)
        live = any(name.endswith(".num_batches_tracked") for name in tensors)
        config, key_map = torchvision_fpn(names, norm_epsilon=1e-5 if live else 0.0), TORCHVISION
    else:
        names = tuple(classes or COCO_CLASSES)
        pyramid = any(name.startswith("backbone.fpn_lateral") for name in tensors)
        prefix = "backbone.bottom_up.res4." if pyramid else "backbone.res4."
        blocks = {name[len(prefix) :].split(".")[0] for name in tensors if name.startswith(prefix)}
        depth = {6: 50, 23: 101, 36: 152}.get(len(blocks))
        if depth is None:
            raise InputError(
                f"{source}: weights: res4 has {len(blocks)} blocks, expected 6, 23 or 36"
            )
        config = (detectron2_fpn if pyramid else detectron2_c4)(names, depth)
        key_map = DETECTRON2
    if len(score) != len(names) + 1:
        raise InputError(
            f"{source}: weights: {len(score) - 1} classes besides background, "
            f"but {len(names)} names"
        )
    return config, key_map
