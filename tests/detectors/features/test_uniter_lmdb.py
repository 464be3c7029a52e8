"""LMDB databases as UNITER writes them read back, and break with one clear line."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.errors import InputError
from detectors.features.opening import compare_features, open_features
from detectors.features.own_h5 import write_region_file
from detectors.features.protocol import RegionFeatures
from detectors.features.uniter_lmdb import UniterLmdbReader
from gqa_reasoner.cli import main
from tests.detectors.features.test_feature_files import SIZE, make

lmdb = pytest.importorskip("lmdb", reason="lmdb is not installed (extra `lmdb`)")
msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed (extra `lmdb`)")


def encode(array: np.ndarray) -> dict[bytes, Any]:
    """One array as msgpack-numpy writes it."""
    return {
        b"nd": True,
        b"type": array.dtype.str,
        b"kind": b"",
        b"shape": array.shape,
        b"data": array.tobytes(),
    }


def arrays_of(item: RegionFeatures) -> dict[str, np.ndarray]:
    sides = (item.boxes[:, 2:] - item.boxes[:, :2]) / 200
    return {
        "features": item.features.astype(np.float16),
        "norm_bb": np.concatenate([item.boxes / 200, sides], axis=1).astype(np.float16),
        "conf": np.linspace(0.9, 0.2, len(item.boxes)).astype(np.float16),
        "soft_labels": np.ones((len(item.boxes), 3), dtype=np.float16),
    }


def as_msgpack(item: RegionFeatures) -> bytes:
    packed = {name: encode(values) for name, values in arrays_of(item).items()}
    return msgpack.packb(packed, use_bin_type=True)


def as_npz(item: RegionFeatures) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays_of(item), allow_pickle=True)  # as UNITER calls it
    return stream.getvalue()


def write(folder: Path, values: dict[str, bytes], *, keys: bytes | None = b"") -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        lmdb.open(str(folder), map_size=1 << 24) as environment,
        environment.begin(write=True) as t,
    ):
        for name, value in values.items():
            t.put(name.encode(), value)
        if keys is not None:
            t.put(b"__keys__", keys or json.dumps(list(values)).encode())
    return folder


@pytest.mark.parametrize(
    ("name", "code"),
    [("feat_th0.2_max100_min10", as_msgpack), ("feat_numbb36_compressed", as_npz)],
)
@pytest.mark.parametrize("listed", [True, False])
def test_regions_read_back_in_both_encodings(tmp_path: Path, name: str, code, listed: bool) -> None:
    records = make()
    values = {f"{item.image_id}.npz": code(item) for item in records}
    reader = open_features(write(tmp_path / name, values, keys=b"" if listed else None))
    assert isinstance(reader, UniterLmdbReader)
    assert sorted(reader.image_ids) == [item.image_id for item in records]
    for item in reversed(records):
        found = reader.read(item.image_id)
        np.testing.assert_array_equal(found.features, item.features.astype(np.float16))
        np.testing.assert_allclose(found.boxes, item.boxes / 200, atol=1e-3)
        np.testing.assert_allclose(found.extra["scores"][0], 0.9, atol=1e-3)
        assert found.features.dtype == np.float32
    description = reader.describe()
    assert (description.format, description.feature_size, description.dtype) == (
        "uniter-lmdb", SIZE, "float16",
    )  # fmt: skip
    with pytest.raises(InputError, match="no image 'absent' among its 5"):
        reader.read("absent")
    reader.close()


def test_the_counts_beside_the_database_cut_the_regions(tmp_path: Path) -> None:
    records = [item for item in make(9) if len(item.features) > 2]
    values = {f"{item.image_id}.npz": as_msgpack(item) for item in records}
    folder = write(tmp_path / "feat_th0.2_max100_min10", values)
    counts = {name: 2 for name in values}
    (tmp_path / "nbb_th0.2_max100_min10.json").write_text(json.dumps(counts))
    reader = open_features(folder)
    assert {len(reader.read(item.image_id).features) for item in records} == {2}


def test_commands_take_it_like_any_other_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = make()
    values = {f"{item.image_id}.npz": as_msgpack(item) for item in records}
    database = write(tmp_path / "all", values)
    write_region_file(tmp_path / "own.h5", records)
    assert main(["features", "info", str(database), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 5
    assert main(["features", "check", str(tmp_path / "own.h5"), str(database)]) == 0
    assert "usable: cosine 1.000" in capsys.readouterr().out
    assert main(["features", "check", str(database), str(database)]) == 0
    assert main(["features", "convert", str(database), str(tmp_path / "back.h5")]) == 0
    assert compare_features(
        open_features(tmp_path / "back.h5"), open_features(database)
    ).verdict.startswith("usable: cosine 1.000")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pickle.dumps({"features": 1}), "a pickle, which is never read"),
        (as_msgpack(make(1)[0])[:-9], "not MessagePack"),
        (as_npz(make(1)[0])[:-60], "not a readable .npz"),
        (msgpack.packb([1, 2]), "expected a map of arrays, got list"),
        (msgpack.packb({"features": 3}), "features: expected an array, got int"),
        (msgpack.packb({"features": encode(np.zeros((2, 4), np.float32))}), "no array 'norm_bb'"),
        (
            msgpack.packb({"features": {**encode(np.zeros(4)), b"shape": (7, 7)}}),
            "data, type and shape do not fit",
        ),
        (
            msgpack.packb({"features": {**encode(np.zeros(4)), b"type": "|O"}}),
            "expected numbers",
        ),
    ],
)
def test_broken_values_are_named(tmp_path: Path, value: bytes, words: str) -> None:
    reader = open_features(write(tmp_path / "all", {"n0.npz": value}))
    with pytest.raises(InputError) as caught:
        reader.read("n0")
    assert words in str(caught.value)
    assert "image n0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nan_features_and_boxes_outside_are_refused(tmp_path: Path) -> None:
    bad, outside = make(2)
    bad.features[0, 0] = np.nan
    outside.boxes *= 3
    values = {"bad.npz": as_msgpack(bad), "outside.npz": as_msgpack(outside)}
    reader = open_features(write(tmp_path / "all", values))
    with pytest.raises(InputError, match="image bad: features hold NaN"):
        reader.read("bad")
    with pytest.raises(InputError, match=r"image outside: norm_bb must be in 0\.\.1"):
        reader.read("outside")


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "data.mdb").write_bytes(b"not a database" * 600)
    with pytest.raises(InputError, match="not a readable LMDB environment"):
        open_features(tmp_path / "all")
    values = {"n0.npz": as_msgpack(make(1)[0])}
    with pytest.raises(InputError, match="__keys__ is not JSON"):
        open_features(write(tmp_path / "keys", values, keys=b"{"))
    missing = write(tmp_path / "missing", values, keys=b'["n0.npz", "n1.npz"]')
    with pytest.raises(InputError, match="listed in __keys__, but"):
        open_features(missing).read("n1")
    with pytest.raises(InputError, match="duplicate image id 'n0'"):
        open_features(write(tmp_path / "twice", values, keys=b'["n0.npz", "n0"]'))
