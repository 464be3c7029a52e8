"""Scores of a detector's weights on pictures with scene graphs.

`python benchmarks/eval_detector.py --data DIR [--weights DIR] [--images N] [--json OUT]`
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from detectors.calibration import expected_calibration_error
from detectors.default import SHIPPED_WEIGHTS, RegionDetector
from detectors.evaluation import attribute_scores, evaluate_scenes
from detectors.scene import Scene
from gqa_reasoner.training.detector_data import find_image, read_scenes

LOW_THRESHOLD = 0.05


def confident(scene: Scene, threshold: float) -> Scene:
    """The scene at a higher threshold: weaker objects never suppress stronger ones, so leaving
    them out afterwards gives what the detector would have found with it."""
    kept = [item for item in scene.objects if item.score > threshold]
    return replace(scene, objects=kept, relations=[])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="sceneGraphs.json and images/")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--images", type=int, help="the first N pictures only")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    truth = read_scenes(arguments.data / "sceneGraphs.json", arguments.images)
    paths = [find_image(arguments.data, scene.image_id) for scene in truth]
    ids = [scene.image_id for scene in truth]
    started = time.monotonic()
    low = RegionDetector.from_pretrained(arguments.weights, threshold=LOW_THRESHOLD)
    predicted = low.detect(paths, ids)
    print(f"{(time.monotonic() - started) / len(ids):.3f} s a picture", file=sys.stderr)
    scores = evaluate_scenes(truth, predicted)
    scores["expected_calibration_error"] = expected_calibration_error(truth, predicted)
    threshold = RegionDetector.from_pretrained(arguments.weights).config.score_threshold
    own = [confident(scene, threshold) for scene in predicted]
    objects = sum(len(scene.objects) for scene in truth)
    found = attribute_scores(truth, own)["matched_objects"]
    said = sum(len(scene.objects) for scene in own)
    scores["at_own_threshold"] = {
        "score_threshold": threshold,
        "recall": found / objects,
        "precision": found / max(said, 1),
        **attribute_scores(truth, own),
    }
    for key, value in scores.items():
        if isinstance(value, (int, float)):
            print(f"{key}: {value:.4f}")
    for part in ("each_once", "at_own_threshold"):
        for key, value in scores[part].items():
            if isinstance(value, (int, float)):
                print(f"{part} {key}: {value:.4f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
