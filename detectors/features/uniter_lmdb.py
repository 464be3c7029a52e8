"""LMDB feature databases as UNITER writes them: one value an image, never a pickle.

Layout (Chen et al. 2020, `scripts/convert_imgdir.py` and `data/data.py` of the UNITER release): an
LMDB environment `feat_th0.2_max100_min10`, `feat_numbb36` or `all`; keys are the names of `.npz`
files; `__keys__` lists them as JSON; values are MessagePack maps of arrays in the msgpack-numpy
encoding, or whole compressed `.npz` archives where the name ends in `_compressed`. Arrays, mostly
float16: `features` (N, D), `norm_bb` (N, 6: x1, y1, x2, y2, w, h in 0..1), `conf` (N), and
optionally `soft_labels` (N, classes). `nbb_th0.2_max100_min10.json` beside the folder says how many
regions of an image count. Picture sizes are not recorded, so boxes are in 0..1.
"""

from __future__ import annotations

import io
import json
import weakref
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from detectors.errors import InputError
from detectors.features.protocol import (
    FeatureDescription,
    ReaderBase,
    RegionFeatures,
    check_regions,
)

__all__ = ["UniterLmdbReader", "is_lmdb"]

_KEYS = b"__keys__"
_ZIP, _LZ4, _PICKLE = b"PK\x03\x04", b"\x04\x22\x4d\x18", b"\x80"
_LARGEST_ARRAY = 1 << 28


class _Environment:
    """An open LMDB environment; one a file and process, as LMDB demands."""

    def __init__(self, path: Path) -> None:
        try:
            import lmdb
        except ImportError:
            raise InputError(
                f"{path}: an LMDB feature file needs lmdb and msgpack: "
                "pip install 'gqa-reasoner[lmdb]'"
            ) from None
        try:
            self.handle = lmdb.open(
                str(path), readonly=True, create=False, lock=False, readahead=False,
                subdir=path.is_dir(),
            )  # fmt: skip
            self.view = self.handle.begin(buffers=True)
        except lmdb.Error as error:
            raise InputError(f"{path}: not a readable LMDB environment ({error})") from None

    def get(self, key: bytes) -> Any:
        """The value as a buffer that lives as long as this environment, or None."""
        return self.view.get(key)

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            if hasattr(self, "view"):
                self.view.abort()
            self.handle.close()


_open: weakref.WeakValueDictionary[Path, _Environment] = weakref.WeakValueDictionary()


def is_lmdb(path: Path) -> bool:
    """Whether `path` is an LMDB folder (with `data.mdb`) or file (`.mdb`, `.lmdb`)."""
    if path.is_dir():
        return (path / "data.mdb").is_file()
    return path.is_file() and path.suffix in (".mdb", ".lmdb")


class UniterLmdbReader(ReaderBase):
    """Random access by image id, which is the key without `.npz`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        place = self.path.resolve()
        environment = _open.get(place)
        if environment is None:
            environment = _open[place] = _Environment(self.path)
        self._environment: _Environment | None = environment
        self._keys = self._read_keys()
        self.positions = {}
        for row, key in enumerate(self._keys):
            image_id = key.removesuffix(".npz")
            if image_id in self.positions:
                raise InputError(f"{self.path}: duplicate image id {image_id!r}")
            self.positions[image_id] = row
        self._counts = _read_counts(self.path)

    def read(self, image_id: str) -> RegionFeatures:
        """Regions of one image, boxes in 0..1; see `FeatureReader.read`."""
        key = self._keys[self.position(image_id)]
        where = f"{self.path}: image {image_id}"
        value = None if self._environment is None else self._environment.get(key.encode())
        if value is None:
            raise InputError(f"{where}: listed in __keys__, but the database has no such key")
        arrays = _decode(bytes(value), where)
        for name in ("features", "norm_bb"):
            if name not in arrays:
                raise InputError(f"{where}: no array {name!r}, only {sorted(arrays)}")
        boxes = arrays["norm_bb"]
        if boxes.ndim != 2 or boxes.shape[1] < 4:
            raise InputError(f"{where}: norm_bb must be (regions, 4 or more), got {boxes.shape}")
        count = len(boxes)
        if self._counts is not None:
            count = self._counts.get(key, count)
        extra = {}
        for name, ours in (("conf", "scores"), ("soft_labels", "class_probabilities")):
            if name in arrays and len(arrays[name]) == len(boxes):
                extra[ours] = arrays[name][:count].astype(np.float32)
        regions = RegionFeatures(
            image_id, 1, 1, arrays["features"][:count].astype(np.float32),
            boxes[:count, :4].astype(np.float32), extra,
        )  # fmt: skip
        return check_regions(self.path, _inside(regions, where))

    def describe(self) -> FeatureDescription:
        """What the database holds; region counts from the first images."""
        some = [self.read(image_id) for image_id in self.image_ids[:20]]
        if not some:
            raise InputError(f"{self.path}: no images")
        counts = sorted({len(item.features) for item in some})
        span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
        assert self._environment is not None
        value = bytes(self._environment.get(self._keys[0].encode()))
        arrays = _decode(value, str(self.path))
        kind = "npz" if value[:4] == _ZIP else "msgpack"
        return FeatureDescription(
            "uniter-lmdb", len(self), some[0].features.shape[1], span,
            str(arrays["features"].dtype), str(self.path),
            [f"values: {kind} of {', '.join(sorted(arrays))}", "boxes in 0..1"],
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the database; it closes with its last reader."""
        self._environment = None

    def _read_keys(self) -> list[str]:
        assert self._environment is not None
        listed = self._environment.get(_KEYS)
        if listed is None:
            cursor = self._environment.view.cursor()
            return [bytes(key).decode() for key in cursor.iternext(keys=True, values=False)]
        try:
            keys = json.loads(bytes(listed))
        except ValueError as error:
            raise InputError(f"{self.path}: __keys__ is not JSON ({error})") from None
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InputError(f"{self.path}: __keys__ must be a list of names")
        return keys


