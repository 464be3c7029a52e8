"""LXMERT / bottom-up-attention TSV files: one image a line, arrays in base64.

Columns (Tan & Bansal 2019, data preparation): img_id, img_h, img_w, objects_id, objects_conf,
attrs_id, attrs_conf, num_boxes, boxes, features. The older bottom-up-attention files have
image_id, image_w, image_h, num_boxes, boxes, features. An index of line offsets is built once
and kept beside the file; a line is decoded when it is asked for.
"""

from __future__ import annotations

import binascii
import sys
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from detectors.features.protocol import (
    FeatureDescription,
    ReaderBase,
    RegionFeatures,
    check_regions,
)

__all__ = ["LxmertTsvReader"]

_LXMERT = ("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf",
           "num_boxes", "boxes", "features")  # fmt: skip
_BOTTOM_UP = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
_EXTRA = {
    "objects_id": ("class_ids", np.int64),
    "objects_conf": ("scores", np.float32),
    "attrs_id": ("attribute_ids", np.int64),
    "attrs_conf": ("attribute_scores", np.float32),
}


class LxmertTsvReader(ReaderBase):
    """Random access to a feature TSV through an offset index (`FILE.index.npz`)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file")
        ids, self.offsets = self._load_or_build_index()
        self.positions = {}
        for row, image_id in enumerate(ids):
            if image_id in self.positions:
                raise InputError(f"{self.path}: line {row + 1}: duplicate image id {image_id!r}")
            self.positions[image_id] = row
        self.handle = self.path.open("rb")
        self._columns: tuple[str, ...] | None = None

    def read(self, image_id: str) -> RegionFeatures:
        """Regions of one image; see `FeatureReader.read`."""
        row = self.position(image_id)
        self.handle.seek(int(self.offsets[row]))
        fields = self.handle.readline().rstrip(b"\r\n").split(b"\t")
        return check_regions(self.path, self._decode(fields, row + 1))

    def describe(self) -> FeatureDescription:
        """What the file holds; region counts from the first images."""
        some = [self.read(image_id) for image_id in self.image_ids[:20]]
        if not some:
            raise InputError(f"{self.path}: no images")
        counts = sorted({len(item.features) for item in some})
        span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
        return FeatureDescription(
            "lxmert-tsv", len(self), some[0].features.shape[1], span, "float32", str(self.path)
        )

    def close(self) -> None:
        """Close the file."""
        self.handle.close()

    def _decode(self, fields: list[bytes], line: int) -> RegionFeatures:
        where = f"{self.path}: line {line}"
        columns = {len(_LXMERT): _LXMERT, len(_BOTTOM_UP): _BOTTOM_UP}.get(len(fields))
        if columns is None:
            raise InputError(
                f"{where}: {len(fields)} columns, expected {len(_LXMERT)} or {len(_BOTTOM_UP)} "
                "(is the line cut short?)"
            )
        record = dict(zip(columns, fields, strict=True))
        numbers = {}
        for key in columns:
            if key in ("img_h", "img_w", "image_h", "image_w", "num_boxes"):
                try:
                    numbers[key.removeprefix("img_").removeprefix("image_")] = int(record[key])
                except ValueError:
                    raise InputError(f"{where}: column {key!r} must be a number") from None
        count = numbers["num_boxes"]
        boxes = _array(record["boxes"], np.float32, where, "boxes")
        features = _array(record["features"], np.float32, where, "features")
        if boxes.size != 4 * count or count <= 0 or features.size % count:
            raise InputError(
                f"{where}: {count} boxes announced, but 'boxes' holds {boxes.size} and "
                f"'features' {features.size} values (is the line cut short?)"
            )
        extra = {
            name: _array(record[key], dtype, where, key)
            for key, (name, dtype) in _EXTRA.items()
            if key in record
        }
        image_id = record[columns[0]].decode()
        return RegionFeatures(
            image_id, numbers["w"], numbers["h"],
            features.reshape(count, -1), boxes.reshape(count, 4), extra,
        )  # fmt: skip

    def _load_or_build_index(self) -> tuple[list[str], np.ndarray]:
        place = self.path.with_name(self.path.name + ".index.npz")
        state = self.path.stat()
        stamp = np.array([state.st_size, state.st_mtime_ns], dtype=np.int64)
        if place.is_file():
            try:
                with np.load(place, allow_pickle=False) as saved:
                    if np.array_equal(saved["stamp"], stamp):
                        return saved["ids"].tolist(), saved["offsets"]
            except (OSError, ValueError, KeyError):
                pass  # a broken or old index is built anew
        ids: list[str] = []
        offsets: list[int] = []
        with self.path.open("rb") as stream:
            offset = 0
            for line in stream:
                if line.strip():
                    ids.append(line.split(b"\t", 1)[0].decode("utf-8", "replace"))
                    offsets.append(offset)
                offset += len(line)
        table = np.array(offsets, dtype=np.int64)
        try:
            side = place.with_suffix(".part.npz")
            np.savez(side, ids=np.array(ids, dtype=np.str_), offsets=table, stamp=stamp)
            side.replace(place)
        except OSError:
            pass  # a read-only folder: the index lives in memory only
        return ids, table


def _array(text: bytes, dtype: type, where: str, column: str) -> np.ndarray:
    try:
        strict = {"strict_mode": True} if sys.version_info >= (3, 11) else {}
        raw = binascii.a2b_base64(text, **strict)
    except (binascii.Error, ValueError):
        raise InputError(f"{where}: column {column!r} is not base64 (cut short?)") from None
    size = np.dtype(dtype).itemsize
    if len(raw) % size:
        raise InputError(f"{where}: column {column!r} is cut short ({len(raw)} bytes)")
    return np.frombuffer(raw, dtype=dtype).copy()
