"""The click log: opt-in, whole lines from many processes, read by the expansion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.errors import InputError
from detectors.scene import Scene, SceneObject
from gqa_reasoner.collection.click_log import ClickLog
from knowledge.expansion import expand
from knowledge.ontology import Ontology
from knowledge.store import TripleStore

_WRITER = """
import sys
from gqa_reasoner.collection.click_log import ClickLog
log = ClickLog(sys.argv[1], enabled=True)
for number in range(200):
    log.opened(f"query {sys.argv[2]} number {number} " + "x" * 300, f"picture {number}")
"""


def test_nothing_is_written_without_consent(tmp_path: Path) -> None:
    log = ClickLog.beside(tmp_path, enabled=False)
    assert not log.query("a dog")
    assert not log.opened("a dog", "1.jpg")
    assert list(tmp_path.iterdir()) == []
    assert log.read() is None
    assert log.asked() == []


def test_opened_pictures_become_co_click_queries(tmp_path: Path) -> None:
    log = ClickLog.beside(tmp_path, enabled=True)
    log.query("a dog on a sofa")
    assert log.read() is None
    for _ in range(2):
        log.opened("a dog on a sofa", "1.jpg")
    log.opened("brown animals", "1.jpg")
    read = log.read()
    assert read is not None
    assert read.own_queries("1.jpg") == [("a dog on a sofa", 2.0), ("brown animals", 1.0)]
    assert log.asked() == ["a dog on a sofa"]
    scene = Scene("1.jpg", 9, 9, [SceneObject("0", "dog", 0.9, (1, 1, 5, 5))])
    context = expand(
        scene,
        "What color is the dog?",
        store=TripleStore.from_triples([]),
        ontology=Ontology.default(),
        coclick=read,
        mode="coclick",
    )
    assert [item.text for item in context.queries] == ["a dog on a sofa", "brown animals"]


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "clicks.tsv"
    command = [sys.executable, "-c", _WRITER, str(path)]
    running = [subprocess.Popen([*command, str(number)]) for number in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    lines = path.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 800
    read = ClickLog(path, enabled=True).read()
    assert read is not None
    assert (read.report.kept, read.query_count, read.image_count) == (800, 800, 200)


def test_a_torn_last_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "clicks.tsv"
    path.write_text("a cat\t2.jpg\t1\nhalf a li")
    log = ClickLog(path, enabled=True)
    log.opened("a dog", "1.jpg")
    read = log.read()
    assert read is not None
    assert read.own_queries("1.jpg") == [("a dog", 1.0)]
    assert read.own_queries("2.jpg") == [("a cat", 1.0)]


def test_a_full_log_takes_no_more(tmp_path: Path) -> None:
    log = ClickLog(tmp_path / "clicks.tsv", enabled=True, limit=20)
    assert log.opened("a dog on a long sofa", "1.jpg")
    assert not log.opened("a cat", "1.jpg")


@pytest.mark.parametrize("image_id", ["", " ", "a\tb", "a\nb"])
def test_image_ids_that_would_break_a_line_are_refused(tmp_path: Path, image_id: str) -> None:
    with pytest.raises(InputError, match="image id"):
        ClickLog(tmp_path / "x", enabled=True).opened("a dog", image_id)


def test_a_folder_without_permission_is_said(unwritable: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        ClickLog(unwritable / "x", enabled=True).query("a dog")


def test_a_path_that_is_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        ClickLog(tmp_path, enabled=True).query("a dog")


@given(st.text(max_size=700))
def test_any_query_is_one_readable_row_or_refused(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        log = ClickLog(Path(folder) / "clicks.tsv", enabled=True)
        try:
            log.opened(text, "1.jpg")
        except InputError as error:
            assert "empty" in str(error)
            return
        read = log.read()
        assert read is not None
        assert read.report.kept == 1
        assert not read.report.first_broken