def _inside(regions: RegionFeatures, where: str) -> RegionFeatures:
    """Refuse boxes that are not in 0..1 (half precision rounds by less than 0.001)."""
    if len(regions.boxes) and np.isfinite(regions.boxes).all():
        low, high = float(regions.boxes.min()), float(regions.boxes.max())
        if low < -0.01 or high > 1.01:
            raise InputError(f"{where}: norm_bb must be in 0..1, got {low:.3g} to {high:.3g}")
    return regions


def _read_counts(path: Path) -> dict[str, int] | None:
    """Regions that count of each image, from the `nbb_*.json` beside the database."""
    name = path.name.removesuffix("_compressed")
    file = path.parent / f"nbb_{name.removeprefix('feat_')}.json"
    if not name.startswith("feat_th") or not file.is_file():
        return None
    try:
        counts = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error})") from None
    if not isinstance(counts, dict) or not all(isinstance(n, int) for n in counts.values()):
        raise InputError(f"{file}: expected a number of regions by image")
    return counts


def _decode(value: bytes, where: str) -> dict[str, np.ndarray]:
    if value[:4] == _LZ4:
        value = _decompress(value, where)
    if value[:4] == _ZIP:
        try:
            with np.load(io.BytesIO(value), allow_pickle=False) as saved:
                return {name: saved[name] for name in saved.files}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
            raise InputError(f"{where}: not a readable .npz ({error})") from None
    if value[:1] == _PICKLE:
        raise InputError(f"{where}: the value is a pickle, which is never read")
    import msgpack

    try:
        record = msgpack.unpackb(value, raw=False)
    except Exception as error:  # msgpack raises its own errors, ValueError and UnicodeDecodeError
        raise InputError(f"{where}: not MessagePack (cut short?): {error}") from None
    if not isinstance(record, Mapping):
        raise InputError(f"{where}: expected a map of arrays, got {type(record).__name__}")
    return {str(name): _array(item, f"{where}: {name}") for name, item in record.items()}


def _array(item: Any, where: str) -> np.ndarray:
    """An array in the msgpack-numpy encoding: a map of nd, type, kind, shape and data."""
    fields = {}
    if isinstance(item, Mapping):
        fields = {key.decode() if isinstance(key, bytes) else key: item[key] for key in item}
    if not fields.get("nd") or not isinstance(fields.get("data"), bytes):
        raise InputError(f"{where}: expected an array, got {type(item).__name__}")
    try:
        kind = np.dtype(fields["type"])
        shape = tuple(int(side) for side in fields["shape"])
        if kind.kind not in "fiub":
            raise InputError(f"{where}: expected numbers, got {fields['type']!r}")
        if np.prod(shape, dtype=np.int64) > _LARGEST_ARRAY or min(shape, default=0) < 0:
            raise InputError(f"{where}: an array of shape {shape} is not possible")
        return np.frombuffer(fields["data"], dtype=kind).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: data, type and shape do not fit ({error})") from None


def _decompress(value: bytes, where: str) -> bytes:
    try:
        from lz4 import frame
    except ImportError:
        raise InputError(f"{where}: the value is LZ4-compressed; pip install lz4") from None
    try:
        return bytes(frame.decompress(value))
    except RuntimeError as error:
        raise InputError(f"{where}: not readable LZ4 ({error})") from None
