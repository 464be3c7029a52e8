"""This project's feature file: all regions end to end in one HDF5, rows found by offsets.

Datasets: `features` (R, D) float32 or float16, `boxes` (R, 4) float32, `offsets` (M + 1) int64,
`image_ids` (M) bytes, `sizes` (M, 2) int32 width and height, and optionally `extra/NAME` (R).
Nothing is padded, so 36-box and 10-100-box files take only what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from detectors.errors import InputError
from detectors.features.official_h5 import _open_h5
from detectors.features.protocol import (
    FeatureDescription,
    ReaderBase,
    RegionFeatures,
    check_regions,
)

__all__ = ["FORMAT", "VERSION", "RegionFileReader", "write_region_file"]

FORMAT = "gqa-reasoner-regions"
VERSION = 1


class RegionFileReader(ReaderBase):
    """Random access to one region file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.handle = _open_h5(self.path)
        kind, version = self.handle.attrs.get("format"), self.handle.attrs.get("version")
        if kind != FORMAT or version != VERSION:
            raise InputError(
                f"{self.path}: expected format {FORMAT} version {VERSION}, got {kind} {version}"
            )
        for name in ("features", "boxes", "offsets", "image_ids", "sizes"):
            if name not in self.handle:
                raise InputError(f"{self.path}: no dataset {name!r}")
        self.offsets = self.handle["offsets"][:]
        self.sizes = self.handle["sizes"][:]
        ids = [item.decode() for item in self.handle["image_ids"][:]]
        self.positions = {image_id: row for row, image_id in enumerate(ids)}
        if len(self.positions) != len(ids):
            twice = next(item for row, item in enumerate(ids) if self.positions[item] != row)
            raise InputError(f"{self.path}: duplicate image id {twice!r}")
        total = self.handle["features"].shape[0]
        if len(self.offsets) != len(ids) + 1 or self.offsets[-1] != total:
            raise InputError(f"{self.path}: offsets do not cover the {total} regions")
        self._features, self._boxes = self.handle["features"], self.handle["boxes"]
        self._extra = sorted(self.handle["extra"]) if "extra" in self.handle else []

    def read(self, image_id: str) -> RegionFeatures:
        """Regions of one image; see `FeatureReader.read`."""
        row = self.position(image_id)
        start, stop = int(self.offsets[row]), int(self.offsets[row + 1])
        width, height = (int(value) for value in self.sizes[row])
        extra = {name: self.handle["extra"][name][start:stop] for name in self._extra}
        features = self._features[start:stop]
        regions = RegionFeatures(
            image_id,
            width,
            height,
            features if features.dtype == np.float32 else features.astype(np.float32),
            self._boxes[start:stop],
            extra,
        )
        return check_regions(self.path, regions)

    def describe(self) -> FeatureDescription:
        """What the file holds."""
        counts = np.diff(self.offsets)
        low, high = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
        notes = [f"{key}: {value}" for key, value in sorted(self.handle.attrs.items())]
        return FeatureDescription(
            FORMAT, len(self), int(self._features.shape[1]),
            f"{low}" if low == high else f"{low}-{high}", str(self._features.dtype),
            str(self.path), notes,
        )  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        self.handle.close()


def write_region_file(
    path: str | Path,
    images: Iterable[RegionFeatures],
    *,
    half: bool = False,
    attributes: dict[str, str] | None = None,
) -> int:
    """Write a region file, one image in memory at a time; returns how many images.

    Args:
        path: target, replaced only when everything was written.
        images: the records in file order.
        half: store features as float16.
        attributes: notes kept in the file, such as the detector's name.

    Raises:
        InputError: a duplicate id, or feature sizes that differ.
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    side = place.with_name(place.name + ".part")
    ids: list[str] = []
    seen: set[str] = set()
    sizes: list[tuple[int, int]] = []
    offsets = [0]
    with h5py.File(side, "w") as handle:
        for item in images:
            if item.image_id in seen:
                raise InputError(f"{path}: duplicate image id {item.image_id!r}")
            _append(handle, path, item, offsets[-1], half)
            seen.add(item.image_id)
            ids.append(item.image_id)
            sizes.append((item.width, item.height))
            offsets.append(offsets[-1] + len(item.features))
        if not ids:
            raise InputError(f"{path}: no images to write")
        handle["offsets"] = np.array(offsets, dtype=np.int64)
        handle["image_ids"] = np.array([item.encode() for item in ids])
        handle["sizes"] = np.array(sizes, dtype=np.int32).reshape(-1, 2)
        handle.attrs.update({"format": FORMAT, "version": VERSION, **(attributes or {})})
    side.replace(place)
    return len(ids)


def _append(
    handle: h5py.File, path: str | Path, item: RegionFeatures, start: int, half: bool
) -> None:
    columns = {"features": item.features, "boxes": item.boxes}
    columns |= {f"extra/{name}": values for name, values in item.extra.items()}
    for name, values in columns.items():
        if name not in handle:
            dtype = np.float16 if half and name == "features" else values.dtype
            handle.create_dataset(
                name, (0, *values.shape[1:]), maxshape=(None, *values.shape[1:]), dtype=dtype,
                chunks=(36, *values.shape[1:]),
            )  # fmt: skip
        dataset = handle[name]
        if dataset.shape[1:] != values.shape[1:]:
            raise InputError(
                f"{path}: image {item.image_id}: {name} have size {values.shape[1:]}, "
                f"the images before it {dataset.shape[1:]}"
            )
        dataset.resize(start + len(values), axis=0)
        dataset[start:] = values
