"""Detectors run by detectron2 itself, for configurations that our own networks do not cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from detectors.adapters.loop import PictureDetector, clip_box
from detectors.coco_classes import COCO_CLASSES
from detectors.errors import InputError
from detectors.scene import SceneObject

__all__ = ["Detectron2Detector"]


class Detectron2Detector(PictureDetector):
    """Runs a detectron2 configuration through its `DefaultPredictor` on the processor.

    Faster R-CNN weights of the model zoo need none of this: `rcnn:FILE` reads them in plain torch.

    Args:
        config: a `.yaml` file, or a name of detectron2's model zoo such as
            `COCO-Detection/retinanet_R_50_FPN_3x.yaml`.
        weights: weight file; default: the one that the configuration names.
        threshold: boxes below this score are dropped.

    Raises:
        InputError: detectron2 is not installed, or configuration or weights cannot be read.
    """

    def __init__(
        self, config: str, *, weights: str | Path | None = None, threshold: float = 0.3
    ) -> None:
        self.label = f"detectron2:{Path(config).name}"
        self.threshold = threshold
        self.predictor, self.names = _load(config, weights, threshold)

    def find(self, image: Image.Image) -> list[SceneObject]:
        """Objects of a picture, best first."""
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # detectron2 takes BGR
        found = self.predictor(pixels)["instances"]
        return [
            SceneObject(str(rank), self._name(int(label)), float(score), clip_box(box, image))
            for rank, (box, score, label) in enumerate(
                zip(
                    found.pred_boxes.tensor.tolist(),
                    found.scores.tolist(),
                    found.pred_classes.tolist(),
                    strict=True,
                )
            )
        ]

    def _name(self, label: int) -> str:
        return self.names[label] if label < len(self.names) else f"class {label}"


def _load(config: str, weights: str | Path | None, threshold: float) -> tuple[Any, tuple[str, ...]]:
    try:
        from detectron2 import model_zoo
        from detectron2.config import get_cfg
        from detectron2.data import MetadataCatalog
        from detectron2.engine import DefaultPredictor
    except ImportError:
        raise InputError(
            f"detector detectron2:{config}: detectron2 is not installed; it is not on PyPI: "
            "pip install 'git+https://github.com/facebookresearch/detectron2'; Faster R-CNN "
            "weights of its model zoo load without it as rcnn:FILE"
        ) from None
    options = get_cfg()
    try:
        file = config if Path(config).is_file() else model_zoo.get_config_file(config)
        options.merge_from_file(file)
        options.MODEL.DEVICE = "cpu"
        options.MODEL.ROI_HEADS.SCORE_THRESH_TEST = threshold
        options.MODEL.RETINANET.SCORE_THRESH_TEST = threshold
        if weights is not None:
            options.MODEL.WEIGHTS = str(weights)
        elif not options.MODEL.WEIGHTS and not Path(config).is_file():
            options.MODEL.WEIGHTS = model_zoo.get_checkpoint_url(config)
        predictor = DefaultPredictor(options)
    except Exception as error:  # detectron2 raises RuntimeError, AssertionError, KeyError, ...
        line = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"detector detectron2:{config}: cannot be used: {line}") from None
    sets = options.DATASETS.TEST or options.DATASETS.TRAIN
    names = tuple(MetadataCatalog.get(sets[0]).get("thing_classes", ())) if sets else ()
    return predictor, tuple(name.lower() for name in names) or COCO_CLASSES
