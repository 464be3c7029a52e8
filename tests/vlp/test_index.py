from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval.index import IndexWriter, VectorIndex


def write(path: Path, rows: int = 5, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
    with IndexWriter(path, "model-a", 4, {"kind": "pictures"}) as writer:
        writer.append(vectors, [{"name": f"é{row}\n.jpg", "bytes": row} for row in range(rows)])
    return vectors


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    vectors = write(tmp_path)
    index = VectorIndex.open(tmp_path, "model-a")
    assert np.array_equal(index.vectors, vectors)
    assert index.metadata(3) == {"name": "é3\n.jpg", "bytes": 3}
    assert index.information == {"kind": "pictures"}
    hit = index.hits(vectors[2] * 10, 2)[0][0]
    assert hit.name == index.names()[hit.row]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=5), st.integers(0, 2**16))
def test_appending_in_parts_gives_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int], seed: int
) -> None:
    path = tmp_path_factory.mktemp("index")
    vectors = np.random.default_rng(seed).normal(size=(sum(parts), 3)).astype(np.float32)
    start = 0
    for part in parts:
        with IndexWriter(path, "m", 3) as writer:
            rows = range(start, start + part)
            writer.append(vectors[start : start + part], [{"name": str(row)} for row in rows])
        start += part
    if parts:
        index = VectorIndex.open(path)
        assert np.array_equal(index.vectors, vectors)
        assert index.names() == [str(row) for row in range(len(vectors))]


def test_another_model_is_refused_when_reading_and_writing(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match=r"model-a.*model-b"):
        VectorIndex.open(tmp_path, "model-b")
    with pytest.raises(InputError, match="model-b"):
        IndexWriter(tmp_path, "model-b", 4)
    with pytest.raises(InputError, match="width"):
        IndexWriter(tmp_path, "model-a", 5)
    IndexWriter(tmp_path, "model-a", 4).close()  # the refusals let go of the lock


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, "m", 4), pytest.raises(InputError, match="another run"):
        IndexWriter(tmp_path, "m", 4)


def test_half_written_rows_are_cut_off(tmp_path: Path) -> None:
    vectors = write(tmp_path)
    with (tmp_path / "vectors.f32.0").open("ab") as stream:
        stream.write(b"\x00" * 21)
    with (tmp_path / "rows.jsonl.0").open("ab") as stream:
        stream.write(b'{"name": "half')
    with IndexWriter(tmp_path, "model-a", 4) as writer:
        writer.append(vectors[:1], [{"name": "next"}])
    index = VectorIndex.open(tmp_path)
    assert np.array_equal(index.vectors, np.concatenate((vectors, vectors[:1])))
    assert index.metadata(5) == {"name": "next"}


def test_a_killed_writer_loses_only_its_last_rows(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from gqa_reasoner.vlp.retrieval.index import IndexWriter\n"
        "writer = IndexWriter(sys.argv[1], 'm', 8)\n"
        "for row in range(10**9):\n"
        "    writer.append(np.full((1, 8), row), [{'name': str(row)}])\n"
        "    print(row, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    seen = -1
    for line in process.stdout:
        seen = int(line)
        if seen >= 20:
            break
    process.kill()
    process.wait()
    index = VectorIndex.open(tmp_path, "m")
    assert len(index) > seen
    assert np.array_equal(index.vectors[:, 0], np.arange(len(index)))
    assert index.names() == [str(row) for row in range(len(index))]
    with IndexWriter(tmp_path, "m", 8) as writer:
        writer.append(np.zeros((1, 8)), [{"name": "after"}])
    assert VectorIndex.open(tmp_path).names()[-1] == "after"


def test_removed_rows_are_gone_and_open_indexes_stay_whole(tmp_path: Path) -> None:
    vectors = write(tmp_path, 9000)
    old = VectorIndex.open(tmp_path)
    with IndexWriter(tmp_path, "model-a", 4) as writer:
        writer.keep(range(1, 9000, 2))
    new = VectorIndex.open(tmp_path)
    assert np.array_equal(new.vectors, vectors[1::2])
    assert new.metadata(1)["bytes"] == 3
    assert np.array_equal(old.vectors, vectors)


def test_bad_rows_are_refused(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, "m", 2) as writer:
        with pytest.raises(InputError, match="NaN"):
            writer.append(np.array([[0, np.nan]]), [{"name": "a"}])
        with pytest.raises(InputError, match="expected"):
            writer.append(np.zeros((1, 3)), [{"name": "a"}])
        with pytest.raises(InputError, match="name"):
            writer.append(np.zeros((1, 2)), [{"file": "a"}])
    assert len(VectorIndex.open(tmp_path)) == 0


def test_what_is_not_an_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no vector index"):
        VectorIndex.open(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        VectorIndex.open(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match="not a vector index"):
        VectorIndex.open(tmp_path)
    write(tmp_path / "whole")
    (tmp_path / "whole" / "vectors.f32.0").write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        VectorIndex.open(tmp_path / "whole")


def test_opens_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    vectors = np.zeros((200_000, 4), dtype=np.float32)
    with IndexWriter(tmp_path, "m", 4) as writer:
        writer.append(vectors, [{"name": "x"}] * len(vectors))
    start = time.perf_counter()
    assert len(VectorIndex.open(tmp_path)) == 200_000
    assert time.perf_counter() - start < 0.1
