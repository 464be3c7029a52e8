"""Open any feature file or folder by looking at it, and compare two of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.errors import InputError
from detectors.features.protocol import FeatureReader, RegionFeatures

__all__ = ["FeatureComparison", "compare_features", "open_features"]


def open_features(path: str | Path) -> FeatureReader:
    """The reader that fits `path`.

    Raises:
        InputError: no reader fits; the line says which layouts are known.
    """
    from detectors.features.lxmert_tsv import LxmertTsvReader
    from detectors.features.npz_folder import NpzFolderReader
    from detectors.features.official_h5 import GqaObjectsReader, GqaSpatialReader, _open_h5
    from detectors.features.own_h5 import FORMAT, RegionFileReader
    from detectors.features.uniter_lmdb import UniterLmdbReader, is_lmdb

    place = Path(path)
    if is_lmdb(place):
        return UniterLmdbReader(place)
    if place.is_dir():
        if any(place.glob("gqa_objects*.h5")):
            return GqaObjectsReader(place)
        if any(place.glob("gqa_spatial*.h5")):
            return GqaSpatialReader(place)
        if any(place.glob("*.npz")):
            return NpzFolderReader(place)
        raise InputError(
            f"{place}: holds neither gqa_objects*.h5, gqa_spatial*.h5, *.npz nor data.mdb (LMDB)"
        )
    if not place.is_file():
        raise InputError(f"{place}: no such feature file")
    if place.suffix == ".tsv":
        return LxmertTsvReader(place)
    if place.suffix in (".h5", ".hdf5"):
        with _open_h5(place) as handle:
            if handle.attrs.get("format") == FORMAT:
                kind: type = RegionFileReader
            elif "features" not in handle:
                raise InputError(f"{place}: no dataset 'features'")
            else:
                kind = GqaSpatialReader if handle["features"].ndim == 4 else GqaObjectsReader
        return kind(place)
    raise InputError(
        f"{place}: not a known feature file (.h5, .tsv, an LMDB, or a folder of .h5 or .npz)"
    )


@dataclass
class FeatureComparison:
    """How alike two feature files are, region by region."""

    images: int
    only_first: int
    only_second: int
    matched_regions: int
    regions: int
    cosine: float | None
    """Mean cosine of regions matched by IoU of at least 0.5; None when sizes differ."""
    scale: float | None
    """Mean norm of the second's matched features over the first's."""
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """The record that `features check --json` prints."""
        return vars(self)


def compare_features(
    first: FeatureReader, second: FeatureReader, *, limit: int = 200
) -> FeatureComparison:
    """Match regions of the same images by IoU and compare their features.

    Args:
        first: the features a model was trained on.
        second: the features it is to be used with.
        limit: number of shared images looked at.
    """
    theirs = set(second.image_ids)
    shared = [image_id for image_id in first.image_ids if image_id in theirs]
    only_first, only_second = len(first) - len(shared), len(second) - len(shared)
    if not shared:
        return FeatureComparison(
            0, only_first, only_second, 0, 0, None, None, "no image in common: nothing can be said"
        )
    cosines: list[np.ndarray] = []
    ratios: list[np.ndarray] = []
    total = 0
    sizes: tuple[int, int] | None = None
    for image_id in shared[:limit]:
        one, two = first.read(image_id), second.read(image_id)
        total += len(one.features)
        sizes = (one.features.shape[1], two.features.shape[1])
        if sizes[0] != sizes[1]:
            break
        left, right = _match(one, two)
        a, b = one.features[left], two.features[right]
        norms = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        cosines.append((a * b).sum(axis=1) / np.maximum(norms[0] * norms[1], 1e-12))
        ratios.append(norms[1] / np.maximum(norms[0], 1e-12))
    images = len(shared[:limit])
    if sizes is not None and sizes[0] != sizes[1]:
        verdict = f"not usable: feature sizes differ ({sizes[0]} and {sizes[1]})"
        return FeatureComparison(images, only_first, only_second, 0, total, None, None, verdict)
    cosine = np.concatenate(cosines) if cosines else np.zeros(0)
    matched = len(cosine)
    mean = float(cosine.mean()) if matched else None
    scale = float(np.concatenate(ratios).mean()) if matched else None
    return FeatureComparison(
        images, only_first, only_second, matched, total, mean, scale,
        _verdict(matched / max(total, 1), mean, scale),
    )  # fmt: skip


def _verdict(share: float, cosine: float | None, scale: float | None) -> str:
    if cosine is None or scale is None or share < 0.3:
        return (
            f"not usable: only {share:.0%} of the regions overlap (IoU >= 0.5); different detectors"
            " or box conventions"
        )
    if cosine < 0.9:
        return f"not usable: matched regions have cosine {cosine:.3f}; different networks"
    if not 0.9 <= scale <= 1.1:
        return f"not usable: same directions, but norms differ by a factor of {scale:.2f}"
    if cosine < 0.99 or share < 0.8:
        return f"usable with loss: cosine {cosine:.3f}, {share:.0%} of the regions matched"
    return f"usable: cosine {cosine:.3f}, {share:.0%} of the regions matched"


def _relative(regions: RegionFeatures) -> np.ndarray:
    width, height = regions.width or 1, regions.height or 1
    return regions.boxes / np.array([width, height, width, height], dtype=np.float32)


def _match(one: RegionFeatures, two: RegionFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Greedy one-to-one matches with IoU >= 0.5: rows of `one`, rows of `two`.

    Boxes are compared as shares of the picture, for some files keep only these.
    """
    first, second = _relative(one), _relative(two)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    iou = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    left, right = [], []
    for _ in range(min(iou.shape)):
        row, column = np.unravel_index(int(iou.argmax()), iou.shape)
        if iou[row, column] < 0.5:
            break
        left.append(row)
        right.append(column)
        iou[row, :] = -1
        iou[:, column] = -1
    return np.array(left, dtype=int), np.array(right, dtype=int)
