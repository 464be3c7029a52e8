"""Dates and places: read from questions, taken from EXIF, and applied."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("duckdb")

from gqa_reasoner.collection.pictures import exif_facts
from gqa_reasoner.collection.questions import Collection
from gqa_reasoner.collection.restrictions import split_restrictions
from tests.collection.helpers import fitting, make_collection, simple_scene

PLACES = {
    "paris": {"taken": "2019-05-04 09:30:00", "latitude": 48.86, "longitude": 2.35},
    "munich": {"taken": "2019-12-24 18:00:00", "latitude": 48.14, "longitude": 11.58},
    "sydney": {"taken": "2020-01-05 13:00:00", "latitude": -33.87, "longitude": 151.21},
    "unknown": {},
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    scenes = [simple_scene(name, "dog") for name in PLACES]
    scenes[1] = simple_scene("munich", "cat")
    return make_collection(tmp_path_factory.mktemp("dates"), scenes, PLACES)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("pictures taken in 2019", {"paris", "munich"}),
        ("Which pictures taken in 2019 show a dog?", {"paris"}),
        ("Which pictures of dogs were taken in May 2019?", {"paris"}),
        ("pictures of a dog taken on 4 May 2019", {"paris"}),
        ("pictures of a dog from 2020-01-05", {"sydney"}),
        ("pictures before 2020", {"paris", "munich"}),
        ("pictures taken after 2019", {"sydney"}),
        ("photos taken between 2019 and 2020", {"paris", "munich", "sydney"}),
        ("pictures taken since December 2019", {"munich", "sydney"}),
        ("pictures taken in winter", {"munich"}),
        ("pictures taken in summer 2020", {"sydney"}),
        ("pictures of animals taken in the morning", {"paris"}),
        ("pictures taken in december", {"munich"}),
        ("pictures taken on a sunday", {"sydney"}),
        ("pictures within 50 km of 48.1, 11.6", {"munich"}),
        ("pictures near 48.85, 2.35 with a dog", {"paris"}),
        ("pictures with a date", {"paris", "munich", "sydney"}),
        ("pictures without a cat taken in 2019", {"paris"}),
    ],
)
def test_dates_and_places_restrict(
    collection: Collection, question: str, expected: set[str]
) -> None:
    assert fitting(collection, question) == expected


def test_pictures_without_a_date_are_said_to_be_left_out(collection: Collection) -> None:
    found = collection.find("How many pictures taken in 2019 show a dog?")
    assert found.answer == "1"
    assert found.counts["of"] == 2.0
    assert "1 pictures carry no date and were left out" in found.notes
    nothing = collection.find("pictures of a dog taken in 1999")
    assert "no picture of the index fits the dates and places asked for" in nothing.notes


def test_shares_are_of_the_restricted_pictures(collection: Collection) -> None:
    assert collection.find("What share of the pictures taken in 2019 show a cat?").answer == "50.0%"


@pytest.mark.parametrize(
    "text",
    ["a dog in the grass", "a man from the left", "two dogs between 3 and 5 cats", "a cat in May",
     "pictures near 99.0, 200.0", "taken on 40 May 2019"],
)  # fmt: skip
def test_words_that_are_no_dates_stay(text: str) -> None:
    rest, found = split_restrictions(text)
    if text == "a cat in May":
        assert found[0].text == "taken in may"
    else:
        assert (rest, found) == (text, [])


def test_date_and_place_come_from_the_camera(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:05:04 10:11:12"
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 52.0, 12.0), 3: "E", 4: (151.0, 12.0, 36.0)})
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    facts = exif_facts(path)
    assert facts["taken"] == "2019-05-04 10:11:12"
    assert facts["latitude"] == pytest.approx(-33.87)
    assert facts["longitude"] == pytest.approx(151.21)


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "2019:13:40 10:11:12", "yesterday", ""])
def test_dates_that_are_none_are_left_out(tmp_path: Path, date: str) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = date
    exif.get_ifd(0x8825).update({1: "N", 2: (95.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)})
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    assert exif_facts(path) == {}
    assert exif_facts(tmp_path / "none.jpg") == {}
