"""Every feature layout reads the same regions back, at random, and breaks with one clear line."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from detectors.errors import InputError
from detectors.features.lxmert_tsv import LxmertTsvReader
from detectors.features.npz_folder import NpzFolderReader
from detectors.features.official_h5 import GqaObjectsReader, GqaObjectsWriter, GqaSpatialReader
from detectors.features.opening import compare_features, open_features
from detectors.features.own_h5 import RegionFileReader, write_region_file
from detectors.features.protocol import RegionFeatures
from gqa_reasoner.cli import main

SIZE = 16


def make(count: int = 5, seed: int = 0) -> list[RegionFeatures]:
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        regions = int(rng.integers(1, 7))
        low = rng.uniform(0, 100, (regions, 2))
        boxes = np.concatenate([low, low + rng.uniform(5, 90, (regions, 2))], axis=1)
        features = rng.normal(size=(regions, SIZE)).astype(np.float32)
        records.append(RegionFeatures(f"n{number}", 200, 200, features, boxes.astype(np.float32)))
    return records


def write_tsv(path: Path, records: list[RegionFeatures]) -> Path:
    def code(values: np.ndarray, dtype: type) -> str:
        return base64.b64encode(values.astype(dtype).tobytes()).decode()

    lines = []
    for item in records:
        count = len(item.features)
        ids, scores = code(np.arange(count), np.int64), code(np.ones(count), np.float32)
        columns = [item.image_id, "200", "200", ids, scores, ids, scores, str(count)]
        columns += [code(item.boxes, np.float32), code(item.features, np.float32)]
        lines.append("\t".join(columns))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_official(folder: Path, records: list[RegionFeatures], shards: int = 2) -> Path:
    folder.mkdir()
    info = {}
    for shard in range(shards):
        part = records[shard::shards]
        features = np.zeros((len(part), 10, SIZE), dtype=np.float32)
        boxes = np.zeros((len(part), 10, 4), dtype=np.float32)
        for row, item in enumerate(part):
            features[row, : len(item.features)] = item.features
            boxes[row, : len(item.boxes)] = item.boxes
            info[item.image_id] = {
                "width": 200,
                "height": 200,
                "objectsNum": len(item.features),
                "idx": row,
                "file": shard,
            }
        with h5py.File(folder / f"gqa_objects_{shard}.h5", "w") as handle:
            handle["features"], handle["bboxes"] = features, boxes
    (folder / "gqa_objects_info.json").write_text(json.dumps(info))
    return folder


def write_uniter(folder: Path, records: list[RegionFeatures]) -> Path:
    folder.mkdir()
    for item in records:
        np.savez(
            folder / f"{item.image_id}.npz", features=item.features, norm_bb=item.boxes / 200,
            conf=np.ones(len(item.boxes)), image_w=200, image_h=200,
        )  # fmt: skip
    return folder


def write_openvqa(folder: Path, records: list[RegionFeatures]) -> Path:
    folder.mkdir()
    for item in records:
        np.savez(
            folder / f"{item.image_id}.npz", x=item.features.T, bbox=item.boxes, image_w=200,
            image_h=200, num_bbox=len(item.boxes),
        )  # fmt: skip
    return folder


def write_own(path: Path, records: list[RegionFeatures]) -> Path:
    write_region_file(path, records)
    return path


def write_merged(folder: Path, records: list[RegionFeatures]) -> Path:
    writer = GqaObjectsWriter(folder, images=len(records), feature_size=SIZE)
    for item in records:
        writer.write(item)
    writer.close()
    return folder


LAYOUTS = {
    "features.tsv": (write_tsv, LxmertTsvReader),
    "official": (write_official, GqaObjectsReader),
    "merged": (write_merged, GqaObjectsReader),
    "uniter": (write_uniter, NpzFolderReader),
    "openvqa": (write_openvqa, NpzFolderReader),
    "own.h5": (write_own, RegionFileReader),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognized_and_reads_the_same_regions(tmp_path: Path, layout: str) -> None:
    write, kind = LAYOUTS[layout]
    records = make()
    reader = open_features(write(tmp_path / layout, records))
    assert isinstance(reader, kind)
    assert sorted(reader.image_ids) == [item.image_id for item in records]
    for item in reversed(records):
        found = reader.read(item.image_id)
        np.testing.assert_allclose(found.features, item.features, rtol=1e-6)
        np.testing.assert_allclose(found.boxes, item.boxes, rtol=1e-5)
        assert (found.width, found.height) == (200, 200)
    assert reader.describe().feature_size == SIZE
    with pytest.raises(InputError, match="no image 'absent' among its 5"):
        reader.read("absent")
    reader.close()


def test_spatial_cells_are_regions_row_by_row(tmp_path: Path) -> None:
    grid = np.arange(2 * 4 * 3 * 3, dtype=np.float32).reshape(2, 4, 3, 3)
    with h5py.File(tmp_path / "gqa_spatial_0.h5", "w") as handle:
        handle["features"] = grid
    (tmp_path / "gqa_spatial_info.json").write_text('{"a": {"idx": 1, "file": 0}}')
    reader = open_features(tmp_path)
    assert isinstance(reader, GqaSpatialReader)
    regions = reader.read("a")
    np.testing.assert_array_equal(regions.features[5], grid[1, :, 1, 2])
    np.testing.assert_allclose(regions.boxes[5], [2 / 3, 1 / 3, 1, 2 / 3])


def test_the_tsv_index_is_built_once_and_again_when_the_file_changes(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "f.tsv", make(3))
    LxmertTsvReader(path).close()
    index = path.with_name("f.tsv.index.npz")
    first = index.stat().st_mtime_ns
    LxmertTsvReader(path).close()
    assert index.stat().st_mtime_ns == first
    write_tsv(path, make(4, seed=1))
    assert len(LxmertTsvReader(path)) == 4


def test_conversion_keeps_every_region_and_the_check_says_usable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = write_tsv(tmp_path / "f.tsv", make()), tmp_path / "own.h5"
    assert main(["features", "convert", str(source), str(target)]) == 0
    assert main(["features", "check", str(source), str(target), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"].startswith("usable: cosine 1.000")
    assert result["matched_regions"] == result["regions"]


def test_half_precision_files_stay_usable(tmp_path: Path) -> None:
    write_region_file(tmp_path / "half.h5", make(), half=True)
    own = open_features(write_own(tmp_path / "own.h5", make()))
    half = open_features(tmp_path / "half.h5")
    assert half.describe().dtype == "float16"
    assert compare_features(own, half).verdict.startswith("usable: cosine 1.000")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda item: replace(item, features=item.features[:, :8]), "sizes differ"),
        (lambda item: replace(item, features=-item.features), "cosine -1.000"),
        (lambda item: replace(item, features=item.features * 2), "factor of 2.00"),
        (lambda item: replace(item, boxes=item.boxes / 4), "overlap"),
        (lambda item: replace(item, image_id="x" + item.image_id), "no image in common"),
    ],
)
def test_mismatched_features_are_called_not_usable(tmp_path: Path, change, words: str) -> None:
    first = open_features(write_own(tmp_path / "a.h5", make()))
    second = open_features(write_own(tmp_path / "b.h5", [change(item) for item in make()]))
    verdict = compare_features(first, second).verdict
    assert words in verdict
    assert not verdict.startswith("usable")


def _error(path: Path, image_id: str = "n0") -> str:
    with pytest.raises(InputError) as caught:
        open_features(path).read(image_id)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_broken_tsv_lines_are_named(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "f.tsv", make(2))
    text = path.read_text()
    path.write_text(text[:-40] + "\n")
    assert "line 2" in _error(path, "n1")
    assert "cut short" in _error(path, "n1")
    path.write_text(text.splitlines()[0].rsplit("\t", 3)[0] + "\n")
    assert "line 1: 7 columns" in _error(path)
    path.write_text(text + text)
    assert "line 3: duplicate image id 'n0'" in _error(path)


def test_broken_official_files_are_named(tmp_path: Path) -> None:
    folder = write_official(tmp_path / "o", make(), shards=1)
    info_path = folder / "gqa_objects_info.json"
    info = json.loads(info_path.read_text())
    info["n0"]["idx"] = 77
    info_path.write_text(json.dumps(info))
    assert "image n0: row 77 is beyond the 5 rows" in _error(folder)
    info["n0"] = {"width": 200, "height": 200, "objectsNum": 11, "idx": 0, "file": 0}
    info_path.write_text(json.dumps(info))
    assert "'objectsNum' 11 is beyond" in _error(folder)
    info_path.write_text('{"n0": {"idx": 0}, "n0": {"idx": 1}}')
    assert "duplicate image id 'n0'" in _error(folder)
    info_path.write_text(json.dumps({**info, "n1": {**info["n1"], "idx": 0}}))
    assert "images n0 and n1 both claim row 0" in _error(folder)
    (folder / "gqa_objects_0.h5").unlink()  # the readers above still hold the old file open
    with h5py.File(folder / "gqa_objects_0.h5", "w") as handle:
        handle["something"] = np.zeros(3)
    info_path.write_text(json.dumps({"n0": info["n0"]}))
    assert "no dataset 'features'" in _error(folder)
    (folder / "gqa_objects_0.h5").unlink()
    (folder / "gqa_objects_0.h5").write_bytes(b"\x89HDF cut")
    assert "not a readable HDF5 file" in _error(folder)


def test_nan_features_and_boxes_outside_are_refused(tmp_path: Path) -> None:
    records = make(2)
    records[0].features[0, 0] = np.nan
    records[1].boxes[0, 2] = 500
    path = write_own(tmp_path / "own.h5", records)
    assert "image n0: features hold NaN" in _error(path)
    assert "image n1: boxes reach outside the 200 x 200 picture" in _error(path, "n1")
    records[1].boxes[0] = [50, 10, 20, 30]
    path = write_own(tmp_path / "turned.h5", records)
    assert "image n1: boxes end before they begin" in _error(path, "n1")


def test_duplicate_ids_are_not_written(tmp_path: Path) -> None:
    record = make(1)[0]
    with pytest.raises(InputError, match="duplicate image id 'n0'"):
        write_region_file(tmp_path / "x.h5", [record, record])
    assert not (tmp_path / "x.h5").exists()


def test_a_conversion_to_another_ending_than_h5_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_tsv(tmp_path / "f.tsv", make())
    assert main(["features", "convert", str(source), str(tmp_path / "g.tsv")]) == 2
    assert "g.tsv: the target is an HDF5 file" in capsys.readouterr().err
    assert not (tmp_path / "g.tsv").exists()
