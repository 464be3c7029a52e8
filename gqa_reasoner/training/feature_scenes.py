"""Scenes of region-feature files: boxes and features, names only where the file has classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from detectors.features.protocol import FeatureReader, RegionFeatures
from detectors.scene import Scene, SceneObject

__all__ = ["UNNAMED", "feature_size", "read_class_names", "scene_of_regions"]

UNNAMED = "object"
"""Name of a region whose class the file does not tell."""
DETECTOR = "region features"
"""`Scene.detector` of such scenes."""


def scene_of_regions(
    regions: RegionFeatures, names: Sequence[str] = (), *, most: int = 100
) -> Scene:
    """One picture's scene.

    Args:
        names: class names in the order of the file's class ids; empty: all are `UNNAMED`.
        most: the first regions that are kept (files list the surest first).

    Raises:
        InputError: a class id beyond the names.
    """
    count = min(len(regions.features), most)
    ids, scores = regions.extra.get("class_ids"), regions.extra.get("scores")
    objects = []
    for row in range(count):
        name = UNNAMED
        if ids is not None and len(names):
            if not 0 <= int(ids[row]) < len(names):
                raise InputError(
                    f"image {regions.image_id}: class id {int(ids[row])}, but there are "
                    f"{len(names)} class names"
                )
            name = names[int(ids[row])]
        score = float(scores[row]) if scores is not None and len(scores) > row else 1.0
        x1, y1, x2, y2 = (float(value) for value in regions.boxes[row])
        objects.append(SceneObject(str(row), name, score, (x1, y1, x2, y2)))
    return Scene(
        regions.image_id,
        regions.width,
        regions.height,
        objects,
        features=np.asarray(regions.features[:count], dtype=np.float32),
        detector=DETECTOR,
    )


def feature_size(reader: FeatureReader) -> int:
    """The size of one region's features.

    Raises:
        InputError: the file holds no image.
    """
    if not len(reader):
        raise InputError(f"{reader.path}: holds no image")
    return int(reader.read(reader.image_ids[0]).features.shape[1])


def read_class_names(path: Path | None) -> tuple[str, ...]:
    """One name per line; the first of several that a comma parts (Visual Genome's lists).

    Raises:
        InputError: no such file.
    """
    if path is None:
        return ()
    if not path.is_file():
        raise InputError(f"{path}: no such file of class names")
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line.split(",")[0].strip() for line in lines if line.strip())
