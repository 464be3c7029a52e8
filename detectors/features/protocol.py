"""What every region-feature file offers: random access by image id, one image in memory.

Legend: N regions of an image, D feature size. Boxes are (x1, y1, x2, y2) in pixels of the
original picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from detectors.errors import InputError

__all__ = ["FeatureDescription", "FeatureReader", "RegionFeatures", "check_regions"]


@dataclass
class RegionFeatures:
    """The regions of one image."""

    image_id: str
    width: int
    height: int
    features: np.ndarray
    """(N, D) float32."""
    boxes: np.ndarray
    """(N, 4) float32."""
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    """Class ids, scores, … under the names `class_ids`, `scores`, `attribute_ids`, …"""


@dataclass
class FeatureDescription:
    """What a feature file holds."""

    format: str
    images: int
    feature_size: int
    regions: str
    """Number of regions an image: `36`, `10-100`, or `7x7 grid`."""
    dtype: str
    path: str
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The record that `features info --json` prints."""
        return vars(self)


class FeatureReader(Protocol):
    """One feature file (or folder of files)."""

    path: Path

    @property
    def image_ids(self) -> list[str]:
        """Ids in file order."""
        ...

    def __contains__(self, image_id: str) -> bool: ...

    def __len__(self) -> int: ...

    def read(self, image_id: str) -> RegionFeatures:
        """The regions of one image.

        Raises:
            InputError: unknown id, or broken record; names file, image and field.
        """
        ...

    def describe(self) -> FeatureDescription:
        """What the file holds, from its head and one image."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class ReaderBase:
    """Shared manners of the readers: ids, closing, iteration, and the checks on each record."""

    path: Path
    positions: dict[str, int]
    """Image id to row of the file."""

    @property
    def image_ids(self) -> list[str]:
        """Ids in file order."""
        return list(self.positions)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self.positions

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[str]:
        return iter(self.positions)

    def position(self, image_id: str) -> int:
        """Row of `image_id`.

        Raises:
            InputError: the file has no such image.
        """
        try:
            return self.positions[image_id]
        except KeyError:
            raise InputError(
                f"{self.path}: no image {image_id!r} among its {len(self.positions)}"
            ) from None

    def close(self) -> None:
        """Release the file; nothing to do unless a reader holds one open."""

    def __enter__(self) -> ReaderBase:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_regions(path: Path, regions: RegionFeatures) -> RegionFeatures:
    """Refuse records that would train a model on nonsense.

    Raises:
        InputError: NaN or infinite features, boxes that are not (N, 4), counts that differ,
            boxes that end before they begin, or outside the picture by more than a pixel.
    """
    where = f"{path}: image {regions.image_id}"
    count = len(regions.features)
    if regions.features.ndim != 2:
        raise InputError(f"{where}: features must be (regions, size), got {regions.features.shape}")
    if regions.boxes.shape != (count, 4):
        raise InputError(
            f"{where}: boxes must be ({count}, 4) like the features, got {regions.boxes.shape}"
        )
    if not np.isfinite(regions.features).all():
        raise InputError(f"{where}: features hold NaN or infinite values")
    if not np.isfinite(regions.boxes).all():
        raise InputError(f"{where}: boxes hold NaN or infinite values")
    if (regions.boxes[:, 2:] < regions.boxes[:, :2]).any():
        raise InputError(f"{where}: boxes end before they begin (expected x1, y1, x2, y2)")
    if count and regions.width and regions.height:
        low, high = regions.boxes.min(), regions.boxes.max(axis=0)
        if (
            low < -1
            or high[[0, 2]].max() > regions.width + 1
            or high[[1, 3]].max() > regions.height + 1
        ):
            raise InputError(
                f"{where}: boxes reach outside the {regions.width} x {regions.height} picture"
            )
    return regions
