"""Object detectors of the `transformers` library (DETR, RT-DETR, D-FINE, YOLOS, …)."""

from __future__ import annotations

from PIL import Image

from detectors.adapters.loop import PictureDetector, clip_box
from detectors.adapters.transformers_files import load_pretrained
from detectors.scene import SceneObject

__all__ = ["PHOTO_DETECTOR", "TransformersDetector"]

PHOTO_DETECTOR = "PekingU/rtdetr_r18vd"
"""RT-DETR R18 trained on COCO 2017 (Zhao et al. 2024, arXiv:2304.08069)."""


class TransformersDetector(PictureDetector):
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
        self.label = f"transformers:{name}"
        self.processor, self.model = load_pretrained(
            name, "AutoImageProcessor", "AutoModelForObjectDetection"
        )
        self.names: dict[int, str] = self.model.config.id2label

    def find(self, image: Image.Image) -> list[SceneObject]:
        """Objects of a picture as the model's own post-processing gives them."""
        import torch

        with torch.inference_mode():
            outputs = self.model(**self.processor(images=image, return_tensors="pt"))
        found = self.processor.post_process_object_detection(
            outputs,
            threshold=self.threshold,
            target_sizes=torch.tensor([[image.height, image.width]]),
        )[0]
        return [
            SceneObject(
                id=str(rank),
                name=str(self.names[int(label)]).lower(),
                score=float(score),
                box=clip_box(box.tolist(), image),
            )
            for rank, (score, label, box) in enumerate(
                zip(found["scores"], found["labels"], found["boxes"], strict=True)
            )
        ]
