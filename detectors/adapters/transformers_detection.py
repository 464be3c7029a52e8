"""Object detectors of the `transformers` library (DETR, RT-DETR, D-FINE, YOLOS, …)."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from detectors.adapters.finish import finish_scene
from detectors.errors import InputError
from detectors.images import load_image
from detectors.scene import Scene, SceneObject

__all__ = ["PHOTO_DETECTOR", "TransformersDetector"]

PHOTO_DETECTOR = "PekingU/rtdetr_r18vd"
"""RT-DETR R18 trained on COCO 2017 (Zhao et al. 2024, arXiv:2304.08069)."""


class TransformersDetector:
    """Runs `AutoModelForObjectDetection` from a local folder or a hub name.

    Args:
        name: folder or hub name; a hub name is downloaded on first use.
        threshold: boxes below this score are dropped.

    Raises:
        InputError: transformers is not installed, or the model can be neither found nor
            downloaded.
    """

    def __init__(self, name: str, *, threshold: float = 0.4) -> None:
        self.name = name
        self.threshold = threshold
        self.processor, self.model = _load(name)
        self.labels: dict[int, str] = self.model.config.id2label

    def detect(
        self,
        images: Sequence[Image.Image | str | Path],
        image_ids: Sequence[str] | None = None,
    ) -> list[Scene]:
        """Scenes of pictures (PIL or paths); colours come from pixels, relations from boxes."""
        import torch

        scenes = []
        for position, item in enumerate(images):
            image = item if isinstance(item, Image.Image) else load_image(item)
            default = Path(item).stem if isinstance(item, (str, Path)) else str(position)
            image_id = image_ids[position] if image_ids is not None else default
            with torch.inference_mode():
                outputs = self.model(**self.processor(images=image, return_tensors="pt"))
            found = self.processor.post_process_object_detection(
                outputs,
                threshold=self.threshold,
                target_sizes=torch.tensor([[image.height, image.width]]),
            )[0]
            objects = [
                SceneObject(
                    id=str(rank),
                    name=str(self.labels[int(label)]).lower(),
                    score=float(score),
                    box=_clipped(box.tolist(), image),
                )
                for rank, (score, label, box) in enumerate(
                    zip(found["scores"], found["labels"], found["boxes"], strict=True)
                )
            ]
            scenes.append(
                finish_scene(image, image_id, objects, detector=f"transformers:{self.name}")
            )
        return scenes


def _clipped(box: list[float], image: Image.Image) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), image.width),
        min(max(y1, 0.0), image.height),
        min(max(x2, 0.0), image.width),
        min(max(y2, 0.0), image.height),
    )


def _load(name: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoImageProcessor, AutoModelForObjectDetection
    except ImportError:
        raise InputError(
            f"detector {name}: needs transformers: pip install 'gqa-reasoner[transformers]'"
        ) from None
    local = Path(name).is_dir()
    errors = (OSError, ValueError, KeyError, ImportError)
    try:
        processor, model = (
            kind.from_pretrained(name, local_files_only=True)
            for kind in (AutoImageProcessor, AutoModelForObjectDetection)
        )
        return processor, model.eval()
    except errors as error:
        if local:
            raise InputError(f"detector {name}: not a usable folder: {_line(error)}") from None
    _check_reachable(name)
    try:
        processor = AutoImageProcessor.from_pretrained(name)
        model = AutoModelForObjectDetection.from_pretrained(name, use_safetensors=True)
    except errors as error:
        raise InputError(f"detector {name}: cannot be used: {_line(error)}") from None
    return processor, model.eval()


def _check_reachable(name: str) -> None:
    """Ask the hub once, so that a machine without network hears it at once, not after retries."""
    from huggingface_hub import constants

    address = f"{constants.ENDPOINT}/api/models/{name}"
    try:
        with urllib.request.urlopen(address, timeout=10):
            return
    except urllib.error.HTTPError as error:
        reason = f"the hub answers {error.code} ({error.reason})"
    except (OSError, ValueError) as error:
        reason = f"no network to download it ({_line(error)})"
    raise InputError(f"detector {name}: neither a local folder nor downloaded before; {reason}")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
