"""Detectors exported to ONNX: YOLOX-style grids and plain boxes/scores/labels.

Legend: N rows, C classes. YOLOX (Ge et al. 2021, section 2.1 and the project's ONNX demo): rows
are the cells of strides 8, 16, 32; columns x, y, w, h, objectness, C class scores;
centre = (xy + cell) * stride, size = exp(wh) * stride, score = objectness * class score.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from detectors.adapters.loop import PictureDetector
from detectors.coco_classes import COCO_CLASSES
from detectors.errors import InputError
from detectors.scene import SceneObject

__all__ = ["OnnxDetector", "decode_yolox", "suppress"]

_STRIDES = (8, 16, 32)
_FILL = 114


class OnnxDetector(PictureDetector):
    """Runs an ONNX detector with onnxruntime (optional extra `onnx`).

    Args:
        path: the `.onnx` file.
        class_names: names of the classes in the model's order; COCO's 80 by default.
        threshold: boxes below this score are dropped; low, for soft execution weighs them all.
        iou: overlap above which the weaker box of one class is dropped.
        threads: processor threads for the runtime; 0 lets it choose.

    Raises:
        InputError: onnxruntime is not installed, or the file is no usable detector.
    """

    name = "onnx"

    def __init__(
        self,
        path: str | Path,
        *,
        class_names: Sequence[str] = COCO_CLASSES,
        threshold: float = 0.1,
        iou: float = 0.45,
        threads: int = 0,
    ) -> None:
        self.path = Path(path)
        self.label = f"onnx:{self.path.name}"
        self.class_names = tuple(class_names)
        self.threshold = threshold
        self.iou = iou
        self.session = _open_session(self.path, threads)
        entry = self.session.get_inputs()[0]
        self.input_name = entry.name
        shape = entry.shape
        if len(shape) != 4 or shape[1] != 3:
            raise InputError(f"{path}: expected an input of 1 x 3 x height x width, got {shape}")
        sides = [side if isinstance(side, int) else 640 for side in shape[2:]]
        self.height, self.width = sides

    def find(self, image: Image.Image) -> list[SceneObject]:
        """Objects of a picture after suppression per class."""
        pixels, ratio = _letterbox(image, self.width, self.height)
        outputs = self.session.run(None, {self.input_name: pixels[None]})
        boxes, scores, labels = self._read(outputs)
        kept = scores >= self.threshold
        boxes, scores, labels = boxes[kept] / ratio, scores[kept], labels[kept]
        limits = np.array([image.width, image.height] * 2, dtype=np.float32)
        boxes = np.clip(boxes, 0, limits)
        keep = suppress(boxes, scores, labels, self.iou)
        return [
            SceneObject(
                id=str(rank),
                name=self.class_names[int(labels[row])],
                score=float(scores[row]),
                box=tuple(float(value) for value in boxes[row]),  # type: ignore[arg-type]
            )
            for rank, row in enumerate(keep)
            if boxes[row, 2] > boxes[row, 0] and boxes[row, 3] > boxes[row, 1]
        ]

    def _read(self, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes (N, 4) in input pixels, scores (N,), labels (N,) of the raw outputs."""
        count = len(self.class_names)
        if len(outputs) == 1 and outputs[0].ndim == 3 and outputs[0].shape[2] == 5 + count:
            return decode_yolox(outputs[0][0], self.width, self.height)
        if len(outputs) == 3:
            return _read_plain(outputs, self.path, count)
        shapes = [tuple(output.shape) for output in outputs]
        raise InputError(
            f"{self.path}: outputs {shapes} fit neither YOLOX (1, cells, {5 + count}) for "
            f"{count} classes nor boxes/scores/labels"
        )


def decode_yolox(
    output: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """YOLOX rows (cells, 5 + C) to boxes (cells, 4) in input pixels, scores and best classes.

    Raises:
        InputError: the number of rows is not that of the grids of a `width` x `height` input.
    """
    grids, strides = [], []
    for stride in _STRIDES:
        rows, columns = height // stride, width // stride
        y, x = np.divmod(np.arange(rows * columns), columns)
        grids.append(np.stack([x, y], axis=1))
        strides.append(np.full((rows * columns, 1), stride))
    grid, stride_of = np.concatenate(grids), np.concatenate(strides)
    if len(grid) != len(output):
        raise InputError(f"YOLOX output has {len(output)} rows, its grids {len(grid)}")
    centre = (output[:, :2] + grid) * stride_of
    size = np.exp(np.minimum(output[:, 2:4], 20)) * stride_of
    scores = output[:, 4:5] * output[:, 5:]
    labels = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), labels]
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1), best, labels


def suppress(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou: float) -> list[int]:
    """Greedy per-class non-maximum suppression; indices kept, best first (ties: lower index)."""
    kept: list[int] = []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for row in np.argsort(-scores, kind="stable"):
        rivals = [other for other in kept if labels[other] == labels[row]]
        if rivals:
            low = np.maximum(boxes[rivals, :2], boxes[row, :2])
            high = np.minimum(boxes[rivals, 2:], boxes[row, 2:])
            shared = np.clip(high - low, 0, None).prod(axis=1)
            union = areas[rivals] + areas[row] - shared
            if (shared > iou * union).any():
                continue
        kept.append(int(row))
    return kept


def _letterbox(image: Image.Image, width: int, height: int) -> tuple[np.ndarray, float]:
    """BGR float32 (3, height, width), 0..255, scaled into the top left corner; and the scale."""
    ratio = min(width / image.width, height / image.height)
    size = (max(1, int(image.width * ratio)), max(1, int(image.height * ratio)))
    canvas = np.full((height, width, 3), _FILL, dtype=np.float32)
    resized = image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    canvas[: size[1], : size[0]] = np.asarray(resized)[:, :, ::-1]
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)), ratio


def _read_plain(
    outputs: list[np.ndarray], path: Path, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flat = [output[0] if output.ndim > 1 and output.shape[0] == 1 else output for output in outputs]
    boxes = [item for item in flat if item.ndim == 2 and item.shape[1] == 4]
    labels = [item for item in flat if item.ndim == 1 and np.issubdtype(item.dtype, np.integer)]
    scores = [item for item in flat if item.ndim == 1 and np.issubdtype(item.dtype, np.floating)]
    if not (len(boxes) == len(labels) == len(scores) == 1):
        raise InputError(f"{path}: cannot tell boxes, scores and labels among the three outputs")
    if len(labels[0]) and int(labels[0].max()) >= count:
        raise InputError(
            f"{path}: label {int(labels[0].max())} is beyond the {count} class names given"
        )
    return boxes[0].astype(np.float32), scores[0], labels[0]


def _open_session(path: Path, threads: int) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such ONNX file")
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            f"{path}: an ONNX detector needs onnxruntime: pip install 'gqa-reasoner[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own, undocumented exception types
        raise InputError(f"{path}: not a usable ONNX model ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
