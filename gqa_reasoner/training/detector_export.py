"""Validation during detector training, and the export of the trained weights."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from detectors.calibration import Calibration, calibrate, expected_calibration_error
from detectors.default import RegionDetector, save_detector
from detectors.evaluation import evaluate_scenes
from detectors.faster_rcnn import FasterRCNN, build_detector
from detectors.scene import Scene
from gqa_reasoner.training.checkpoints import MetricsLog
from gqa_reasoner.training.detector_data import PictureSet, find_image
from gqa_reasoner.training.detector_parts import decides_boxes

if TYPE_CHECKING:
    from gqa_reasoner.training.detector_loop import DetectorTraining

__all__ = ["evaluate_pictures", "export", "validate"]

LOW_THRESHOLD = 0.05
"""Score threshold of average precision, as in the published evaluation."""


def evaluate_pictures(
    model: FasterRCNN, pictures: PictureSet, limit: int | None = None
) -> tuple[dict[str, Any], list[Scene], list[Scene]]:
    """Figures, truth and predictions of `model` on pictures whose scenes are known."""
    detector = RegionDetector(with_config(model, score_threshold=LOW_THRESHOLD))
    truth = pictures.scenes[:limit]
    paths = [find_image(pictures.folder, scene.image_id) for scene in truth]
    predicted = detector.detect(paths, [scene.image_id for scene in truth])
    return evaluate_scenes(truth, predicted), truth, predicted


def with_config(model: FasterRCNN, **changes: Any) -> FasterRCNN:
    """A copy of `model` with other thresholds or limits."""
    copy = build_detector(replace(model.config, **changes))
    copy.load_state_dict(model.state_dict())
    return copy


def validate(training: DetectorTraining, limit: int) -> dict[str, Any]:
    """Figures of the averaged weights on the first validation pictures."""
    if training.validation is None:
        return {}
    started = time.monotonic()
    scores, _, _ = evaluate_pictures(training.average, training.validation, limit)
    print(f"validation ({time.monotonic() - started:.0f} s): {summary(scores)}", file=sys.stderr)
    return {key: value for key, value in scores.items() if not isinstance(value, dict)}


def summary(scores: dict[str, Any]) -> str:
    """The figures that matter most, in one line."""
    keys = ("AP50", "AP", "attribute_accuracy", "attribute_exact", "relation_recall@50")
    shown = [f"{key} {scores[key]:.4f}" for key in keys if scores.get(key) is not None]
    once = scores.get("each_once", {}).get("relation_recall@50")
    shown += [f"each once {once:.4f}"] if once is not None else []
    shown += [f"{key} {scores[key]:.4f}" for key in scores if key.startswith("fact_")]
    return " ".join(shown)


def export(training: DetectorTraining, log: MetricsLog) -> None:
    """Calibrate on the validation pictures, write OUTPUT/weights with the model card."""
    model = with_config(training.average, **vars(training.config.inference))
    scores: dict[str, Any] = {}
    if training.validation is not None:
        scores, truth, predicted = evaluate_pictures(model, training.validation)
        model = with_config(model, **recalibrated(training, calibrate(truth, predicted)))
        scores, truth, predicted = evaluate_pictures(model, training.validation)
        scores["expected_calibration_error"] = expected_calibration_error(truth, predicted)
        log.write({"step": training.step, "final": scores})
        print(f"final: {summary(scores)}", file=sys.stderr)
    save_detector(model, training.output / "weights", card=model_card(training, scores))


def recalibrated(training: DetectorTraining, fitted: Calibration) -> dict[str, float]:
    """The thresholds and temperatures to export: those of parts that did not learn stay."""
    parts, before = training.config.trained_parts, training.config.model
    changes = {}
    if decides_boxes(parts):
        changes["class_temperature"] = fitted.class_temperature * before.class_temperature
        changes["score_threshold"] = fitted.score_threshold
    for part in ("attribute", "relation"):
        if decides_boxes(parts) or f"{part}s" in parts:
            key = f"{part}_temperature"
            changes[key] = getattr(fitted, key) * getattr(before, key)
    return changes


def model_card(training: DetectorTraining, scores: dict[str, Any]) -> str:
    """The README of the weights: what they are, how they were made, what they reach."""
    names = training.config.model.vocabulary
    plain = {k: v for k, v in scores.items() if not isinstance(v, dict)}
    counts = (
        f"{len(names.classes)} classes, {len(names.attributes)} attributes and "
        f"{len(names.predicates)} predicates"
    )
    about = [
        "A small Faster R-CNN with feature pyramid, attribute, relation and whole-picture heads,",
        "trained from nothing on TinyGQA, the synthetic world of this project. It knows",
        f"{counts} of that world and nothing of real photographs.",
    ]
    if training.backbone:
        about = [
            "A Faster R-CNN with feature pyramid on MobileNetV2, fine-tuned from the published",
            f"weights `{training.backbone}`. It knows {counts}.",
        ]
    if training.start:
        learned = ", ".join(training.config.trained_parts) or "everything"
        about = [
            f"The detector in `{training.start}`, trained further ({learned}; what is not named",
            f"here is as it was, bit by bit). It knows {counts}.",
        ]
    validation = None if training.validation is None else training.validation.name
    lines = [
        "# Region detector of gqa_reasoner",
        "",
        *about,
        "",
        f"* data: `{training.pictures.name}` ({len(training.data)} pictures), validation "
        f"`{validation}`",
        f"* command: `{training.command}`",
        f"* seed {training.seed}, {training.config.steps} steps of "
        f"{training.config.batch_size} pictures",
        "* weights: `model.safetensors` (float16), sizes and names: `config.json`; Apache-2.0",
        "",
        "Figures on the validation pictures (averaged weights, calibrated on the same pictures):",
        "",
        "```json",
        json.dumps(plain, indent=1),
        "```",
    ]
    return "\n".join(lines) + "\n"
