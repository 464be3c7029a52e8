"""Shards of encoded questions read where they lie on disk: only what is asked for is in memory.

The shards of `encoded_store` are archives whose arrays lie uncompressed behind one another; each
array is viewed through a memory map. Examples and scenes are decoded when they are looked up, so
that a run holds an index of about 20 bytes a question and the pages that the system keeps.
"""

from __future__ import annotations

import mmap
import struct
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.model.encode import EncodedScene
from gqa_reasoner.training.encoded_store import Example, ShardReader

__all__ = ["ExampleIndex", "MappedExamples", "MappedScenes", "MappedShards", "map_arrays"]

OPEN_SHARDS = 256
"""Shards whose maps are kept open."""
_LOCAL_HEADER = 30


class ExampleIndex(NamedTuple):
    """What is known of every example without decoding it, in the order of the shards."""

    shard: np.ndarray
    """(N,) int32 number of its shard."""
    answer: np.ndarray
    """(N,) int32, -1 outside the vocabulary."""
    held_out: np.ndarray
    """(N,) bool."""
    balanced: np.ndarray
    """(N,) bool."""
    length: np.ndarray
    """(N,) int32 text tokens."""


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed `.npz` as read-only views of the file.

    Raises:
        OSError, ValueError, BadZipFile: missing, damaged or compressed.
    """
    with path.open("rb") as stream, ZipFile(stream) as archive:
        members = archive.infolist()
        view = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        arrays: dict[str, np.ndarray] = {}
        for member in members:
            if member.compress_type != ZIP_STORED:
                raise ValueError(f"{member.filename} is compressed")
            names = struct.unpack_from("<HH", view, member.header_offset + 26)
            stream.seek(member.header_offset + _LOCAL_HEADER + sum(names))
            version = np.lib.format.read_magic(stream)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, kind = read(stream)
            name = member.filename.removesuffix(".npy")
            arrays[name] = np.ndarray(shape, kind, buffer=view, offset=stream.tell())
    return arrays


class MappedShards:
    """Many shards as one sequence of examples and one of scenes.

    Raises:
        InputError: a shard is missing or damaged.
    """

    def __init__(self, paths: Sequence[Path], *, most_open: int = OPEN_SHARDS) -> None:
        self.paths, self.most_open = list(paths), max(1, most_open)
        self._open: OrderedDict[int, ShardReader] = OrderedDict()
        columns: list[list[np.ndarray]] = [[] for _ in ExampleIndex._fields]
        scenes, examples = [0], [0]
        for number in range(len(self.paths)):
            reader = self._reader(number)
            held_out, balanced = reader.column("held_out"), reader.column("balanced")
            parts = (
                np.full(len(held_out), number, dtype=np.int32), reader.column("answer").copy(),
                held_out.astype(bool), balanced.astype(bool), reader.text_lengths().copy(),
            )  # fmt: skip
            for column, part in zip(columns, parts, strict=True):
                column.append(part)
            scenes.append(scenes[-1] + reader.scene_count)
            examples.append(examples[-1] + len(held_out))
        joined = [np.concatenate(c) if c else np.zeros(0, dtype=np.int32) for c in columns]
        self.index = ExampleIndex(*joined)
        self._first_scene, self._first_example = np.asarray(scenes), np.asarray(examples)
        self.scenes = MappedScenes(self)

    def examples(self, chosen: np.ndarray) -> MappedExamples:
        """The examples where `chosen` (N,) of the index is true."""
        return MappedExamples(self, np.flatnonzero(chosen))

    def example(self, place: int) -> Example:
        """The example at `place` of the index; its scene counts through all shards."""
        number = int(self.index.shard[place])
        found = self._reader(number).example(place - int(self._first_example[number]))
        return found._replace(scene=found.scene + int(self._first_scene[number]))

    def scene(self, place: int) -> EncodedScene:
        """The scene that examples call `place`."""
        number = int(np.searchsorted(self._first_scene, place, side="right")) - 1
        return self._reader(number).scene(place - int(self._first_scene[number]))

    @property
    def scene_count(self) -> int:
        """Scenes in all shards."""
        return int(self._first_scene[-1])

    def _reader(self, number: int) -> ShardReader:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        path = self.paths[number]
        try:
            reader = ShardReader(map_arrays(path))
        except (OSError, ValueError, KeyError, BadZipFile, struct.error) as error:
            raise InputError(
                f"{path}: not a readable shard of encoded questions: {error}"
            ) from None
        self._open[number] = reader
        if len(self._open) > self.most_open:
            self._open.popitem(last=False)
        return reader


class MappedExamples(Sequence[Example]):
    """Some examples, each decoded when it is looked up; a slice of them is lazy as well.

    Args:
        places: (K,) in the index of `shards`.
    """

    def __init__(self, shards: MappedShards, places: np.ndarray) -> None:
        self.shards, self.places = shards, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return MappedExamples(self.shards, self.places[place])
        return self.shards.example(int(self.places[place]))


class MappedScenes(Sequence[EncodedScene]):
    """The scenes of all shards, each decoded when it is looked up."""

    def __init__(self, shards: MappedShards) -> None:
        self.shards = shards

    def __len__(self) -> int:
        return self.shards.scene_count

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        return self.shards.scene(range(len(self))[place])
