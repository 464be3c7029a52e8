"""The loop that every adapter shares: load, detect one picture, finish its scene."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from detectors.adapters.finish import finish_scene
from detectors.images import named_pictures
from detectors.scene import Scene, SceneObject

__all__ = ["PictureDetector", "clip_box"]


class PictureDetector(ABC):
    """A detector that looks at one picture at a time; subclasses give `find` and `label`."""

    label: str
    """What scenes name as their detector."""

    @abstractmethod
    def find(self, image: Image.Image) -> list[SceneObject]:
        """Objects of an RGB picture, best first, boxes inside it in its pixels."""

    def detect(
        self,
        images: Sequence[Image.Image | str | Path],
        image_ids: Sequence[str] | None = None,
    ) -> list[Scene]:
        """Scenes of pictures (PIL or paths); colours come from pixels, relations from boxes.

        Raises:
            InputError: a picture cannot be read, or the number of ids differs.
        """
        return [
            finish_scene(image, image_id, self.find(image), detector=self.label)
            for image_id, image in named_pictures(images, image_ids)
        ]


def clip_box(box: Sequence[float], image: Image.Image) -> tuple[float, float, float, float]:
    """A box cut at the picture's borders."""
    x1, y1, x2, y2 = (float(value) for value in box)
    width, height = float(image.width), float(image.height)
    return (
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
        min(max(x2, 0.0), width),
        min(max(y2, 0.0), height),
    )
