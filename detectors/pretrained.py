"""Published Faster R-CNN weights as a detector: pictures in, scenes out.

Legend: N objects, D feature size. Boxes of a scene are in pixels of the original picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from detectors.errors import InputError
from detectors.images import named_pictures
from detectors.key_maps import DETECTRON2, TORCHVISION, KeyMap, load_weights
from detectors.preprocessing import Prepared, prepare
from detectors.rcnn import RCNN
from detectors.rcnn_config import RCNNConfig, bottom_up_attention
from detectors.rcnn_selection import Selected
from detectors.scene import Scene, SceneObject, SceneVocabulary
from detectors.weights_files import read_state_dict

__all__ = ["PretrainedDetector", "lxmert_config", "read_names"]

_WEIGHT_FILES = ("pytorch_model.bin", "model.safetensors", "model.pth", "model.pkl")


class PretrainedDetector:
    """A published variant with its weights.

    Args:
        model: the network with weights; put into evaluation mode.
        attribute_threshold: least probability of an attribute that a scene's object lists.
        minimum_score: objects at or below it are left out of scenes, whatever the variant's own
            selection says (bottom-up attention keeps its 36 regions at any score).
    """

    def __init__(
        self, model: RCNN, *, attribute_threshold: float = 0.3, minimum_score: float = 0.0
    ) -> None:
        self.model = model.eval()
        self.minimum_score = minimum_score
        self.config: RCNNConfig = model.config
        self.attribute_threshold = attribute_threshold
        self.vocabulary = SceneVocabulary(self.config.classes, self.config.attributes)

    @classmethod
    def from_file(cls, path: str | Path, config: RCNNConfig, key_map: KeyMap) -> PretrainedDetector:
        """Read a weight file whose tensors are named as `key_map` says.

        Raises:
            InputError: the file cannot be read, or tensors are missing, unexpected or misshapen.
        """
        model = RCNN(config)
        load_weights(model, read_state_dict(path), key_map, str(path))
        return cls(model)

    @classmethod
    def from_detectron2(cls, path: str | Path, config: RCNNConfig) -> PretrainedDetector:
        """A model-zoo file (`.pkl` or `.pth`); `config` from `rcnn_config.detectron2_*`."""
        return cls.from_file(path, config, DETECTRON2)

    @classmethod
    def from_torchvision(cls, path: str | Path, config: RCNNConfig) -> PretrainedDetector:
        """`fasterrcnn_resnet50_fpn`; `config` from `rcnn_config.torchvision_fpn`."""
        return cls.from_file(path, config, TORCHVISION)

    @classmethod
    def from_lxmert(
        cls,
        folder: str | Path,
        *,
        classes: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
    ) -> PretrainedDetector:
        """The Visual Genome model published for LXMERT and VisualBERT.

        Args:
            folder: holds `config.yaml` and `pytorch_model.bin`, and `objects_vocab.txt` and
                `attributes_vocab.txt` unless the names are given.
            classes: the names of the object classes, in order.
            attributes: the names of the attributes, in order.

        Raises:
            InputError: a file is missing or does not fit the others.
        """
        folder = Path(folder)
        names = list(classes or read_names(folder / "objects_vocab.txt"))
        kinds = list(attributes or read_names(folder / "attributes_vocab.txt"))
        config = lxmert_config(folder / "config.yaml", names, kinds)
        for file_name in _WEIGHT_FILES:
            if (folder / file_name).is_file():
                return cls.from_file(folder / file_name, config, DETECTRON2)
        raise InputError(f"{folder}: weights: expected one of {', '.join(_WEIGHT_FILES)}")

    def detect(
        self,
        images: Sequence[PIL.Image.Image | Path | str],
        image_ids: Sequence[str] | None = None,
    ) -> list[Scene]:
        """One scene per picture, with features and class (and attribute) probabilities.

        Pictures go through one by one: batches would be padded to a common size, which changes
        the features near the borders.

        Raises:
            InputError: a picture cannot be read, or the number of ids differs.
        """
        scenes = []
        for image_id, picture in named_pictures(images, image_ids):
            prepared = prepare([picture], self.config)
            with torch.inference_mode():
                (selected,) = self.model(prepared.pictures, prepared.sizes)
            scenes.append(self._scene(image_id, picture, prepared, selected))
        return scenes

    def _scene(
        self, image_id: str, picture: PIL.Image.Image, prepared: Prepared, selected: Selected
    ) -> Scene:
        down, across = prepared.scales[0]
        scale = np.array([across, down, across, down], dtype=np.float32)
        limit = [picture.width, picture.height, picture.width, picture.height]
        boxes = np.clip(selected.boxes.numpy() * scale, 0, np.array(limit, dtype=np.float32))
        whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        rows = np.flatnonzero(whole & (selected.scores.numpy() > self.minimum_score))
        attributes = None if selected.attributes is None else selected.attributes.numpy()[rows]
        objects = []
        for place, row in enumerate(rows.tolist()):
            box = boxes[row]
            objects.append(
                SceneObject(
                    id=str(place),
                    name=self.config.classes[int(selected.labels[row])],
                    score=float(selected.scores[row]),
                    box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
                    attributes=self._listed(None if attributes is None else attributes[place]),
                )
            )
        return Scene(
            image_id,
            picture.width,
            picture.height,
            objects,
            features=selected.features.numpy()[rows],
            class_probabilities=selected.probabilities.numpy()[rows],
            attribute_probabilities=attributes,
            vocabulary=self.vocabulary,
            detector=self.config.detector_name,
        )

    def _listed(self, probabilities: np.ndarray | None) -> dict[str, float]:
        if probabilities is None:
            return {}
        return {
            self.config.attributes[column]: float(probabilities[column])
            for column in np.flatnonzero(probabilities >= self.attribute_threshold)
        }


def read_names(path: str | Path) -> list[str]:
    """Names of a vocabulary file, one a line; of several synonyms ("a,b") the first.

    Raises:
        InputError: the file is missing or has an empty line between names.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: names: no such file")
    lines = path.read_text(encoding="utf-8").strip().splitlines()
    names = [line.split(",")[0].strip().lower() for line in lines]
    for number, name in enumerate(names, start=1):
        if not name:
            raise InputError(f"{path}: line {number}: expected a name, got an empty line")
    return names


