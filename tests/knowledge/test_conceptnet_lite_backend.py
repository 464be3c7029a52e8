from __future__ import annotations

import gzip
import socket
import sqlite3
from pathlib import Path

import pytest

from detectors.errors import InputError
from knowledge.build import build_store
from knowledge.store import TripleStore

pytest.importorskip("conceptnet_lite", reason="needs the extra 'conceptnet'")

from knowledge.conceptnet_lite_backend import ConceptNetLite
from tests.knowledge.test_conceptnet import line

LINES = [
    line("/r/IsA", "/c/en/hot_dog", "/c/en/food", 2.0),
    line("/r/IsA", "/c/en/hot_dog/n/wn/food", "/c/en/sandwich", 3.0),
    line("/r/UsedFor", "/c/en/chair", "/c/en/sit", 1.5),
    line("/r/AtLocation", "/c/en/food", "/c/en/table", 1.0),
    line("/r/NotCapableOf", "/c/en/chair", "/c/en/fly", 1.0),
    line("/r/Synonym", "/c/fr/chien", "/c/en/dog", 0.5),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lite")
    dump = folder / "dump.csv.gz"
    dump.write_bytes(gzip.compress("\n".join(LINES).encode() + b"\n"))
    before = dump.read_bytes()
    ConceptNetLite.load_dump(dump, folder / "conceptnet.db")
    assert dump.read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["conceptnet.db", "dump.csv.gz"]
    return folder / "conceptnet.db"


def test_the_live_backend_and_the_store_give_the_same_edges(database: Path, tmp_path: Path) -> None:
    build_store([database], tmp_path / "s.triples")
    store = TripleStore.open(tmp_path / "s.triples")
    live = ConceptNetLite(database)
    for concept in ("hot dog", "food", "chair", "sit", "unicorn"):
        assert live.edges(concept) == store.edges(concept), concept
        assert live.edges(concept, 1) == store.edges(concept, 1)
        assert live.edges(concept, direction="out") == store.edges(concept, direction="out")
    assert live.between("table", "food") == store.between("table", "food")
    assert live.between("table", "unicorn") == []


def test_two_databases_do_not_disturb_each_other(database: Path, tmp_path: Path) -> None:
    dump = tmp_path / "other.csv"
    dump.write_text(line("/r/IsA", "/c/en/chair", "/c/en/furniture") + "\n", encoding="utf-8")
    ConceptNetLite.load_dump(dump, tmp_path / "other.db")
    assert dump.exists()
    first, second = ConceptNetLite(database), ConceptNetLite(tmp_path / "other.db")
    for _ in range(2):
        assert {t.tail for t in second.edges("chair")} == {"furniture"}
        assert {t.tail for t in first.edges("chair")} == {"sit", "fly"}


def test_a_missing_database_is_an_error_and_never_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("tried to use the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(InputError, match="no such database"):
        ConceptNetLite(tmp_path / "absent.db")
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path: Path, database: Path) -> None:
    text = tmp_path / "x.db"
    text.write_text("hello " * 1000, encoding="utf-8")
    with pytest.raises(InputError, match="not a conceptnet-lite database"):
        ConceptNetLite(text)
    other = tmp_path / "y.db"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(InputError, match="no table"):
        ConceptNetLite(other)
    with pytest.raises(InputError, match="exists already"):
        ConceptNetLite.load_dump(text, database)
    with pytest.raises(InputError, match="no such dump"):
        ConceptNetLite.load_dump(tmp_path / "absent.csv", tmp_path / "z.db")
