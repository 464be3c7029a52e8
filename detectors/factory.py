"""A detector from its name on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectors.errors import InputError
from detectors.protocol import Detector

__all__ = ["DETECTOR_SPECS", "create_detector"]

DETECTOR_SPECS = (
    "default (or default:DIR), onnx:PATH, oracle:FILE, photo (a COCO detector of transformers), "
    "hf:NAME, zero-shot:NAME[#NAMES] (OWLv2, Grounding DINO; NAMES: a file or a,b,c), "
    "lxmert:DIR (Visual Genome Faster R-CNN), rcnn:FILE (detectron2's or torchvision's) or "
    "detectron2:CONFIG[#WEIGHTS] (run by detectron2 itself)"
)


_NEED_VALUE = ("onnx", "oracle", "hf", "zero-shot", "lxmert", "rcnn", "detectron2")


def create_detector(
    spec: str = "default", *, threshold: float | None = None, labels: Sequence[str] | None = None
) -> Detector:
    """The detector that `spec` names.

    Args:
        spec: `default` for the shipped weights or `default:DIR` for others of that kind;
            `onnx:PATH`; `oracle:FILE`; `photo`; `hf:NAME`; `zero-shot:NAME[#NAMES]`; `lxmert:DIR`;
            `rcnn:FILE`; `detectron2:CONFIG[#WEIGHTS]`.
        threshold: lowest score of an object; None leaves the detector's own.
        labels: names that a zero-shot detector looks for, unless `spec` gives them; default:
            COCO's 80.

    Raises:
        InputError: unknown kind, or a part after the colon is missing.
    """
    kind, _, value = spec.partition(":")
    if labels is not None and kind != "zero-shot":
        raise InputError(f"detector {spec!r}: only zero-shot:NAME takes names to look for")
    options: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
    if kind == "default":
        from detectors.default import RegionDetector

        return RegionDetector.from_pretrained(Path(value) if value else None, **options)
    if kind == "photo" and not value:
        from detectors.adapters.transformers_detection import PHOTO_DETECTOR, TransformersDetector

        return TransformersDetector(PHOTO_DETECTOR, **options)
    if kind in _NEED_VALUE and not value:
        raise InputError(f"detector {spec!r}: expected something after '{kind}:'")
    if kind == "onnx":
        from detectors.adapters.onnx import OnnxDetector

        return OnnxDetector(value, **options)
    if kind == "oracle":
        from detectors.adapters.oracle import OracleDetector

        return OracleDetector(value)
    if kind == "hf":
        from detectors.adapters.transformers_detection import TransformersDetector

        return TransformersDetector(value, **options)
    if kind == "zero-shot":
        from detectors.adapters.zero_shot import ZeroShotDetector, read_labels
        from detectors.coco_classes import COCO_CLASSES

        name, _, listed = value.partition("#")
        names = read_labels(listed) if listed else labels or COCO_CLASSES
        return ZeroShotDetector(name, names, **options)
    if kind == "detectron2":
        from detectors.adapters.detectron2 import Detectron2Detector

        name, _, weights = value.partition("#")
        return Detectron2Detector(name, weights=weights or None, **options)
    if kind in ("lxmert", "rcnn"):
        return _published(kind, value, threshold)
    raise InputError(f"detector {spec!r}: expected one of {DETECTOR_SPECS}")


def _published(kind: str, value: str, threshold: float | None) -> Detector:
    from dataclasses import replace

    from detectors.pretrained import PretrainedDetector
    from detectors.published import load_published

    detector = PretrainedDetector.from_lxmert(value) if kind == "lxmert" else load_published(value)
    if threshold is not None:
        detector.model.config = replace(detector.config, score_threshold=threshold)
        detector.minimum_score = threshold
    return detector
