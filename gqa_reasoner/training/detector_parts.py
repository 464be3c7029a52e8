"""Training some parts of a detector while the others stay exactly as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.config import DetectorConfig
from detectors.default import RegionDetector
from detectors.errors import InputError
from detectors.faster_rcnn import FasterRCNN

__all__ = ["PARTS", "check_parts", "decides_boxes", "freeze_others", "set_modes", "start_model"]

PARTS = (
    "backbone",
    "pyramid",
    "proposals",
    "box_head",
    "predictor",
    "attributes",
    "relations",
    "picture",
)
"""What can be named: the members of `FasterRCNN` that hold weights."""
_DESCRIBING = frozenset({"attributes", "relations", "picture"})


def check_parts(trained: Sequence[str]) -> None:
    """Refuse names that are not parts of a detector.

    Raises:
        InputError: naming the unknown ones and the known ones.
    """
    unknown = [name for name in trained if name not in PARTS]
    if unknown:
        raise InputError(
            f"training config: trained_parts: unknown {unknown}; expected some of {list(PARTS)}"
        )


def freeze_others(model: FasterRCNN, trained: Sequence[str]) -> None:
    """Take every part but `trained` out of the gradient; no names: nothing is frozen."""
    for name in PARTS if trained else ():
        if name not in trained:
            getattr(model, name).requires_grad_(False)


def set_modes(model: FasterRCNN, trained: Sequence[str]) -> None:
    """Training form, but evaluation form for frozen parts, so that normalization stays too."""
    model.train()
    for name in PARTS if trained else ():
        if name not in trained:
            getattr(model, name).eval()


def decides_boxes(trained: Sequence[str]) -> bool:
    """Whether training these parts can change boxes, classes or scores."""
    return not trained or not _DESCRIBING.issuperset(trained)


def start_model(folder: Path, config: DetectorConfig) -> FasterRCNN:
    """The weights in `folder` to begin with; their sizes, names and thresholds come with them.

    Args:
        folder: `config.json` and `model.safetensors`, as training exports them.
        config: the `model` of the training configuration, which must say nothing.

    Raises:
        InputError: `config` says something, or the folder cannot be read.
    """
    if config != DetectorConfig():
        raise InputError(
            "training config: model: the sizes come from the weights to start from; leave it out"
        )
    return RegionDetector.from_pretrained(folder).model
