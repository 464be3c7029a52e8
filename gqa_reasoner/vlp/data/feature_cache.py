"""Features of a frozen tower, kept as one memory-mapped float16 array.

A folder with `features.npy` (N, R * C, F), `done.npy` (N,) and `index.json` (names, tower
fingerprint, problems). Pictures are marked done only after their features are on disk, so a killed
build resumes where it stopped. With `flip`, the mirrored picture of `name` is row `name + "#flip"`.

N: rows, R C: grid of the tower, F: its width, B: rows asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.tower import ImageTower

__all__ = ["FLIP", "FeatureCache", "picture_tensor", "write_cache"]

FLIP = "#flip"
"""Ending of the row of a mirrored picture."""
_Progress = Callable[[Sequence[int]], Iterator[int]]


def picture_tensor(image: PIL.Image.Image, size: int) -> Tensor:
    """A picture as (3, size, size) uint8, resized without crop (bilinear)."""
    if image.size != (size, size):
        image = image.resize((size, size), PIL.Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)


class FeatureCache:
    """Features of pictures by name; opened read-only."""

    def __init__(self, path: Path, index: dict[str, Any]) -> None:
        self.path = path
        self.fingerprint: str = index["fingerprint"]
        self.tower: str = index["tower"]
        self.grid: tuple[int, int] = tuple(index["grid"])
        self.failures: list[dict[str, str]] = index.get("failures", [])
        self.features = np.load(path / "features.npy", mmap_mode="r")
        done = np.load(path / "done.npy")
        rows = [(name, row) for row, name in enumerate(index["names"]) if done[row] == 1]
        self._rows: dict[str, int] = dict(rows)

    @property
    def width(self) -> int:
        """F."""
        return int(self.features.shape[2])

    @property
    def cells(self) -> int:
        """R * C."""
        return int(self.features.shape[1])

    def names(self) -> list[str]:
        """Names that have features, mirrored ones included, in the order of the build."""
        return list(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def rows(self, names: Sequence[str]) -> Tensor:
        """Features (B, R * C, F) float32 of the named pictures.

        Raises:
            InputError: a name without features.
        """
        return torch.from_numpy(self.array(names).astype(np.float32))

    def array(self, names: Sequence[str]) -> np.ndarray:
        """As `rows`, in the stored float16."""
        try:
            wanted = np.array([self._rows[name] for name in names], dtype=np.int64)
        except KeyError as error:
            raise InputError(f"{self.path}: {error.args[0]}: no features for it") from error
        order = np.argsort(wanted, kind="stable")
        result = np.empty((len(wanted), *self.features.shape[1:]), dtype=self.features.dtype)
        result[order] = self.features[wanted[order]]
        return result

    @classmethod
    def open(cls, path: str | Path, fingerprint: str | None = None) -> FeatureCache:
        """Open a cache.

        Args:
            path: its folder.
            fingerprint: the tower that the features must come from.

        Raises:
            InputError: not a cache, or one of another tower.
        """
        index = _read_index(Path(path))
        if fingerprint is not None and index["fingerprint"] != fingerprint:
            raise InputError(
                f"{path}: features of tower {index['fingerprint']}, expected {fingerprint}; "
                "build the cache anew"
            )
        return cls(Path(path), index)

    @classmethod
    def build(
        cls,
        path: str | Path,
        source: PictureSource,
        names: Sequence[str],
        tower: ImageTower,
        *,
        batch_size: int = 32,
        flip: bool | Sequence[str] = False,
        progress: _Progress | None = None,
    ) -> FeatureCache:
        """Compute what is not there yet, then open the cache.

        Args:
            path: folder of the cache.
            source: where the pictures are.
            names: pictures to do; the same list again after a kill.
            tower: frozen tower.
            batch_size: pictures at once.
            flip: True adds a mirrored row for every picture, a list for those in it.
            progress: wraps the batch starts, e.g. with tqdm.

        Raises:
            InputError: names that are not in the source; a folder of another tower or of
                other names. Damaged pictures are listed in `failures`, not raised.
        """
        path = Path(path)
        absent = source.missing(names)
        if absent:
            shown = ", ".join(absent[:3])
            raise InputError(f"{source.path}: {len(absent)} pictures are not there: {shown}")
        flipped = list(names) if flip is True else list(flip or [])
        every = [*names, *(name + FLIP for name in flipped)]
        index = _prepare(path, every, tower)
        features = np.load(path / "features.npy", mmap_mode="r+")
        done = np.load(path / "done.npy", mmap_mode="r+")
        todo = np.flatnonzero(done == 0)
        starts = range(0, len(todo), batch_size)
        for start in progress(starts) if progress is not None else starts:
            rows = todo[start : start + batch_size]
            good, pictures = [], []
            for row in rows.tolist():
                name = every[row]
                try:
                    pictures.append(_read(source, name, tower.image_size))
                    good.append(row)
                except InputError as error:
                    index["failures"].append({"image": name, "reason": str(error)})
                    _write_json(path / "index.json", index)
                    done[row] = 2
            if good:
                with torch.inference_mode():
                    values = tower(torch.stack(pictures))
                features[good] = values.numpy().astype(np.float16)
                features.flush()
                done[good] = 1
            done.flush()
        return cls.open(path, tower.fingerprint)


def write_cache(
    path: str | Path,
    parts: Iterable[tuple[Sequence[str], Tensor]],
    *,
    shape: tuple[int, int, int],
    grid: tuple[int, int],
    tower: str,
    fingerprint: str,
) -> FeatureCache:
    """Write features that are already computed.

    Args:
        path: folder of the cache.
        parts: names and their features (B, R * C, F), in all N rows.
        shape: (N, R * C, F).
        grid: R, C.
        tower: its name.
        fingerprint: its fingerprint.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    whole = path / f"features.{os.getpid()}.part"
    features = np.lib.format.open_memmap(whole, mode="w+", dtype=np.float16, shape=shape)
    names: list[str] = []
    for part, values in parts:
        features[len(names) : len(names) + len(part)] = values.numpy().astype(np.float16)
        names += part
    features.flush()
    whole.replace(path / "features.npy")  # a cache that is open elsewhere keeps the old file
    np.save(path / "done.npy", np.ones(shape[0], dtype=np.uint8))
    index = {"fingerprint": fingerprint, "tower": tower, "grid": list(grid), "names": names}
    _write_json(path / "index.json", {**index, "failures": []})
    return FeatureCache.open(path, fingerprint)


