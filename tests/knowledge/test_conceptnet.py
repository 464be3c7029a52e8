from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from knowledge.build import build_store, read_triples, read_vocabulary
from knowledge.conceptnet import ReadFilter, ReadReport, detect_format, read_dump, read_tsv
from knowledge.store import TripleStore


def line(relation: str, start: str, end: str, weight: object = 1.0, info: str | None = None) -> str:
    text = info if info is not None else json.dumps({"dataset": "/d/test", "weight": weight})
    return f"/a/[{relation}/,{start}/,{end}/]\t{relation}\t{start}\t{end}\t{text}"


GOOD = [
    line("/r/IsA", "/c/en/hot_dog/n/wn/food", "/c/en/food", 2.0),
    line("/r/UsedFor", "/c/en/chair", "/c/en/sit", 1.5),
    line("/r/Synonym", "/c/fr/chien", "/c/en/dog", 0.5),
    line("/r/ExternalURL", "/c/en/dog", "http://dbpedia.org/resource/Dog", 1.0),
]
BROKEN = [
    "no tabs at all",
    "/a/x\t/r/IsA\t/c/en/a\t/c/en/b",
    line("/r/IsA", "/c/en/a", "/c/en/b", "much"),
    line("/r/IsA", "/c/en/a", "/c/en/b", -1.0),
    line("/r/IsA", "/c/en/a", "not a concept"),
    line("/r/IsA", "/c/en/" + "a" * 10_000, "/c/en/b"),
    line("/r/IsA", "/c/en/", "/c/en/b"),
    line("IsA", "/c/en/a", "/c/en/b"),
    line("/r/IsA", "/c/en/a", "/c/en/b", info="{truncated"),
    line("/r/IsA", "/c/en/a", "/c/en/b", float("nan")),
]


def write(path: Path, lines: list[str], *, end: bytes = b"\n") -> Path:
    path.write_bytes(b"".join(text.encode() + end for text in lines))
    return path


def test_a_dump_is_read_filtered_and_normalized(tmp_path: Path) -> None:
    report = ReadReport()
    rows = list(read_dump(write(tmp_path / "d.csv", GOOD), report=report))
    assert rows == [("hot dog", "IsA", "food", 2.0), ("chair", "UsedFor", "sit", 1.5)]
    assert (report.lines, report.kept, report.filtered, report.broken) == (4, 2, 2, 0)


def test_filters_by_language_relation_weight_vocabulary_and_sense(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", GOOD)

    def rows(**options: object) -> list[tuple[str, str, str, float]]:
        return list(read_dump(path, keep=ReadFilter(**options)))  # type: ignore[arg-type]

    assert ("fr/chien", "Synonym", "dog", 0.5) in rows(languages=None)
    assert rows(languages=frozenset({"en"}), relations=frozenset({"UsedFor"})) == [
        ("chair", "UsedFor", "sit", 1.5)
    ]
    assert rows(min_weight=1.8) == [("hot dog", "IsA", "food", 2.0)]
    assert len(rows(vocabulary=frozenset({"chair"}))) == 1
    assert rows(vocabulary=frozenset({"chair"}), vocabulary_ends="both") == []
    assert rows(senses="keep")[0][0] == "hot dog/n/wn/food"


def test_gzip_crlf_and_a_missing_last_line_end_do_not_matter(tmp_path: Path) -> None:
    expected = list(read_dump(write(tmp_path / "d.csv", GOOD)))
    crlf = write(tmp_path / "crlf.csv", GOOD, end=b"\r\n")
    assert list(read_dump(crlf)) == expected
    packed = tmp_path / "d.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(GOOD).encode()))
    assert list(read_dump(packed)) == expected


def test_broken_lines_are_counted_and_the_first_five_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", [GOOD[0], *BROKEN, GOOD[1]])
    report = ReadReport()
    assert len(list(read_dump(path, report=report))) == 2
    assert report.broken == len(BROKEN)
    assert len(report.first_broken) == 5
    assert all(f"{path}: line {2 + i}: " in text for i, text in enumerate(report.first_broken))


@pytest.mark.parametrize("broken", BROKEN)
def test_strict_mode_refuses_the_first_broken_line(tmp_path: Path, broken: str) -> None:
    path = write(tmp_path / "d.csv", [GOOD[0], broken])
    with pytest.raises(InputError) as caught:
        list(read_dump(path, strict=True))
    assert f"{path}: line 2: " in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_lines_that_are_not_utf8_are_broken(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(
        GOOD[0].encode() + b"\n" + GOOD[1].encode().replace(b"chair", b"ch\xff") + b"\n"
    )
    report = ReadReport()
    assert len(list(read_dump(path, report=report))) == 1
    assert "not UTF-8" in report.first_broken[0]


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv.gz"
    data = gzip.compress("\n".join(GOOD * 5000).encode())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="gzip"):
        list(read_dump(path))


def test_an_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"x" * 20_000_000 + b"\n" + GOOD[1].encode() + b"\n")
    report = ReadReport()
    assert len(list(read_dump(path, report=report))) == 1
    assert report.broken == 1


