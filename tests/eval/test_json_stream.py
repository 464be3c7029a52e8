"""The streaming JSON reader against `json` itself."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.errors import InputError
from eval.json_stream import batches, files_of, records

TEXT = st.text(st.sampled_from('ab"\\{}[],: \u00e9\U0001f600\n'), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def read_back(path: Path, chunk: int) -> Any:
    parts = list(batches(path, chunk))
    if isinstance(parts[0], dict):
        return [item for part in parts for item in part.items()]
    return [item for part in parts for item in part]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    value=st.dictionaries(TEXT, VALUES, max_size=6) | st.lists(VALUES, max_size=6),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_reads_what_json_reads(
    tmp_path: Path, value: Any, chunk: int, indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=ascii_only) + "\n")
    expected = list(value.items()) if isinstance(value, dict) else value
    assert read_back(path, chunk) == expected


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    value=st.dictionaries(TEXT, VALUES, min_size=1, max_size=4),
    chunk=st.integers(1, 40),
    data=st.data(),
)
def test_truncated_files_are_refused(
    tmp_path: Path, value: dict, chunk: int, data: st.DataObject
) -> None:
    text = json.dumps(value)
    path = tmp_path / "file.json"
    path.write_text(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(InputError, match=r"file\.json"):
        list(batches(path, chunk))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "3",
        '"a"',
        '{"a": {}} x',
        '{"a": {},}',
        '{"a": {}, , "b": {}}',
        '{"a": {} "b": {}}',
        '{"a": {}]',
        "[{}",
        '{"a": nope}',
        '{"a": {"b": 1,}}',
        "[1, 2,]",
        '{"a" {}}',
        "\x00",
    ],
)
@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_invalid_text_is_one_clear_line(tmp_path: Path, text: str, chunk: int) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"file\.json") as error:
        list(batches(path, chunk))
    assert "\n" not in str(error.value)


def test_repeated_ids_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"a": {"x": 1}, "b": {}, "a": {}}')
    with pytest.raises(InputError, match=r"a: the id occurs twice"):
        list(batches(path))


def test_gzip_folders_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xef\xbb\xbf" + b'{"2": {}}')
    with gzip.open(tmp_path / "a.json.gz", "wb") as stream:
        stream.write(b'{"1": {}}')
    assert [key for _, key, _ in records(tmp_path)] == ["1", "2"]
    (tmp_path / "a.json.gz").write_bytes((tmp_path / "a.json.gz").read_bytes()[:12])
    with pytest.raises(InputError, match=r"not a complete gzip file"):
        list(records(tmp_path / "a.json.gz"))


def test_an_empty_folder_and_an_absent_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.json file"):
        files_of(tmp_path)
    with pytest.raises(FileNotFoundError):
        files_of(tmp_path / "absent.json")
