"""A detector from its name on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detectors.errors import InputError
from detectors.protocol import Detector

__all__ = ["DETECTOR_SPECS", "create_detector"]

DETECTOR_SPECS = (
    "default (or default:DIR), onnx:PATH, oracle:FILE, photo (a COCO detector of transformers), "
    "hf:NAME, lxmert:DIR (Visual Genome Faster R-CNN) or rcnn:FILE (detectron2's or torchvision's)"
)


def create_detector(spec: str = "default", *, threshold: float | None = None) -> Detector:
    """The detector that `spec` names.

    Args:
        spec: `default` for the shipped weights or `default:DIR` for others of that kind;
            `onnx:PATH`; `oracle:FILE`; `photo`; `hf:NAME`; `lxmert:DIR`; `rcnn:FILE`.
        threshold: lowest score of an object; None leaves the detector's own.

    Raises:
        InputError: unknown kind, or a part after the colon is missing.
    """
    kind, _, value = spec.partition(":")
    options: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
    if kind == "default":
        from detectors.default import RegionDetector

        return RegionDetector.from_pretrained(Path(value) if value else None, **options)
    if kind == "photo" and not value:
        from detectors.adapters.transformers_detection import PHOTO_DETECTOR, TransformersDetector

        return TransformersDetector(PHOTO_DETECTOR, **options)
    if kind in ("onnx", "oracle", "hf", "lxmert", "rcnn") and not value:
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
