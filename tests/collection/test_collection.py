"""Questions over a collection: right sets, honest fallbacks, indexes that survive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("duckdb")

from detectors.errors import InputError
from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.collection.database import Writer, open_collection
from gqa_reasoner.collection.derived import derive_tables
from gqa_reasoner.collection.indexing import index_folder
from gqa_reasoner.collection.questions import Collection, read_frame
from gqa_reasoner.collection.scenes import insert_scenes
from gqa_reasoner.program.parser import ParseFailure, ParseResult, ScoredProgram
from gqa_reasoner.program.steps import Program
from knowledge.ontology import Ontology
from knowledge.store import TripleStore


class ScriptedParser:
    """Programs by question, so that these tests do not depend on the parser's weights."""

    def __init__(self, programs: dict[str, str]) -> None:
        self.programs = programs

    def parse(self, question: str) -> ParseResult:
        if question not in self.programs:
            return ParseResult((), ParseFailure("not in the script"))
        program = Program.from_display(self.programs[question])
        return ParseResult((ScoredProgram(program, 1.0),))


def scene(name: str, *objects: tuple, relations: Sequence[tuple] = ()) -> Scene:
    made = [
        SceneObject(str(i), thing, score, (x, 40, x + 20, 60), {colour: 0.9} if colour else {})
        for i, (thing, score, x, colour) in enumerate(objects)
    ]
    links = [Relation(str(a), predicate, str(b), 0.9) for a, predicate, b in relations]
    return Scene(name, 100, 100, made, links)


SCENES = [
    scene("a", ("dog", 0.9, 5, "brown"), ("car", 0.9, 75, "red"),
          relations=[(0, "to the left of", 1)]),
    scene("b", ("car", 0.9, 5, "blue"), ("dog", 0.9, 75, "white"),
          relations=[(1, "to the right of", 0)]),
    scene("c", ("pizza", 0.8, 40, "red"), ("table", 0.9, 40, "brown"),
          relations=[(0, "on", 1)]),
    scene("d", ("cat", 0.9, 10, "brown"), ("dog", 0.3, 60, "brown")),
    scene("e"),
]  # fmt: skip
PROGRAMS = {
    "Is there a dog?": "Select: dog → Exist: ?",
    "Is there a dog left of a car?": "Select: car → Relate: dog, left → Exist: ?",
    "Is there a dog right of a car?": "Select: car → Relate: dog, right → Exist: ?",
    "Is there an animal?": "Select: animal → Exist: ?",
    "Is there a brown animal?": "Select: animal → Filter color: brown → Exist: ?",
    "Is there a dog that is not brown?": "Select: dog → Filter color: not(brown) → Exist: ?",
    "Is there something edible?": "Select: object → Filter knowledge: UsedFor,eating → Exist: ?",
    "Is there a dog on the left?": "Select: dog → Filter hposition: left → Exist: ?",
    "is there a pizza on the table?": "Select: table → Relate: pizza, on → Exist: ?",
    "Is there a pizza on the table?": "Select: table → Relate: pizza, on → Exist: ?",
    "What color is the dog?": "Select: dog → Query: color",
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    folder = tmp_path_factory.mktemp("collection")
    writer = Writer(folder, {"detector": "test", "source": "nowhere"})
    insert_scenes(writer, SCENES)
    derive_tables(writer.connection)
    writer.finish()
    ontology = Ontology.default()
    return Collection(
        folder, parser=ScriptedParser(PROGRAMS), ontology=ontology, store=TripleStore.default()
    )


def likely(collection: Collection, question: str) -> set[str]:
    found = collection.find(question)
    assert found.method == "program"
    return {image["image_id"] for image in found.images if image["score"] >= 0.5}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which pictures show a dog?", {"a", "b"}),
        ("Show me pictures of a dog left of a car", {"a"}),
        ("which photos have a dog right of a car?", {"b"}),
        ("Which pictures contain an animal?", {"a", "b", "d"}),
        ("find images with a brown animal", {"a", "d"}),
        ("pictures with a dog that is not brown", {"b"}),
        ("In which pictures is there a pizza on the table?", {"c"}),
        ("Which pictures have a dog on the left?", {"a"}),
    ],
)
def test_which_pictures(collection: Collection, question: str, expected: set[str]) -> None:
    assert likely(collection, question) == expected


def test_counts_and_shares_are_of_likely_pictures(collection: Collection) -> None:
    found = collection.find("How many pictures show a dog?")
    assert found.answer == "2"
    assert found.counts == {"likely": 2.0, "expected": pytest.approx(2.1), "of": 5.0}
    assert collection.find("What share of the pictures show a dog?").answer == "40.0%"


def test_the_commonest_colour_is_weighed_over_the_collection(collection: Collection) -> None:
    found = collection.find("What is the most common colour of the dog?")
    assert found.answer == "brown"
    assert found.counts["brown"] == pytest.approx(0.9 * 0.9 + 0.3 * 0.9, abs=0.01)


