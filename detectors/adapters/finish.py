"""What every adapter adds to a detector that gives only boxes, names and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from detectors.colours import name_colours
from detectors.geometry import geometric_relations
from detectors.scene import Scene, SceneObject

__all__ = ["finish_scene"]


def finish_scene(
    image: Image.Image, image_id: str, objects: Sequence[SceneObject], *, detector: str
) -> Scene:
    """A scene with colours read from each region's pixels and relations from the boxes.

    Objects that already have attributes keep theirs.
    """
    coloured = [
        item if item.attributes else replace(item, attributes=name_colours(image, item.box))
        for item in objects
    ]
    relations = geometric_relations(coloured, image.width, image.height)
    return Scene(
        image_id=image_id,
        width=image.width,
        height=image.height,
        objects=list(coloured),
        relations=relations,
        detector=detector,
    )
