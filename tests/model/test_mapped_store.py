"""Encoded questions read from disk, and the order in which a run sees them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from detectors.errors import InputError
from gqa_reasoner.model.encode import encode_scene
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.training.encoded_store import read_shard, write_shard
from gqa_reasoner.training.example_order import batches_from
from gqa_reasoner.training.mapped_store import ExampleIndex, MappedShards, map_arrays
from gqa_reasoner.training.question_spool import QuestionSpool
from tests.model.test_reasoner_training import CONFIG, curve, data, run, world_tools  # noqa: F401
from tests.model.worlds import color_question, scene_of


@pytest.fixture
def shards(data: Path, tmp_path: Path) -> list[Path]:  # noqa: F811
    run(data, tmp_path / "run", prepare_only=True)
    paths = sorted((tmp_path / "run" / "cache" / "encoded").glob("*.npz"))
    first = read_shard(paths[0])
    dense = scene_of(5)
    first.scenes.append(encode_scene(dense, ReasonerVocabulary(("red", "dog")), None))
    write_shard(paths[0], first)
    return paths


def same(left: object, right: object) -> bool:
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(np.array_equal(left, right))  # type: ignore[arg-type]


def test_mapped_shards_hold_what_was_written(shards: list[Path]) -> None:
    mapped = MappedShards(shards, most_open=1)
    whole = [read_shard(path) for path in shards]
    scenes = [scene for shard in whole for scene in shard.scenes]
    assert len(mapped.scenes) == mapped.scene_count == len(scenes) == 13
    assert all(same(a, b) for a, b in zip(mapped.scenes, scenes, strict=True))
    assert mapped.scenes[3].features.shape == (4, 6)  # the dense one
    assert same(mapped.scenes[-2:][0], scenes[-2])
    place = 0
    for number, shard in enumerate(whole):
        for example in shard.examples:
            found = mapped.example(place)
            assert same(found.question, example.question)
            assert same(mapped.scene(found.scene), shard.scenes[example.scene])
            assert found[2:] == example[2:]
            row = ExampleIndex(*(column[place] for column in mapped.index))
            assert (row.shard, row.answer, row.length) == (
                number, example.answer, len(example.question.kind),
            )  # fmt: skip
            assert (row.held_out, row.balanced) == (example.held_out, example.balanced)
            place += 1
    assert place == len(mapped.index.shard)
    assert len(mapped._open) == 1


def test_chosen_examples_are_decoded_when_looked_up(shards: list[Path]) -> None:
    mapped = MappedShards(shards)
    kept = mapped.examples(mapped.index.held_out)
    assert len(kept) == mapped.index.held_out.sum() > 0
    assert all(example.held_out for example in kept)
    assert [e.question_id for e in kept[1::2]] == [e.question_id for e in list(kept)[1::2]]


def test_arrays_are_views_of_the_file(shards: list[Path]) -> None:
    arrays = map_arrays(shards[0])
    with np.load(shards[0]) as loaded:
        assert set(arrays) == set(loaded.files)
        assert all(np.array_equal(arrays[name], loaded[name]) for name in arrays)
    assert not any(array.flags.owndata or array.flags.writeable for array in arrays.values())


def test_damaged_and_compressed_shards_are_named(shards: list[Path], tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "small.npz", values=np.zeros(3))
    with pytest.raises(InputError, match=r"values\.npy is compressed"):
        MappedShards([tmp_path / "small.npz"])
    shards[1].write_bytes(shards[1].read_bytes()[:200])
    with pytest.raises(InputError, match=f"{shards[1]}: not a readable shard"):
        MappedShards(shards)


INDEX = ExampleIndex(
    np.repeat(np.arange(6, dtype=np.int32), 10), np.zeros(60, dtype=np.int32),
    np.zeros(60, dtype=bool), np.ones(60, dtype=bool), np.arange(60, dtype=np.int32) % 7,
)  # fmt: skip


def order(count: int, *, skip: int = 0, seed: int = 0, window: int = 2, phase: int = 0) -> list:
    batches = batches_from(
        INDEX, np.arange(60), size=5, seed=seed, phase=phase, window=window, skip=skip
    )
    return [batch.tolist() for batch in islice(batches, count)]


@pytest.mark.parametrize("window", [0, 2, 4])
def test_the_order_goes_on_where_it_stopped(window: int) -> None:
    whole = order(40, window=window)
    for skip in (1, 5, 12, 13, 31):
        assert order(40 - skip, skip=skip, window=window) == whole[skip:]
    assert order(40, seed=1, window=window) != whole != order(40, phase=1, window=window)
    for epoch in range(3):
        seen = [place for batch in whole[12 * epoch : 12 * epoch + 12] for place in batch]
        assert sorted(seen) == list(range(60))
    assert whole[:12] != whole[12:24]


def test_a_window_reads_from_few_shards() -> None:
    batches = order(24)
    for start in range(0, 24, 4):  # a window has 20 questions
        shards = {int(INDEX.shard[p]) for batch in batches[start : start + 4] for p in batch}
        assert len(shards) == 2


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="no examples"):
        next(batches_from(INDEX, np.arange(0), size=2, seed=0, phase=0, window=0, skip=0))


def test_a_streamed_run_resumes_exactly(data: Path, tmp_path: Path) -> None:  # noqa: F811
    config = replace(CONFIG, shuffle_shards=2, steps=12)
    run(data, tmp_path / "a", config=config)
    run(data, tmp_path / "b", config=config, stop_after=8)
    run(data, tmp_path / "b", config=config, resume=True)
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    with pytest.raises(InputError, match="shuffle_shards"):
        replace(CONFIG, shuffle_shards=-1)


def test_questions_are_read_back_by_picture(tmp_path: Path) -> None:
    scenes = [scene_of(seed) for seed in range(3)]
    asked = [color_question(s, n, f"{s.image_id}-{n}") for n in range(3) for s in scenes]
    asked[4].extra = {"otherAnswers": ["röt"]}
    spool = QuestionSpool(iter(asked), tmp_path / "cache")
    assert list(spool) == ["0", "1", "2"] and len(spool) == 3
    assert "1" in spool and "7" not in spool
    assert spool["1"] == [question for question in asked if question.image_id == "1"]
    assert not list((tmp_path / "cache").iterdir())  # the file has no name
    with pytest.raises(KeyError):
        spool["7"]
