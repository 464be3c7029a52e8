"""Vectors in one memory-mapped file: row n belongs to the picture or object of number n.

Legend: R rows, D width; float16 on disk. Rows are written once and never moved, so readers of
older snapshots stay right while a writer appends; `NAME.json` holds width and fingerprint.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from detectors.errors import InputError

__all__ = ["LOOKS", "PICTURES", "REGIONS", "VectorFile"]

REGIONS = "regions"
"""Features of regions, as the detector gives them; row = object number."""
PICTURES = "pictures"
"""Picture vectors of the dual encoder, of unit length; row = picture number."""
LOOKS = "looks"
"""Mean region features of pictures, of unit length; row = picture number."""
_ITEM = 2


class VectorFile:
    """One matrix (R, D) that grows.

    Args:
        folder: the index.
        name: `regions` or `pictures`.
        width: D, needed to make the file.
        fingerprint: of the model that makes the vectors.

    Raises:
        InputError: the file holds vectors of another width or model.
    """

    def __init__(
        self, folder: str | Path, name: str, *, width: int | None = None, fingerprint: str = ""
    ) -> None:
        self.path = Path(folder) / f"{name}.f16"
        place = self.path.with_suffix(".json")
        if place.is_file():
            facts = json.loads(place.read_text(encoding="utf-8"))
            self.width, self.fingerprint = int(facts["width"]), str(facts["fingerprint"])
            if width not in (None, self.width) or fingerprint not in ("", self.fingerprint):
                raise InputError(
                    f"{self.path}: vectors of another model ({self.width} wide, "
                    f"{self.fingerprint[:12]}; expected {width}, {fingerprint[:12]})"
                )
            return
        if width is None:
            raise InputError(f"{self.path}: no vectors")
        self.width, self.fingerprint = width, fingerprint
        side = place.with_suffix(".writing")
        side.write_text(json.dumps({"width": width, "fingerprint": fingerprint}))
        side.replace(place)

    @classmethod
    def exists(cls, folder: str | Path, name: str) -> bool:
        """Whether the index has such vectors."""
        return (Path(folder) / f"{name}.json").is_file()

    def write(self, first: int, rows: np.ndarray) -> None:
        """Put rows (K, D) at the numbers from `first` on; written before the tables name them.

        Raises:
            InputError: the width differs, or the file cannot be written.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise InputError(f"{self.path}: expected rows {self.width} wide, got {rows.shape}")
        limit = float(np.finfo(np.float16).max)
        data = np.clip(rows, -limit, limit).astype(np.float16)
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(handle, data.tobytes(), first * self.width * _ITEM)
            finally:
                os.close(handle)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None

    def rows(self) -> np.ndarray:
        """All rows (R, D) float16, memory-mapped; numbers without a vector are zeros."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        count = size // (self.width * _ITEM)
        if count == 0:
            return np.zeros((0, self.width), dtype=np.float16)
        return np.memmap(self.path, dtype=np.float16, mode="r", shape=(count, self.width))

    def search(self, query: np.ndarray, numbers: np.ndarray, count: int) -> list[tuple[int, float]]:
        """The numbers whose rows are nearest to `query`, with cosines, best first.

        Args:
            query: (D,).
            numbers: (K,) rows that count, ascending.
            count: how many to return.
        """
        rows = self.rows()
        numbers = numbers[numbers < len(rows)]
        norm = float(np.linalg.norm(query)) or 1.0
        unit = (query / norm).astype(np.float32)
        scores = np.empty(len(numbers), dtype=np.float32)
        for start in range(0, len(numbers), 16384):
            part = rows[numbers[start : start + 16384]].astype(np.float32)
            lengths = np.linalg.norm(part, axis=1)
            scores[start : start + len(part)] = (part @ unit) / np.maximum(lengths, 1e-6)
        order = np.argsort(-scores, kind="stable")[:count]
        return [(int(numbers[place]), float(scores[place])) for place in order]
