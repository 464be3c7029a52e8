from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import PIL.Image
import pytest

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.vlp.data.feature_cache import FeatureCache
from gqa_reasoner.vlp.data.records import read_captions
from gqa_reasoner.vlp.data.shard_features import build_shard_cache
from gqa_reasoner.vlp.data.shards import ShardReport, expand_shards, read_shards
from gqa_reasoner.vlp.tower import PatchTower


def jpeg(color: str) -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (16, 16), color).save(stream, "JPEG")
    return stream.getvalue()


def shard(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tape:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tape.addfile(member, io.BytesIO(data))
    return path


def test_samples_are_members_of_one_key(tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        [
            ("x/0.jpg", jpeg("red")),
            ("x/0.txt", b"a red square\n"),
            ("x/1.json", json.dumps({"captions": ["one", "two"]}).encode()),
            ("x/1.jpg", jpeg("blue")),
        ],
    )
    report = ShardReport()
    first, second = read_shards([path], report)
    assert (first.key, first.captions) == ("0", ("a red square",))
    assert (second.key, second.captions) == ("1", ("one", "two"))
    red, blue = second.image.getpixel((3, 3))[0], second.image.getpixel((3, 3))[2]
    assert red < 30 and blue > 220
    assert (report.samples, report.skipped, report.broken_shards) == (2, [], [])


def test_bad_samples_are_skipped_and_listed(tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        [
            ("0.jpg", b"no picture"),
            ("0.txt", b"a"),
            ("1.txt", b"no picture here"),
            ("2.jpg", jpeg("red")),
            ("3.jpg", jpeg("red")),
            ("3.txt", b"  "),
            ("4.jpg", jpeg("red")),
            ("4.json", b"{"),
            ("5.jpg", jpeg("red")),
            ("5.txt", b"good"),
        ],
    )
    report = ShardReport()
    assert [sample.key for sample in read_shards([path], report)] == ["5"]
    assert [item["sample"] for item in report.skipped] == ["0", "1", "2", "3", "4"]
    assert all(str(path) == item["shard"] and item["reason"] for item in report.skipped)


def test_a_shard_cut_off_gives_its_whole_samples(tmp_path: Path) -> None:
    members = [m for n in range(20) for m in ((f"{n}.jpg", jpeg("red")), (f"{n}.txt", b"red"))]
    whole = shard(tmp_path / "0.tar", members)
    cut = tmp_path / "1.tar"
    cut.write_bytes(whole.read_bytes()[:9000])
    (tmp_path / "2.tar").write_bytes(b"this is no tar file" * 100)
    report = ShardReport()
    found = list(read_shards(expand_shards(tmp_path), report))
    assert report.shards == 3 and 20 < len(found) < 40
    assert [Path(item["shard"]).name for item in report.broken_shards] == ["1.tar", "2.tar"]


def test_patterns(tmp_path: Path) -> None:
    for name in ("t-08.tar", "t-09.tar", "t-10.tar"):
        (tmp_path / name).touch()
    named = expand_shards(f"{tmp_path}/t-{{08..10}}.tar")
    assert [path.name for path in named] == ["t-08.tar", "t-09.tar", "t-10.tar"]
    assert expand_shards(f"{tmp_path}/t-*.tar") == named == expand_shards(tmp_path)
    with pytest.raises(InputError, match="none there"):
        expand_shards(f"{tmp_path}/u-*.tar")
    with pytest.raises(InputError, match=r"t-11\.tar"):
        list(read_shards([tmp_path / "t-11.tar"]))


def test_features_and_captions_of_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colors = ("red", "green", "blue")
    for number in range(2):
        members = []
        for color in colors:
            members.append((f"{number}{color}.jpg", jpeg(color)))
            members.append((f"{number}{color}.txt", f"a {color}".encode()))
        shard(tmp_path / f"{number}.tar", members)
    shard(tmp_path / "2.tar", [("0red.jpg", jpeg("red")), ("0red.txt", b"again"), ("x.jpg", b"")])
    words = ["vlp", "features", "--shards", str(tmp_path / "*.tar"), "--tower", "patches:64"]
    assert main([*words, "--output", str(tmp_path / "cache"), "--batch-size", "4"]) == 1
    error = capsys.readouterr().err
    assert "6 rows of 4 x 3072" in error and "2 samples skipped" in error and "twice" in error
    cache = FeatureCache.open(tmp_path / "cache")
    records = read_captions(tmp_path / "cache" / "captions.jsonl")
    assert [record.captions for record in records[:2]] == [("a red",), ("a green",)]
    first, again = cache.rows([records[0].image, records[3].image])
    assert first.equal(again)
    assert not first.equal(cache.rows([records[1].image])[0])
    shard(tmp_path / "none.tar", [("x.jpg", b"")])
    with pytest.raises(InputError, match="no whole sample"):
        build_shard_cache([tmp_path / "none.tar"], tmp_path / "n", PatchTower(64))
