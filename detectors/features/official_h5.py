"""GQA's official feature files: `gqa_objects_{0..15}.h5`, `gqa_spatial_{0..15}.h5`, info JSON.

Objects: datasets `features` (M, 100, 2048) and `bboxes` (M, 100, 4); info maps image id to
`width`, `height`, `objectsNum`, `idx`, `file`. Spatial: `features` (M, 2048, 7, 7); info maps to
`idx`, `file`. Merged forms hold all rows in one file and the row as `idx` or `index`.
Source: the GQA download page and the readme beside the files (Hudson & Manning 2019).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from detectors.errors import InputError
from detectors.features.protocol import (
    FeatureDescription,
    ReaderBase,
    RegionFeatures,
    check_regions,
)

__all__ = ["GqaObjectsReader", "GqaObjectsWriter", "GqaSpatialReader"]


class _ShardedH5(ReaderBase):
    """Shards opened on first use; one row read at a time."""

    kind = "objects"

    def __init__(self, path: str | Path) -> None:
        """Open a folder with the shards and their info file, or one merged `.h5`."""
        self.path = Path(path)
        folder = self.path if self.path.is_dir() else self.path.parent
        self.info_path = _find_info(folder, self.path, self.kind)
        self.info = _read_info(self.info_path)
        self.positions = {image_id: row for row, image_id in enumerate(self.info)}
        _refuse_shared_rows(self.info, self.info_path, merged=not self.path.is_dir())
        self._shards: dict[Path, h5py.File] = {}

    def _row(self, image_id: str) -> tuple[h5py.File, int, dict[str, Any]]:
        self.position(image_id)
        record = self.info[image_id]
        where = f"{self.info_path}: image {image_id}"
        row = record.get("idx", record.get("index"))
        if not isinstance(row, int):
            raise InputError(f"{where}: field 'idx' (or 'index') must be a number")
        file = self.path
        if self.path.is_dir():
            shard = record.get("file")
            file = self.path / (
                f"gqa_{self.kind}.h5" if shard is None else f"gqa_{self.kind}_{shard}.h5"
            )
        if file not in self._shards:
            self._shards[file] = _open_h5(file)
        handle = self._shards[file]
        if "features" not in handle:
            raise InputError(f"{file}: no dataset 'features'")
        count = handle["features"].shape[0]
        if not 0 <= row < count:
            raise InputError(f"{where}: row {row} is beyond the {count} rows of {file.name}")
        return handle, row, record

    def close(self) -> None:
        """Close every shard."""
        for handle in self._shards.values():
            handle.close()
        self._shards.clear()


class GqaObjectsReader(_ShardedH5):
    """Object features, `objectsNum` of the 100 rows of each image."""

    kind = "objects"

    def read(self, image_id: str) -> RegionFeatures:
        """Regions of one image; see `FeatureReader.read`."""
        handle, row, record = self._row(image_id)
        where = f"{self.info_path}: image {image_id}"
        values = {key: record.get(key) for key in ("width", "height", "objectsNum")}
        for key, value in values.items():
            if not isinstance(value, int):
                raise InputError(f"{where}: field {key!r} must be a number, got {value!r}")
        count = values["objectsNum"]
        if "bboxes" not in handle:
            raise InputError(f"{handle.filename}: no dataset 'bboxes'")
        if not 0 <= count <= handle["features"].shape[1]:  # type: ignore[operator]
            raise InputError(f"{where}: field 'objectsNum' {count} is beyond the file's regions")
        regions = RegionFeatures(
            image_id,
            values["width"],  # type: ignore[arg-type]
            values["height"],  # type: ignore[arg-type]
            np.asarray(handle["features"][row, :count], dtype=np.float32),
            np.asarray(handle["bboxes"][row, :count], dtype=np.float32),
        )
        return check_regions(Path(handle.filename), regions)

    def describe(self) -> FeatureDescription:
        """What the file holds."""
        if not self.info:
            raise InputError(f"{self.info_path}: no images")
        handle, _, _ = self._row(next(iter(self.info)))
        counts = [item.get("objectsNum", 0) for item in self.info.values()]
        span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)}-{max(counts)}"
        shape = handle["features"].shape
        return FeatureDescription(
            "gqa-objects-h5", len(self.info), shape[2], span, str(handle["features"].dtype),
            str(self.path), [f"padded to {shape[1]} regions", f"info: {self.info_path.name}"],
        )  # fmt: skip


class GqaSpatialReader(_ShardedH5):
    """Grid features: each cell is a region; boxes in 0..1, for picture sizes are not recorded."""

    kind = "spatial"

    def read(self, image_id: str) -> RegionFeatures:
        """The cells of one image row by row: features (rows * columns, D), boxes in 0..1."""
        handle, row, record = self._row(image_id)
        grid = np.asarray(handle["features"][row], dtype=np.float32)
        size, rows, columns = grid.shape
        y, x = np.divmod(np.arange(rows * columns), columns)
        width, height = int(record.get("width", 0)), int(record.get("height", 0))
        boxes = np.stack([x / columns, y / rows, (x + 1) / columns, (y + 1) / rows], axis=1).astype(
            np.float32
        )
        if width and height:
            boxes *= np.array([width, height, width, height], dtype=np.float32)
        regions = RegionFeatures(image_id, width, height, grid.reshape(size, -1).T.copy(), boxes)
        return check_regions(Path(handle.filename), regions)

    def describe(self) -> FeatureDescription:
        """What the file holds."""
        if not self.info:
            raise InputError(f"{self.info_path}: no images")
        handle, _, _ = self._row(next(iter(self.info)))
        shape = handle["features"].shape
        return FeatureDescription(
            "gqa-spatial-h5", len(self.info), shape[1], f"{shape[2]}x{shape[3]} grid",
            str(handle["features"].dtype), str(self.path), [f"info: {self.info_path.name}"],
        )  # fmt: skip


def _refuse_shared_rows(info: dict[str, dict[str, Any]], path: Path, *, merged: bool) -> None:
    """Raise `InputError` where two images claim one row: one of them would get false features.

    In a merged file the row alone counts, so that the info file of the 16 parts is refused there.
    """
    owners: dict[tuple[Any, Any], str] = {}
    for image_id, record in info.items():
        row = record.get("idx", record.get("index"))
        if row is None:
            continue
        first = owners.setdefault((None if merged else record.get("file"), row), image_id)
        if first != image_id:
            raise InputError(f"{path}: images {first} and {image_id} both claim row {row}")


class GqaObjectsWriter:
    """Writes one merged `gqa_objects.h5` and `gqa_objects_info.json` in the official layout.

    Args:
        folder: where both files go.
        images: number of rows to reserve.
        feature_size: D.
        regions: rows reserved an image (100 in the official files).
        half: store float16.
    """

    def __init__(
        self, folder: str | Path, *, images: int, feature_size: int, regions: int = 100,
        half: bool = False,
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.regions = regions
        self.info: dict[str, dict[str, Any]] = {}
        self.handle = h5py.File(self.folder / "gqa_objects.h5", "w")
        dtype = "f2" if half else "f4"
        self.handle.create_dataset(
            "features", (images, regions, feature_size), dtype=dtype,
            chunks=(1, regions, feature_size),
        )  # fmt: skip
        self.handle.create_dataset("bboxes", (images, regions, 4), dtype="f4")

    def write(self, regions: RegionFeatures) -> None:
        """Append one image.

        Raises:
            InputError: a duplicate id, or more regions than reserved.
        """
        if regions.image_id in self.info:
            raise InputError(f"{self.folder}: duplicate image id {regions.image_id!r}")
        count, row = len(regions.features), len(self.info)
        if count > self.regions:
            raise InputError(
                f"{self.folder}: image {regions.image_id}: {count} regions, room for {self.regions}"
            )
        self.handle["features"][row, :count] = regions.features
        self.handle["bboxes"][row, :count] = regions.boxes
        self.info[regions.image_id] = {
            "width": regions.width, "height": regions.height, "objectsNum": count, "idx": row,
        }  # fmt: skip

    def close(self) -> None:
        """Write the info file and close."""
        self.handle.close()
        (self.folder / "gqa_objects_info.json").write_text(json.dumps(self.info))


def _find_info(folder: Path, path: Path, kind: str) -> Path:
    names = [f"gqa_{kind}_info.json", f"gqa_{kind}_merged_info.json", f"{path.stem}_info.json"]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: no info file for {kind} features (looked for {', '.join(names)})")


def _read_info(path: Path) -> dict[str, dict[str, Any]]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise InputError(f"{path}: duplicate image id {twice!r}")
        return record

    try:
        info = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(info, dict) or not all(isinstance(item, dict) for item in info.values()):
        raise InputError(f"{path}: expected an object of records by image id")
    return info


def _open_h5(path: Path) -> h5py.File:
    if not path.is_file():
        raise InputError(f"{path}: no such feature file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: not a readable HDF5 file ({error})") from None
