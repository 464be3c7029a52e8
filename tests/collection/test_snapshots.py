"""Indexes that survive: kills, readers beside a writer, other models, lost folders, locks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("duckdb")

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.cli import main
from gqa_reasoner.collection.database import Writer, current_snapshot, open_collection
from gqa_reasoner.collection.indexing import IndexReport, index_folder
from gqa_reasoner.collection.setup import IndexPlan
from gqa_reasoner.collection.shelf import Shelf
from tests.collection.helpers import make_collection, simple_scene, thing

_SLOW_RUN = """
import sys, time
from pathlib import Path
from detectors.scene import Scene
from gqa_reasoner.collection.indexing import index_folder
class Slow:
    def detect(self, images, image_ids):
        time.sleep(0.03)
        return [Scene(image_ids[0], 8, 8)]
index_folder(sys.argv[1], sys.argv[2], Slow, detector_name="plain")
"""
_LOCK = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("locked", flush=True)
time.sleep(60)
"""


_READER = """
import sys
from gqa_reasoner.collection.shelf import Shelf
shelf, counts = Shelf(sys.argv[1]), set()
print("reading", flush=True)
while max(counts, default=0) < int(sys.argv[2]):
    shelf.refresh()
    counts |= {len(shelf), len(Shelf(sys.argv[1]))}
print(sorted(counts))
"""


class PlainDetector:
    """Empty scenes; remembers what it was shown."""

    class_names = ("dog", "cat")

    def __init__(self) -> None:
        self.seen: list[str] = []

    def detect(self, images: Sequence, image_ids: Sequence[str]) -> list[Scene]:
        self.seen += image_ids
        return [Scene(image_ids[0], 8, 8, [thing(0, "dog", 0.9)])]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"p{number}.png")
    return folder


def run(pictures: Path, detector: PlainDetector | None = None, **options) -> IndexReport:
    found = detector or PlainDetector()
    return index_folder(
        pictures, pictures.parent / "index", lambda: found, detector_name="plain", **options
    )


def test_a_run_killed_outright_resumes_where_it_was(pictures: Path) -> None:
    for number in range(60):
        Image.new("RGB", (8, 8), (0, number, 7)).save(pictures / f"q{number:02d}.png")
    index = pictures.parent / "index"
    process = subprocess.Popen([sys.executable, "-c", _SLOW_RUN, str(pictures), str(index)])
    while len(list(index.glob("thumbnails/*/*.jpg"))) < 40:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(InputError, match="never finished"):
        open_collection(index)
    rest = PlainDetector()
    report = run(pictures, rest)
    assert report.unchanged >= 32  # parts of 16 had been kept
    assert report.added == 66 - report.unchanged == len(rest.seen)
    assert len(Shelf(index)) == 66


def test_a_run_killed_before_the_last_step_loses_nothing(pictures: Path) -> None:
    run(pictures)
    index = pictures.parent / "index"
    (index / "CURRENT").rename(index / "lost")
    again = PlainDetector()
    assert run(pictures, again).unchanged == 6
    assert again.seen == []
    assert len(list(index.glob("collection-*.duckdb"))) == 1


def test_readers_keep_their_snapshot_while_a_writer_works(pictures: Path) -> None:
    run(pictures)
    index = pictures.parent / "index"
    readers = [Shelf(index) for _ in range(3)]
    Image.new("RGB", (8, 8), (9, 9, 9)).save(pictures / "new.png")
    inside: list[int] = []

    class Watching(PlainDetector):
        def detect(self, images: Sequence, image_ids: Sequence[str]) -> list[Scene]:
            inside.extend(len(reader) for reader in readers)
            inside.append(len(Shelf(index)))
            return super().detect(images, image_ids)

    run(pictures, Watching())
    assert inside == [6, 6, 6, 6]
    assert [len(reader) for reader in readers] == [6, 6, 6]
    assert [reader.refresh() for reader in readers] == [True] * 3
    assert [len(reader) for reader in readers] == [7, 7, 7]
    assert not readers[0].refresh()


def test_processes_read_whole_snapshots_while_one_writes(pictures: Path) -> None:
    run(pictures)
    index = pictures.parent / "index"
    command = [sys.executable, "-c", _READER, str(index), "9"]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None and reader.stdout.readline() == "reading\n"
    for number in range(3):
        Image.new("RGB", (8, 8), (1, 2, number)).save(pictures / f"more{number}.png")
        run(pictures)
    for reader in readers:
        output, _ = reader.communicate(timeout=60)
        assert reader.returncode == 0
        assert set(json.loads(output)) <= {6, 7, 8, 9}


def test_threads_may_ask_one_collection_at_once(tmp_path: Path) -> None:
    scenes = [simple_scene(f"p{n}", *["dog", "cat", "car"][: n % 3 + 1]) for n in range(30)]
    collection = make_collection(tmp_path, scenes)
    wanted = {"dogs": "30", "cats": "20", "cars": "10"}
    with ThreadPoolExecutor(4) as pool:
        names = [*wanted] * 4
        found = pool.map(lambda name: collection.find(f"How many pictures show {name}?"), names)
        assert [item.answer for item in found] == [wanted[name] for name in names]


def test_two_writers_are_kept_apart(pictures: Path) -> None:
    index = pictures.parent / "index"
    writer = Writer(index, {"detector": "plain", "source": str(pictures.resolve())})
    with pytest.raises(InputError, match="another index command is writing"):
        run(pictures)
    writer.close()
    assert run(pictures).added == 6


