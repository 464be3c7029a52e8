"""Encoded questions and scenes on disk: ragged arrays laid end to end, read back as views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.model.encode import GEOMETRY, Bags, EncodedQuestion, EncodedScene

__all__ = ["Example", "Shard", "read_shard", "write_shard"]


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
    for name in ("kind", "position", "pointed", "executed", "executed_share", "signals"):
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
        return _shard(arrays)
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise InputError(f"{path}: not a readable shard of encoded questions: {error}") from None


def _shard(arrays: dict[str, np.ndarray]) -> Shard:
    size = int(arrays["scene.feature_size"])
    scenes = [
        EncodedScene(
            first, second, geometry.reshape(-1, GEOMETRY),
            features.reshape(-1, size) if size and len(features) else None,
            edges.reshape(3, -1), weight, bool(familiar),
        )
        for first, second, geometry, features, edges, weight, familiar in zip(
            _get_bags(arrays, "scene.first"), _get_bags(arrays, "scene.second"),
            _get(arrays, "scene.geometry"), _get(arrays, "scene.features"),
            _get(arrays, "scene.edges"), _get(arrays, "scene.edge_weight"),
            arrays["scene.familiar"], strict=True,
        )
    ]  # fmt: skip
    columns = [
        _get(arrays, f"question.{name}")
        for name in ("kind", "position", "edges", "edge_weight", "pointed", "executed",
                     "executed_share", "signals")
    ]  # fmt: skip
    questions = [
        EncodedQuestion(
            kind, position, first, second, edges.reshape(3, -1), weight, int(last), pointed,
            executed, share, signals,
        )
        for kind, position, edges, weight, pointed, executed, share, signals, first, second, last
        in zip(*columns, _get_bags(arrays, "question.first"),
               _get_bags(arrays, "question.second"), arrays["question.last_step"], strict=True)
    ]  # fmt: skip
    held_out = arrays["example.held_out"]
    balanced = arrays.get("example.balanced", np.ones_like(held_out))  # older shards lack it
    examples = [
        Example(question, int(scene), int(answer), int(kind), str(name), int(held), int(even))
        for question, scene, answer, kind, name, held, even in zip(
            questions, arrays["example.scene"], arrays["example.answer"], arrays["example.type"],
            arrays["example.question_id"], held_out, balanced, strict=True,
        )
    ]  # fmt: skip
    return Shard(scenes, examples)


def _put(arrays: dict[str, np.ndarray], name: str, rows: Sequence[np.ndarray]) -> None:
    arrays[name] = np.concatenate(rows) if rows else np.zeros(0, dtype=np.float16)
    arrays[f"{name}.length"] = np.asarray([len(row) for row in rows], dtype=np.int32)


def _get(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    ends = np.cumsum(arrays[f"{name}.length"])
    return np.split(arrays[name], ends[:-1]) if len(ends) else []


def _put_bags(arrays: dict[str, np.ndarray], name: str, rows: Sequence[Bags]) -> None:
    for field in Bags._fields:
        _put(arrays, f"{name}.{field}", [getattr(row, field) for row in rows])


def _get_bags(arrays: dict[str, np.ndarray], name: str) -> list[Bags]:
    columns = [_get(arrays, f"{name}.{field}") for field in Bags._fields]
    return [Bags(*row) for row in zip(*columns, strict=True)]
