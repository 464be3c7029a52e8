"""Encoded questions and scenes on disk: ragged arrays laid end to end, read back as views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.model.encode import GEOMETRY, Bags, EncodedQuestion, EncodedScene

__all__ = ["Example", "Shard", "ShardReader", "read_shard", "write_shard"]

_QUESTION_ROWS = ("kind", "position", "edges", "edge_weight", "pointed", "executed",
                  "executed_share", "signals")  # fmt: skip


class Example(NamedTuple):
    """One training question; `scene` is a position in the shard's scenes."""

    question: EncodedQuestion
    scene: int
    answer: int
    """Answer id, -1 outside the vocabulary."""
    type: int
    """Question type id, -1 when unknown."""
    question_id: str = ""
    held_out: int = 0
    """1 where the picture is kept from the trunk."""
    balanced: int = 1
    """1 where the question belongs to the balanced ones, or the record does not say."""


class Shard(NamedTuple):
    """Scenes and the questions about them."""

    scenes: list[EncodedScene]
    examples: list[Example]


def write_shard(path: Path, shard: Shard) -> None:
    """Write one shard, atomically."""
    arrays: dict[str, np.ndarray] = {}
    scenes, examples = shard
    questions = [example.question for example in examples]
    for name in ("first", "second"):
        _put_bags(arrays, f"scene.{name}", [getattr(scene, name) for scene in scenes])
        _put_bags(arrays, f"question.{name}", [getattr(item, name) for item in questions])
    _put(arrays, "scene.geometry", [scene.geometry.ravel() for scene in scenes])
    blank = np.zeros(0, dtype=np.float16)
    sized = [scene.features for scene in scenes if scene.features is not None]
    _put(
        arrays,
        "scene.features",
        [blank if scene.features is None else scene.features.ravel() for scene in scenes],
    )
    arrays["scene.feature_size"] = np.asarray(sized[0].shape[1] if sized else 0)
    arrays["scene.familiar"] = np.asarray([scene.familiar for scene in scenes], dtype=bool)
    for prefix, parts in (("scene", scenes), ("question", questions)):
        _put(arrays, f"{prefix}.edges", [part.edges.ravel() for part in parts])  # type: ignore[attr-defined]
        _put(arrays, f"{prefix}.edge_weight", [part.edge_weight for part in parts])  # type: ignore[attr-defined]
    for name in _QUESTION_ROWS:
        if name not in ("edges", "edge_weight"):
            _put(arrays, f"question.{name}", [getattr(item, name) for item in questions])
    arrays["question.last_step"] = np.asarray([q.last_step for q in questions], dtype=np.int32)
    for name in ("scene", "answer", "type", "held_out", "balanced"):
        values = [getattr(example, name) for example in examples]
        arrays[f"example.{name}"] = np.asarray(values, dtype=np.int32)
    ids = [example.question_id for example in examples]
    arrays["example.question_id"] = np.asarray(ids, dtype=np.str_)
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(path.name + ".part")
    with side.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    side.replace(path)


def read_shard(path: Path) -> Shard:
    """Read one shard.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        reader = ShardReader(arrays)
        return Shard(
            [reader.scene(place) for place in range(reader.scene_count)],
            [reader.example(place) for place in range(reader.example_count)],
        )
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise InputError(f"{path}: not a readable shard of encoded questions: {error}") from None


class ShardReader:
    """Scenes and examples of one shard's arrays, each decoded when it is asked for.

    Raises:
        KeyError: an array is missing.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.feature_size = int(arrays["scene.feature_size"])
        self._ends: dict[str, np.ndarray] = {}
        self.example_count = len(arrays["example.scene"])
        self.scene_count = len(arrays["scene.familiar"])

    def column(self, name: str) -> np.ndarray:
        """(N,) a number of every example: `answer`, `type`, `scene`, `held_out` or `balanced`."""
        if name == "balanced" and "example.balanced" not in self.arrays:  # older shards lack it
            return np.ones(self.example_count, dtype=np.int32)
        return self.arrays[f"example.{name}"]

    def text_lengths(self) -> np.ndarray:
        """(N,) text tokens of every example."""
        return self.arrays["question.kind.length"]

    def scene(self, place: int) -> EncodedScene:
        """One scene."""
        size, features = self.feature_size, self._row("scene.features", place)
        return EncodedScene(
            self._bags("scene.first", place),
            self._bags("scene.second", place),
            self._row("scene.geometry", place).reshape(-1, GEOMETRY),
            features.reshape(-1, size) if size and len(features) else None,
            self._row("scene.edges", place).reshape(3, -1),
            self._row("scene.edge_weight", place),
            bool(self.arrays["scene.familiar"][place]),
        )

    def example(self, place: int) -> Example:
        """One question."""
        row = {name: self._row(f"question.{name}", place) for name in _QUESTION_ROWS}
        question = EncodedQuestion(
            first=self._bags("question.first", place),
            second=self._bags("question.second", place),
            last_step=int(self.arrays["question.last_step"][place]),
            **{**row, "edges": row["edges"].reshape(3, -1)},
        )
        names = ("scene", "answer", "type", "held_out", "balanced")
        numbers = {name: int(self.column(name)[place]) for name in names}
        return Example(
            question, question_id=str(self.arrays["example.question_id"][place]), **numbers
        )

    def _row(self, name: str, place: int) -> np.ndarray:
        if name not in self._ends:
            self._ends[name] = np.cumsum(self.arrays[f"{name}.length"])
        ends = self._ends[name]
        return self.arrays[name][ends[place - 1] if place else 0 : ends[place]]

    def _bags(self, name: str, place: int) -> Bags:
        return Bags(*(self._row(f"{name}.{field}", place) for field in Bags._fields))


def _put(arrays: dict[str, np.ndarray], name: str, rows: Sequence[np.ndarray]) -> None:
    arrays[name] = np.concatenate(rows) if rows else np.zeros(0, dtype=np.float16)
    arrays[f"{name}.length"] = np.asarray([len(row) for row in rows], dtype=np.int32)


def _put_bags(arrays: dict[str, np.ndarray], name: str, rows: Sequence[Bags]) -> None:
    for field in Bags._fields:
        _put(arrays, f"{name}.{field}", [getattr(row, field) for row in rows])