def _read(source: PictureSource, name: str, size: int) -> Tensor:
    pixels = picture_tensor(source.read(name.removesuffix(FLIP)), size)
    return pixels.flip(2) if name.endswith(FLIP) else pixels


def _prepare(path: Path, names: list[str], tower: ImageTower) -> dict[str, Any]:
    """The index of a new cache, or that of an unfinished one for the same pictures and tower."""
    if (path / "index.json").is_file():
        index = _read_index(path)
        if index["fingerprint"] != tower.fingerprint:
            raise InputError(
                f"{path}: holds features of tower {index['fingerprint']}, not {tower.fingerprint}; "
                "choose another folder"
            )
        if index["names"] != names:
            raise InputError(
                f"{path}: was begun for {len(index['names'])} other pictures; "
                "give the same list, or choose another folder"
            )
        return index
    path.mkdir(parents=True, exist_ok=True)
    cells = tower.grid[0] * tower.grid[1]
    shape = (len(names), cells, tower.width)
    open_memmap = np.lib.format.open_memmap
    open_memmap(path / "features.npy", mode="w+", dtype=np.float16, shape=shape).flush()
    open_memmap(path / "done.npy", mode="w+", dtype=np.uint8, shape=(len(names),)).flush()
    index = {
        "fingerprint": tower.fingerprint,
        "tower": tower.name,
        "grid": list(tower.grid),
        "names": names,
        "failures": [],
    }
    _write_json(path / "index.json", index)
    return index


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads((path / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no feature cache there (index.json is missing)") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: index.json: not JSON ({error})") from error
    missing = {"fingerprint", "tower", "grid", "names"} - set(index)
    if missing:
        raise InputError(f"{path}: index.json: fields missing: {sorted(missing)}")
    return index


def _write_json(path: Path, value: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value), encoding="utf-8")
    part.replace(path)
