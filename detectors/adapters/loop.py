"""The loop that every adapter shares: load, detect one picture, finish its scene."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from detectors.adapters.finish import finish_scene
from detectors.errors import InputError
from detectors.images import load_image, to_rgb
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
        if image_ids is not None and len(image_ids) != len(images):
            raise InputError(
                f"image_ids: expected one for each of {len(images)} pictures, got {len(image_ids)}"
            )
        scenes = []
        for position, item in enumerate(images):
            image = to_rgb(item) if isinstance(item, Image.Image) else load_image(item)
            default = Path(item).stem if isinstance(item, (str, Path)) else str(position)
            image_id = str(image_ids[position]) if image_ids is not None else default
            scenes.append(finish_scene(image, image_id, self.find(image), detector=self.label))
        return scenes


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
