"""Folders of one `.npz` an image, in the UNITER/MMN and in the openvqa layout.

UNITER (Chen et al. 2020, feature release): `features` (N, D), `norm_bb` (N, 6|7: x1, y1, x2, y2,
w, h in 0..1, …), `conf`, optionally `soft_labels`. openvqa: `x` (D, N), `bbox` (N, 4) in pixels,
`image_w`, `image_h`, `num_bbox`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from detectors.features.protocol import (
    FeatureDescription,
    ReaderBase,
    RegionFeatures,
    check_regions,
)

__all__ = ["NpzFolderReader"]


class NpzFolderReader(ReaderBase):
    """Random access by file name (the stem is the image id)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        files = sorted(self.path.glob("*.npz"))
        if not files:
            raise InputError(f"{self.path}: the folder holds no .npz file")
        self.positions = {file.stem: row for row, file in enumerate(files)}

    def read(self, image_id: str) -> RegionFeatures:
        """Regions of one image; see `FeatureReader.read`."""
        self.position(image_id)
        file = self.path / f"{image_id}.npz"
        try:
            with np.load(file, allow_pickle=False) as saved:
                record = {key: saved[key] for key in saved.files}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"{file}: not a readable .npz ({error})") from None
        if "features" in record and "norm_bb" in record:
            regions = _read_uniter(file, image_id, record)
        elif "x" in record and "bbox" in record:
            regions = _read_openvqa(file, image_id, record)
        else:
            raise InputError(
                f"{file}: arrays {sorted(record)} fit neither UNITER (features, norm_bb) nor "
                "openvqa (x, bbox)"
            )
        return check_regions(file, regions)

    def describe(self) -> FeatureDescription:
        """What the folder holds; counts from the first images."""
        some = [self.read(image_id) for image_id in self.image_ids[:20]]
        counts = sorted({len(item.features) for item in some})
        span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
        return FeatureDescription(
            "npz-folder", len(self), some[0].features.shape[1], span,
            str(some[0].features.dtype), str(self.path),
        )  # fmt: skip


def _read_uniter(file: Path, image_id: str, record: dict[str, np.ndarray]) -> RegionFeatures:
    boxes = record["norm_bb"]
    if boxes.ndim != 2 or boxes.shape[1] < 4:
        raise InputError(f"{file}: norm_bb must be (regions, 4 or more), got {boxes.shape}")
    width, height = (int(record[key]) if key in record else 1 for key in ("image_w", "image_h"))
    scale = np.array([width, height, width, height], dtype=np.float32)
    extra = {"scores": record["conf"].astype(np.float32)} if "conf" in record else {}
    features = np.asarray(record["features"], dtype=np.float32)
    return RegionFeatures(
        image_id, width, height, features, boxes[:, :4].astype(np.float32) * scale, extra
    )


def _read_openvqa(file: Path, image_id: str, record: dict[str, np.ndarray]) -> RegionFeatures:
    features = np.asarray(record["x"], dtype=np.float32)
    boxes = np.asarray(record["bbox"], dtype=np.float32)
    if features.ndim == 2 and features.shape[1] == len(boxes) != features.shape[0]:
        features = features.T
    for key in ("image_w", "image_h"):
        if key not in record:
            raise InputError(f"{file}: no array {key!r}")
    return RegionFeatures(
        image_id, int(record["image_w"]), int(record["image_h"]), np.ascontiguousarray(features),
        boxes,
    )  # fmt: skip