def test_tsv_columns_are_named_guessed_and_checked(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.tsv", ["Dog\tIsA\tAnimal", "# comment", "chair\tUsedFor\tsit"])
    assert next(iter(read_tsv(plain))) == ("dog", "IsA", "animal", 1.0)
    first = write(tmp_path / "b.tsv", ["IsA\tdog\tanimal\t2", "UsedFor\tchair\tsit\t1"])
    assert next(iter(read_tsv(first))) == ("dog", "IsA", "animal", 2.0)
    named = write(tmp_path / "c.tsv", ["animal\tx\tdog\tis_a"])
    columns = ("tail", "-", "head", "relation")
    assert list(read_tsv(named, columns=columns)) == [("dog", "IsA", "animal", 1.0)]
    uris = write(
        tmp_path / "d.tsv", ["/c/en/hot_dog\t/r/IsA\t/c/en/food", "/c/fr/chien\tIsA\tanimal"]
    )
    assert list(read_tsv(uris)) == [("hot dog", "IsA", "food", 1.0)]
    with pytest.raises(InputError, match="columns"):
        list(read_tsv(plain, columns=("head", "tail")))
    ragged = write(tmp_path / "e.tsv", ["a\tIsA\tb", "a\tIsA", "a\tIsA\tb\t1", "\tIsA\tb"])
    report = ReadReport()
    assert len(list(read_tsv(ragged, report=report))) == 1
    assert report.broken == 3
    with pytest.raises(InputError, match="line 2"):
        list(read_tsv(ragged, strict=True))


def test_formats_are_told_apart_by_content(tmp_path: Path) -> None:
    assert detect_format(write(tmp_path / "a", GOOD)) == "dump"
    assert detect_format(write(tmp_path / "b", ["dog\tIsA\tanimal"])) == "tsv"
    sqlite3.connect(tmp_path / "c").execute("CREATE TABLE t (x)").connection.close()
    assert detect_format(tmp_path / "c") == "lite"
    with pytest.raises(InputError, match="empty"):
        detect_format(write(tmp_path / "d", []))


def test_building_reports_and_refuses_an_empty_result(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", [*GOOD, BROKEN[0]])
    report = build_store([path], tmp_path / "out.triples")
    assert report.to_json()["broken"] == 1
    assert len(TripleStore.open(tmp_path / "out.triples")) == 2
    with pytest.raises(InputError, match="no triple"):
        build_store([path], tmp_path / "none.triples", keep=ReadFilter(min_weight=99))
    assert not (tmp_path / "none.triples").exists()


def test_another_database_is_not_read_as_conceptnet_lite(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(InputError, match="conceptnet-lite"):
        list(read_triples([path]))


def test_a_vocabulary_is_normalized_and_must_not_be_empty(tmp_path: Path) -> None:
    assert read_vocabulary(write(tmp_path / "v", ["Hot_Dog", "", "chair"])) == {"hot dog", "chair"}
    with pytest.raises(InputError, match="vocabulary"):
        read_vocabulary(write(tmp_path / "w", [""]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=10))
def test_any_bytes_are_read_without_another_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "d.csv"
    path.write_bytes(b"\n".join(rows))
    try:
        list(read_dump(path))
        list(read_tsv(path))
    except InputError as error:
        assert "\n" not in str(error)