def test_reasons_are_boxes_of_the_objects_meant(collection: Collection) -> None:
    image = collection.find("Show me pictures of a dog left of a car").images[0]
    assert image["boxes"][0]["name"] == "dog"
    assert image["boxes"][0]["box"] == [5, 40, 25, 60]


def test_questions_outside_the_language_fall_back_and_say_so(collection: Collection) -> None:
    found = collection.find("dogs being silly near cars")
    assert found.method == "vector"
    assert found.images[0]["image_id"] in {"a", "b"}
    assert "could not be parsed" in found.notes[0]
    assert collection.find("quantum chromodynamics").answer == "0"


def test_empty_questions_are_refused(collection: Collection) -> None:
    with pytest.raises(InputError, match="question: empty"):
        collection.find("  ")


@pytest.mark.parametrize(
    ("text", "kind", "question"),
    [
        ("Which pictures show a dog left of a car?", "which", "Is there a dog left of a car?"),
        ("how many pictures have a red umbrella on a beach?", "how many",
         "Is there a red umbrella on a beach?"),
        ("In how many photos is the cat black?", "how many", "Is the cat black?"),
        ("What fraction of my photos contain dogs?", "share", "Are there any dogs?"),
        ("a dog on a bed", "which", "Is there a dog on a bed?"),
        ("Is there a dog?", "which", "Is there a dog?"),
    ],
)  # fmt: skip
def test_frames_separate_what_is_wanted_from_what_is_asked(
    text: str, kind: str, question: str
) -> None:
    frame = read_frame(text)
    assert (frame.kind, frame.question) == (kind, question)


class CountingDetector:
    """One "thing" a picture; counts what it was shown."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.left: int | None = None

    def detect(self, images: Sequence, image_ids: Sequence[str]) -> list[Scene]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        self.seen += image_ids
        return [scene(image_ids[0], ("thing", 0.9, 1, "red"))]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"p{number:02d}.png")
    return folder


def update(pictures: Path, detector: CountingDetector):
    target = pictures.parent / "index"
    return index_folder(pictures, target, lambda: detector, detector_name="counting")


def names(pictures: Path) -> set[str]:
    connection = open_collection(pictures.parent / "index")
    return {row[0] for row in connection.execute("SELECT image_id FROM images").fetchall()}


def test_only_new_changed_and_deleted_pictures_are_processed(pictures: Path) -> None:
    assert update(pictures, CountingDetector()).added == 20
    Image.new("RGB", (8, 8), (0, 200, 0)).save(pictures / "p03.png")
    Image.new("RGB", (8, 8), (0, 0, 200)).save(pictures / "new.png")
    (pictures / "p07.png").unlink()
    (pictures / "broken.png").write_bytes(b"no picture")
    detector = CountingDetector()
    report = update(pictures, detector)
    assert (report.added, report.changed, report.removed, report.unchanged) == (2, 1, 1, 18)
    assert sorted(detector.seen) == ["new.png", "p03.png"]
    assert len(report.failures) == 1
    assert names(pictures) == {f"p{n:02d}.png" for n in range(20) if n != 7} | {"new.png"}
    again = CountingDetector()
    assert update(pictures, again).unchanged == 20
    assert again.seen == []


def test_a_killed_run_resumes_and_readers_never_see_half(pictures: Path) -> None:
    update(pictures, CountingDetector())
    for number in range(40):
        Image.new("RGB", (8, 8), (0, number, 9)).save(pictures / f"q{number:02d}.png")
    detector = CountingDetector()
    detector.left = 20
    with pytest.raises(KeyboardInterrupt):
        update(pictures, detector)
    assert len(names(pictures)) == 20
    rest = CountingDetector()
    update(pictures, rest)
    assert len(names(pictures)) == 60
    assert len(rest.seen) == 24  # one whole part of 16 had been kept


def test_indexes_of_another_detector_or_none_are_refused(pictures: Path, tmp_path: Path) -> None:
    update(pictures, CountingDetector())
    with pytest.raises(InputError, match="indexed with another detector"):
        index_folder(pictures, pictures.parent / "index", CountingDetector, detector_name="another")
    with pytest.raises(InputError, match="no collection"):
        open_collection(tmp_path / "nothing")
    with pytest.raises(InputError, match="no pictures"):
        (tmp_path / "empty").mkdir()
        index_folder(tmp_path / "empty", tmp_path / "x", CountingDetector, detector_name="c")


def test_an_index_of_another_version_is_refused(pictures: Path) -> None:
    update(pictures, CountingDetector())
    settings = pictures.parent / "index" / "settings.json"
    settings.write_text(settings.read_text().replace('"version": 2', '"version": 99'))
    with pytest.raises(InputError, match="version 99, this program reads 2"):
        open_collection(pictures.parent / "index")
