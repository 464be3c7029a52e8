"""The default detector: pictures in, scenes with dense probabilities out.

Legend: N objects, C classes, A attributes, R predicates, D feature size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from detectors.config import DetectorConfig, from_mapping, to_mapping
from detectors.errors import InputError
from detectors.exact_state import load_exactly
from detectors.faster_rcnn import Detections, FasterRCNN, build_detector
from detectors.images import named_pictures
from detectors.scene import Relation, Scene, SceneObject, SceneVocabulary

__all__ = ["SHIPPED_WEIGHTS", "RegionDetector", "save_detector"]

SHIPPED_WEIGHTS = Path(__file__).resolve().parents[1] / "gqa_reasoner" / "weights" / "detector"
NOT_STATED = "none"


class RegionDetector:
    """Faster R-CNN with attributes, relations and facts of the whole picture.

    Args:
        model: the network; it is put into evaluation mode.
        batch_size: pictures that go through the network together.
    """

    def __init__(self, model: FasterRCNN, *, batch_size: int = 8) -> None:
        self.model = model.eval()
        self.config: DetectorConfig = model.config
        self.batch_size = batch_size
        names = self.config.vocabulary
        self.vocabulary = SceneVocabulary(names.classes, names.attributes, names.predicates)

    @classmethod
    def from_pretrained(
        cls, path: Path | str | None = None, *, threshold: float | None = None
    ) -> RegionDetector:
        """Load `config.json` and `model.safetensors` from a folder.

        Args:
            path: the folder; None means the weights shipped with this package.
            threshold: lowest score of an object; overrides the configuration.

        Raises:
            InputError: files missing or damaged, or tensors that do not fit the configuration
                (missing and unexpected names are listed).
        """
        folder = SHIPPED_WEIGHTS if path is None else Path(path)
        config = _read_config(folder / "config.json")
        if threshold is not None:
            config = replace(config, score_threshold=threshold)
        model = build_detector(config)
        _load_weights(model, folder / "model.safetensors")
        return cls(model)

    def detect(
        self,
        images: Sequence[PIL.Image.Image | Path | str],
        image_ids: Sequence[str] | None = None,
    ) -> list[Scene]:
        """One scene per picture, with boxes in pixels of that picture.

        Args:
            images: pictures or paths of picture files.
            image_ids: default: the stem of the path, else the position.

        Raises:
            InputError: a picture cannot be read, or there are fewer ids than pictures.
        """
        named = named_pictures(images, image_ids)
        scenes: list[Scene] = []
        while part := list(islice(named, self.batch_size)):
            found = self._forward([picture for _, picture in part])
            for (image_id, picture), (detections, scale) in zip(part, found, strict=True):
                scenes.append(self._scene(image_id, picture, detections, scale))
        return scenes

    def _forward(
        self, pictures: Sequence[PIL.Image.Image]
    ) -> list[tuple[Detections, tuple[float, float]]]:
        """Detections of each picture and the scales (x, y) from its pixels to the network's."""
        arrays, scales = [], []
        for picture in pictures:
            fitted = self._fit(picture)
            arrays.append(np.asarray(fitted))
            scales.append((fitted.width / picture.width, fitted.height / picture.height))
        sizes = [(array.shape[0], array.shape[1]) for array in arrays]
        frame = (max(size[0] for size in sizes), max(size[1] for size in sizes))
        batch = np.zeros((len(arrays), *frame, 3), dtype=np.uint8)
        for row, array in zip(batch, arrays, strict=True):
            row[: array.shape[0], : array.shape[1]] = array
        with torch.inference_mode():
            results = self.model(torch.from_numpy(batch).permute(0, 3, 1, 2), sizes)
        return list(zip(results, scales, strict=True))

    def _fit(self, picture: PIL.Image.Image) -> PIL.Image.Image:
        """The picture scaled into the network's frame, which is turned for upright pictures."""
        short, long = sorted(self.config.image_size)
        scale = min(
            long / max(picture.width, picture.height), short / min(picture.width, picture.height)
        )
        if scale == 1:
            return picture
        size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
        return picture.resize(size, PIL.Image.Resampling.BILINEAR)

    def _scene(
        self,
        image_id: str,
        picture: PIL.Image.Image,
        detections: Detections,
        scale: tuple[float, float],
    ) -> Scene:
        names, config = self.config.vocabulary, self.config
        boxes = detections.boxes.numpy() / np.array([*scale, *scale], dtype=np.float32)
        scores = detections.scores.tolist()
        attributes = detections.attribute_probabilities.numpy()
        relations = detections.relation_probabilities.numpy()
        objects = [
            SceneObject(
                id=str(row),
                name=names.classes[int(label)],
                score=scores[row],
                box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
                attributes={
                    names.attributes[column]: float(attributes[row, column])
                    for column in np.flatnonzero(attributes[row] >= config.attribute_threshold)
                },
            )
            for row, (label, box) in enumerate(zip(detections.labels.tolist(), boxes, strict=True))
        ]
        found = np.argwhere(relations >= config.relation_threshold)
        return Scene(
            image_id=image_id,
            width=picture.width,
            height=picture.height,
            objects=objects,
            relations=[
                Relation(str(i), names.predicates[r], str(j), float(relations[i, j, r]))
                for i, j, r in found.tolist()
            ],
            scene_attributes=self._facts(detections),
            features=detections.features.numpy(),
            class_probabilities=detections.class_probabilities.numpy(),
            attribute_probabilities=attributes,
            relation_probabilities=relations,
            vocabulary=self.vocabulary,
            detector=config.detector_name,
        )

    def _facts(self, detections: Detections) -> dict[str, object]:
        """The most probable value of each fact, and under "probabilities" those of all values."""
        facts: dict[str, object] = {}
        all_values: dict[str, dict[str, float]] = {}
        for fact, probabilities in detections.picture.items():
            values = self.config.vocabulary.scene_attributes[fact]
            all_values[fact] = dict(zip(values, probabilities.tolist(), strict=True))
            best = values[int(probabilities.argmax())]
            if best != NOT_STATED:
                facts[fact] = best
        if all_values:
            facts["probabilities"] = all_values
        return facts


def save_detector(model: FasterRCNN, folder: Path, *, card: str) -> None:
    """Write `model.safetensors` (float16), `config.json` and the model card `README.md`."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(tensors, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(to_mapping(model.config), indent=1) + "\n")
    (folder / "README.md").write_text(card)


def _read_config(path: Path) -> DetectorConfig:
    if not path.is_file():
        raise InputError(f"{path}: detector config: no such file")
    try:
        record = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: detector config: not JSON ({error})") from error
    return from_mapping(DetectorConfig, record, str(path))


def _load_weights(model: FasterRCNN, path: Path) -> None:
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"{path}: detector weights: no such file")
    try:
        tensors = load_file(str(path))
    except Exception as error:  # safetensors raises its own error type
        line = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: detector weights: cannot be read ({line})") from error
    load_exactly(model, tensors, f"{path}: detector weights")