def test_a_database_that_another_program_locks_is_said(pictures: Path) -> None:
    run(pictures)
    file = current_snapshot(pictures.parent / "index")
    process = subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(file)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "locked"
        with pytest.raises(InputError, match="locked by another program"):
            open_collection(pictures.parent / "index")
    finally:
        process.kill()
        process.wait()
    assert len(Shelf(pictures.parent / "index")) == 6


def test_a_renamed_picture_is_not_looked_at_again(pictures: Path) -> None:
    run(pictures)
    (pictures / "below").mkdir()
    (pictures / "p3.png").rename(pictures / "below" / "other.png")
    again = PlainDetector()
    report = run(pictures, again)
    assert (report.renamed, report.added, report.removed, report.unchanged) == (1, 0, 0, 5)
    assert again.seen == []
    shelf = Shelf(pictures.parent / "index")
    assert [o.name for o in shelf.scene("below/other.png").objects] == ["dog"]
    with pytest.raises(InputError, match=r"no picture 'p3\.png'"):
        shelf.scene("p3.png")


def test_a_change_that_size_and_time_hide_is_found_when_asked(pictures: Path) -> None:
    place = pictures / "same.bmp"
    Image.new("RGB", (8, 8), (1, 1, 200)).save(place)
    run(pictures)
    state = place.stat()
    Image.new("RGB", (8, 8), (200, 1, 1)).save(place)
    os.utime(place, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run(pictures).changed == 0
    assert run(pictures, rehash=True).changed == 1


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (IndexPlan("plain", "aaa"), IndexPlan("plain", "bbb"), "other weights of the detector"),
        (IndexPlan("plain", "aaa"), IndexPlan("other", "aaa"), "another detector"),
    ],
)
def test_indexes_of_other_models_are_refused(
    pictures: Path, before: IndexPlan, after: IndexPlan, words: str
) -> None:
    run(pictures, plan=before)
    with pytest.raises(InputError, match=words):
        run(pictures, plan=after)


def test_an_index_moved_with_its_pictures_goes_on(pictures: Path) -> None:
    index = pictures / ".gqa-reasoner"
    index_folder(pictures, index, PlainDetector, detector_name="plain")
    moved = pictures.parent / "moved"
    pictures.rename(moved)
    shelf = Shelf(moved / ".gqa-reasoner")
    assert shelf.file("p1.png") == moved / "p1.png"
    again = PlainDetector()
    report = index_folder(moved, moved / ".gqa-reasoner", lambda: again, detector_name="plain")
    assert (report.unchanged, again.seen) == (6, [])


def test_pictures_deleted_after_indexing_are_marked(tmp_path: Path, pictures: Path) -> None:
    scenes = [simple_scene("p1.png", "dog"), simple_scene("p2.png", "dog")]
    collection = make_collection(tmp_path / "records", scenes, settings={"source": str(pictures)})
    (pictures / "p2.png").unlink()
    found = collection.find("Which pictures show a dog?")
    assert [image["missing"] for image in found.images] == [False, True]
    assert "1 of the pictures shown are no longer in the folder; index it again" in found.notes
    with pytest.raises(InputError, match="deleted or moved after indexing"):
        collection.file("p2.png")
    shutil.rmtree(pictures)
    found = collection.find("Which pictures show a dog?")
    assert [image["missing"] for image in found.images] == [True, True]
    with pytest.raises(InputError, match="the indexed folder is gone"):
        collection.file("p1.png")
    assert collection.picture("p1.png")["missing"]


def test_a_picture_changed_after_indexing_is_said(pictures: Path) -> None:
    run(pictures)
    Image.new("RGB", (900, 700), (0, 200, 0)).save(pictures / "p0.png")
    with pytest.raises(InputError, match="changed after indexing"):
        Shelf(pictures.parent / "index").file("p0.png")


def test_a_folder_that_disappears_while_it_is_indexed_is_said(pictures: Path) -> None:
    class Vanishing(PlainDetector):
        def detect(self, images: Sequence, image_ids: Sequence[str]) -> list[Scene]:
            shutil.rmtree(pictures, ignore_errors=True)
            return super().detect(images, image_ids)

    with pytest.raises(InputError, match="the folder disappeared while it was indexed"):
        run(pictures, Vanishing())


def test_no_permission_to_write_is_said(pictures: Path, unwritable: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        Writer(unwritable / "index", {"detector": "plain", "source": "x"})
    with pytest.raises(InputError, match="cannot be written"):
        Writer(unwritable, {"detector": "plain", "source": "x"})


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}"])
def test_settings_that_are_none_are_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(InputError, match="not the settings of an index"):
        open_collection(tmp_path)


def test_a_damaged_database_is_said(pictures: Path) -> None:
    run(pictures)
    current_snapshot(pictures.parent / "index").write_bytes(b"nothing of a database" * 400)
    with pytest.raises(InputError, match="cannot be opened"):
        open_collection(pictures.parent / "index")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["index", "EMPTY"], "no pictures"),
        (["index", "nowhere"], "no such folder"),
        (["find", "EMPTY", "a dog"], "no collection"),
        (["find", "OLD", "a dog"], "index of version 1"),
        (["find", "UNFINISHED", "a dog"], "never finished"),
    ],
)
def test_the_commands_refuse_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, words: list[str], said: str
) -> None:
    (tmp_path / "EMPTY").mkdir()
    for name, version in (("OLD", 1), ("UNFINISHED", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text(f'{{"version": {version}}}')
    places = [str(tmp_path / word) if word.isupper() else word for word in words]
    assert main(places) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
