"""How good predicted scenes are: COCO average precision, attributes, relations, picture facts.

Legend: truth and predictions are lists of `Scene` in the same order; overlaps are intersection
over union; N objects, R predicates.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from detectors.boxes import box_iou
from detectors.errors import InputError
from detectors.relation_evaluation import INVERSES, relation_recall
from detectors.scene import Scene

__all__ = [
    "attribute_scores",
    "average_precision",
    "evaluate_scenes",
    "fact_scores",
    "match_objects",
]


def evaluate_scenes(truth: Sequence[Scene], predicted: Sequence[Scene]) -> dict[str, Any]:
    """All figures below, and relation recall both as published and under "each_once".

    Raises:
        InputError: the two lists do not hold the same pictures.
    """
    ids = [scene.image_id for scene in truth]
    if ids != [scene.image_id for scene in predicted]:
        raise InputError("evaluation: expected predictions of the same pictures in the same order")
    return {
        "images": len(truth),
        **average_precision(truth, predicted),
        **attribute_scores(truth, predicted),
        **relation_recall(truth, predicted),
        "each_once": relation_recall(truth, predicted, inverses=INVERSES),
        **fact_scores(truth, predicted),
    }


def average_precision(truth: Sequence[Scene], predicted: Sequence[Scene]) -> dict[str, Any]:
    """COCO box average precision by pycocotools (Lin et al. 2014).

    Returns:
        `AP` (mean over overlaps 0.50:0.95), `AP50`, `AP75`, `AR100` and `AP50_by_class`.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    names = sorted({item.name for scene in truth for item in scene.objects})
    category = {name: place + 1 for place, name in enumerate(names)}
    annotations, results = _coco_records(truth, predicted, category)
    if not annotations or not results:
        return {"AP": 0.0, "AP50": 0.0, "AP75": 0.0, "AR100": 0.0, "AP50_by_class": {}}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image + 1} for image in range(len(truth))],
            "categories": [{"id": number, "name": name} for name, number in category.items()],
            "annotations": annotations,
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][0, :, :, 0, -1]
    by_class = {
        name: round(float(column[column > -1].mean()), 4) if (column > -1).any() else None
        for name, column in zip(names, precision.T, strict=True)
    }
    stats = evaluation.stats
    return {
        "AP": float(stats[0]),
        "AP50": float(stats[1]),
        "AP75": float(stats[2]),
        "AR100": float(stats[8]),
        "AP50_by_class": by_class,
    }


def _coco_records(
    truth: Sequence[Scene], predicted: Sequence[Scene], category: Mapping[str, int]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """True objects as COCO annotations, predicted ones as COCO results."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (scene, guess) in enumerate(zip(truth, predicted, strict=True), start=1):
        for item in scene.objects:
            box = _xywh(item.box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category[item.name],
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
        results.extend(
            {
                "image_id": image,
                "category_id": category[item.name],
                "bbox": _xywh(item.box),
                "score": float(item.score),
            }
            for item in guess.objects
            if item.name in category
        )
    return annotations, results


def _xywh(box: Sequence[float]) -> list[float]:
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]


def match_objects(
    truth: Scene, predicted: Scene, *, overlap: float = 0.5, same_name: bool = True
) -> list[tuple[int, int]]:
    """One-to-one pairs (true position, predicted position) with at least the given overlap.

    Predictions are taken in order of score; each takes the free true object it overlaps most.
    """
    if not truth.objects or not predicted.objects:
        return []
    overlaps = box_iou(torch.from_numpy(predicted.boxes()), torch.from_numpy(truth.boxes())).numpy()
    taken: set[int] = set()
    pairs = []
    for row in np.argsort([-item.score for item in predicted.objects], kind="stable").tolist():
        for column in np.argsort(-overlaps[row], kind="stable").tolist():
            if overlaps[row, column] < overlap:
                break
            agrees = truth.objects[column].name == predicted.objects[row].name
            if column not in taken and (agrees or not same_name):
                taken.add(column)
                pairs.append((column, row))
                break
    return pairs


def attribute_scores(truth: Sequence[Scene], predicted: Sequence[Scene]) -> dict[str, Any]:
    """Attributes of matched objects (same class, overlap at least 0.5).

    Returns:
        `attribute_accuracy`: of all (object, attribute) pairs that the truth or the prediction
        lists, the share that both list (micro Jaccard); `attribute_recall`,
        `attribute_precision`; `attribute_exact`: share of objects whose whole list is right;
        `matched_objects`.
    """
    both = listed = said = exact = matched = 0
    for scene, guess in zip(truth, predicted, strict=True):
        for true_row, row in match_objects(scene, guess):
            wanted = set(scene.objects[true_row].attributes)
            given = set(guess.objects[row].attributes)
            both += len(wanted & given)
            listed += len(wanted)
            said += len(given)
            exact += wanted == given
            matched += 1
    return {
        "attribute_accuracy": both / max(listed + said - both, 1),
        "attribute_recall": both / max(listed, 1),
        "attribute_precision": both / max(said, 1),
        "attribute_exact": exact / max(matched, 1),
        "matched_objects": matched,
    }


def fact_scores(truth: Sequence[Scene], predicted: Sequence[Scene]) -> Mapping[str, float]:
    """`fact_KEY`: share of pictures whose fact (location, …) is right, or rightly absent."""
    known = {
        fact for scene in predicted for fact in scene.scene_attributes.get("probabilities", {})
    }
    return {
        f"fact_{fact}": float(
            np.mean(
                [
                    scene.scene_attributes.get(fact) == guess.scene_attributes.get(fact)
                    for scene, guess in zip(truth, predicted, strict=True)
                ]
            )
        )
        for fact in sorted(known)
    }
