from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from gqa_reasoner.vlp.data.records import CaptionRecord, read_captions, write_captions

TEXT = st.text(min_size=1).map(str.strip).filter(bool)
NAMES = st.text("abc-_0éß ", min_size=1, max_size=8).map(lambda name: f"{name.strip()}x.jpg")


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        NAMES,
        st.tuples(
            st.lists(TEXT, min_size=1, max_size=3),
            st.sampled_from([None, "train", "dev"]),
            st.dictionaries(st.sampled_from(["de", "fr"]), st.lists(TEXT, min_size=1, max_size=2)),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_written_records_are_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[str, tuple[list[str], str | None, dict[str, list[str]]]],
) -> None:
    records = [
        CaptionRecord(
            name[:-4], name, tuple(lines), split, {k: tuple(v) for k, v in others.items()}
        )
        for name, (lines, split, others) in rows.items()
    ]
    path = tmp_path_factory.mktemp("captions") / "captions.jsonl"
    write_captions(path, records)
    assert read_captions(path) == records


def test_the_four_forms_say_the_same(tmp_path: Path) -> None:
    expected = [
        CaptionRecord("a", "a.jpg", ("One, dog .", "Two dogs")),
        CaptionRecord("b", "b.jpg", ("A cat",)),
    ]
    lines = [("a.jpg", ["One, dog .", "Two dogs"]), ("b.jpg", ["A cat"])]
    karpathy = {"images": [{"filename": n, "sentences": [{"raw": t} for t in c]} for n, c in lines]}
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}],
        "annotations": [
            {"image_id": 7, "caption": "One, dog ."},
            {"image_id": 3, "caption": "A cat"},
            {"image_id": 7, "caption": "Two dogs"},
        ],
    }
    texts = {
        "k.json": json.dumps(karpathy),
        "c.json": json.dumps(coco),
        "l.jsonl": "\n".join(json.dumps({"image": n, "captions": c}) for n, c in lines),
        "t.csv": 'image,caption\na.jpg,"One, dog ."\nb.jpg,A cat\na.jpg,Two dogs\n',
        "f.csv": "image_name| comment_number| comment\na.jpg| 0| One, dog .\na.jpg| 1| Two dogs\n"
        "b.jpg| 0| A cat\n",
        "f.token": "a.jpg#0\tOne, dog .\na.jpg#1\tTwo dogs\nb.jpg#0\tA cat\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert read_captions(tmp_path / name) == expected, name


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"image": "a.jpg", "captions": ["x"]}\n{oops', ["line 2", "not JSON"]),
        ("a.jsonl", '{"image": "a.jpg", "captions": ["ok", " "]}', ["captions[1]", "empty"]),
        ("a.jsonl", '{"captions": ["ok"]}', ["line 1", "image"]),
        ("a.jsonl", '{"image": "a.jpg", "captions": []}', ["captions"]),
        ("a.jsonl", '{"image": "a.jpg", "captions": "x"}\n' * 2, ["line 2", "twice"]),
        ("a.jsonl", "", ["no records"]),
        ("a.json", "[1]", ["images"]),
        ("a.json", '{"images": [{"filename": "a.jpg"}]}', ["images[0]", "sentences"]),
        ("a.json", '{"images": [], "annotations": [{"image_id": 1}]}', ["annotations[0]"]),
        ("a.csv", "picture,words\na,b\n", ["line 1", "columns"]),
        ("a.csv", "image,caption\na.jpg\n", ["line 2", "columns"]),
        ("a.xml", "", ["expected"]),
    ],
)
def test_bad_files_are_named_with_their_place(
    tmp_path: Path, name: str, text: str, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_captions(path)
    assert "\n" not in str(caught.value)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_splits(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    rows = [{"filename": f"{s}.jpg", "split": s, "sentences": ["x"]} for s in ("restval", "val")]
    path.write_text(json.dumps({"images": rows}))
    assert [record.image_id for record in read_captions(path, split="dev")] == ["val"]
    assert [record.image_id for record in read_captions(path, split="train")] == ["restval"]
    with pytest.raises(InputError, match="no records with split 'test'"):
        read_captions(path, split="test")


def test_flickr8k(shared: Path) -> None:
    path = shared / "data" / "flickr8k" / "captions.jsonl"
    assert len(read_captions(path, split="train")) == 6000
    dev = read_captions(path, split="dev")
    assert len(dev) == 1000 and all(len(record.captions) == 5 for record in dev)
    assert any("cs" in record.translations for record in dev)