def lxmert_config(path: Path, classes: Sequence[str], attributes: Sequence[str]) -> RCNNConfig:
    """The variant that a published `config.yaml` of the Visual Genome model describes.

    Raises:
        InputError: the file is missing, is not YAML, or its numbers of names differ from those
            given.
    """
    import yaml

    if not path.is_file():
        raise InputError(f"{path}: config: no such file")
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: config: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}: config: expected a mapping, got {type(record).__name__}")
    base = bottom_up_attention(tuple(classes), tuple(attributes))
    for keys, names in ((("NUM_CLASSES",), classes), (("NUM_ATTRS",), attributes)):
        section = "ROI_HEADS" if keys[0] == "NUM_CLASSES" else "ROI_BOX_HEAD"
        stated = _at(record, (section, *keys), None)
        if stated is not None and int(stated) != len(names):
            raise InputError(
                f"{path}: {section}.{keys[0]}: expected {len(names)} names, the file says {stated}"
            )
    try:
        return replace(base, **_published_fields(record, base))
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: config: a value has the wrong form ({error})") from error


def _published_fields(record: Mapping[str, Any], base: RCNNConfig) -> dict[str, Any]:
    """Fields of `RCNNConfig` that the published configuration states.

    The order of colours is read off the means (blue is the darkest in photographs), for the
    published loading code gives `INPUT.FORMAT` the opposite meaning of detectron2's.
    """
    sizes = _at(record, ("ANCHOR_GENERATOR", "SIZES"), base.anchor_sizes)
    ratios = _at(record, ("ANCHOR_GENERATOR", "ASPECT_RATIOS"), [base.anchor_ratios])
    thresholds = _at(record, ("ROI_HEADS", "NMS_THRESH_TEST"), base.nms_thresholds)
    values = thresholds if isinstance(thresholds, (list, tuple)) else [thresholds]
    mean = tuple(_at(record, ("MODEL", "PIXEL_MEAN"), base.pixel_mean))
    halved = _at(record, ("ROI_BOX_HEAD", "RES5HALVE"), not base.res5_dilated)
    return {
        "depth": _at(record, ("RESNETS", "DEPTH"), base.depth),
        "stride_in_1x1": _at(record, ("RESNETS", "STRIDE_IN_1X1"), base.stride_in_1x1),
        "caffe_max_pool": _at(record, ("MODEL", "MAX_POOL"), base.caffe_max_pool),
        "res5_dilated": not halved,
        "input_format": "BGR" if mean[0] < mean[2] else "RGB",
        "pixel_mean": mean,
        "pixel_std": tuple(_at(record, ("MODEL", "PIXEL_STD"), base.pixel_std)),
        "minimum_side": _at(record, ("INPUT", "MIN_SIZE_TEST"), base.minimum_side),
        "maximum_side": _at(record, ("INPUT", "MAX_SIZE_TEST"), base.maximum_side),
        "anchor_sizes": tuple(tuple(float(s) for s in level) for level in sizes),
        "anchor_ratios": tuple(float(r) for r in ratios[0]),
        "proposal_channels": _channels(record, base),
        "proposals_before_nms": _at(
            record, ("RPN", "PRE_NMS_TOPK_TEST"), base.proposals_before_nms
        ),
        "proposals_after_nms": _at(record, ("RPN", "POST_NMS_TOPK_TEST"), base.proposals_after_nms),
        "proposal_nms_threshold": _at(record, ("RPN", "NMS_THRESH"), base.proposal_nms_threshold),
        "minimum_proposal_size": float(
            _at(record, ("PROPOSAL_GENERATOR", "MIN_SIZE"), base.minimum_proposal_size)
        ),
        "pooler_size": _at(record, ("ROI_BOX_HEAD", "POOLER_RESOLUTION"), base.pooler_size),
        "box_weights": tuple(_at(record, ("ROI_BOX_HEAD", "BBOX_REG_WEIGHTS"), base.box_weights)),
        "nms_thresholds": tuple(float(value) for value in values),
        "minimum_regions": _at(record, ("MIN_DETECTIONS",), base.minimum_regions),
        "maximum_regions": _at(record, ("MAX_DETECTIONS",), base.maximum_regions),
    }


def _channels(record: Mapping[str, Any], base: RCNNConfig) -> int | None:
    stated = _at(record, ("PROPOSAL_GENERATOR", "HIDDEN_CHANNELS"), base.proposal_channels)
    return None if stated == -1 else stated


def _at(record: Mapping[str, Any], keys: Sequence[str], default: Any) -> Any:
    """The value under nested keys; published files write them at the top or below `MODEL`."""
    for start in (record, record.get("MODEL", {}), record.get("model", {})):
        value: Any = start
        for key in keys:
            found = isinstance(value, Mapping)
            value = value.get(key, value.get(key.lower())) if found else None
            if value is None:
                break
        if value is not None:
            return value
    return default
