"""Visual search, its refusals, captions, likenesses, and questions about one picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("duckdb")

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.answer import Answer
from gqa_reasoner.collection.captions import caption_of, read_captions
from gqa_reasoner.collection.indexing import index_folder
from gqa_reasoner.collection.questions import Collection
from gqa_reasoner.collection.setup import IndexPlan, open_for_questions
from gqa_reasoner.collection.vector_file import VectorFile
from knowledge.ontology import Ontology
from knowledge.store import TripleStore
from tests.collection.helpers import shipped_parser, thing

COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


class ColourEncoder:
    """Pictures by their mean colour, texts by the colour words in them."""

    def __init__(self, fingerprint: str = "colours 1") -> None:
        self.fingerprint = fingerprint
        self.pictures = 0

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.pictures += len(images)
        return np.stack([np.asarray(image, dtype=np.float32).mean(axis=(0, 1)) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = [[float(name in text) + 0.01 for name in COLOURS] for text in texts]
        return np.array(rows, dtype=np.float32)


class BlueFirst:
    """A reranker that likes blue pictures, whatever the text."""

    def score(self, text: str, images: Sequence[Image.Image]) -> np.ndarray:
        return np.array([np.asarray(image)[..., 2].mean() for image in images])


class Featured:
    """One dog with a feature of the mean colour."""

    class_names = ("dog", "cat")

    def detect(self, images: Sequence[Image.Image], image_ids: Sequence[str]) -> list[Scene]:
        mean = np.asarray(images[0], dtype=np.float32).mean(axis=(0, 1))
        return [Scene(image_ids[0], 8, 8, [thing(0, "dog", 0.9)], features=mean[None])]


class Describing:
    """Captions that say the size."""

    fingerprint = "describing 1"

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        return [f"a square of {image.width} pixels" for image in images]


class Guessing:
    """A reasoner that answers with the question it was asked."""

    def detect(self, image: object, *, image_id: str | None = None) -> Scene:
        return Scene(image_id or "", 8, 8, [], [], detector="looked again")

    def answer_scene(self, scene: Scene, question: str, *, expansion: str | None = None) -> Answer:
        return Answer(f"{scene.detector}: {question}", 0.5, [])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 8), colour).save(folder / f"{name}.png")
    return folder


def build(pictures: Path, **plan) -> Path:
    index = pictures.parent / "index"
    index_folder(pictures, index, Featured, plan=IndexPlan("featured", **plan))
    return index


def opened(index: Path, **options) -> Collection:
    return Collection(
        index, parser=shipped_parser(), ontology=Ontology.default(), store=TripleStore.default(),
        **options,
    )  # fmt: skip


def ranked(collection: Collection, question: str) -> list[str]:
    found = collection.find(question)
    assert found.method == "vector"
    return [image["image_id"] for image in found.images]


def test_what_no_program_covers_is_searched_by_sight(pictures: Path) -> None:
    encoder = ColourEncoder()
    index = build(pictures, encoder=encoder, encoder_name="somewhere")
    collection = opened(index, encoder=encoder)
    assert ranked(collection, "a green sunset over blue water")[:2] == ["blue.png", "green.png"]
    found = collection.find("show me something like a green sunset over the sea")
    assert found.images[0]["image_id"] == "green.png"
    assert any("ranked by the dual encoder instead" in note for note in found.notes)


def test_a_reranker_has_the_last_word(pictures: Path) -> None:
    encoder = ColourEncoder()
    index = build(pictures, encoder=encoder, encoder_name="somewhere")
    collection = opened(index, encoder=encoder, reranker=BlueFirst())
    assert ranked(collection, "a red sunset over the sea")[0] == "blue.png"
    assert "reranked" in collection.find("a red sunset over the sea").notes[0]


def test_another_encoder_is_refused(pictures: Path) -> None:
    index = build(pictures, encoder=ColourEncoder(), encoder_name="somewhere")
    collection = opened(index, encoder=ColourEncoder("colours 2"))
    with pytest.raises(InputError, match="embedded with another encoder"):
        collection.find("a red sunset over the sea")
    with pytest.raises(InputError, match=r"another encoder|other weights of the encoder"):
        build(pictures, encoder=ColourEncoder("colours 2"), encoder_name="somewhere")
    with pytest.raises(InputError, match="has no picture vectors"):
        open_for_questions(
            build(
                pictures.rename(pictures.parent / "b") / "..",
            ),
            encoder=index,
        )


def test_an_encoder_for_an_index_without_vectors_is_refused(pictures: Path) -> None:
    with pytest.raises(InputError, match="has no picture vectors"):
        open_for_questions(build(pictures), detector="default", encoder=pictures)


def test_an_encoder_and_a_captioner_may_come_later(pictures: Path) -> None:
    index = build(pictures)
    assert not VectorFile.exists(index, "pictures")
    encoder = ColourEncoder()
    report = index_folder(
        pictures, index, Featured,
        plan=IndexPlan("featured", encoder=encoder, encoder_name="x", captioner=Describing(),
                       captioner_name="y"),
    )  # fmt: skip
    assert (report.unchanged, report.completed, encoder.pictures) == (3, 3, 3)
    assert opened(index).picture("red.png")["caption"] == "a square of 8 pixels"


def test_without_an_encoder_the_words_of_scenes_and_captions_are_searched(pictures: Path) -> None:
    index = build(pictures, captions={"green": "A meadow at sunset", "red.png": "a barn"})
    collection = opened(index)
    assert ranked(collection, "sunset over a meadow") == ["green.png"]
    assert "the words of the scenes" in collection.find("sunset over a meadow").notes[0]
    assert collection.find("quantum chromodynamics of gluons").answer == "0"


def test_likenesses_come_from_region_features(pictures: Path) -> None:
    Image.new("RGB", (8, 8), (240, 30, 0)).save(pictures / "orange.png")
    collection = opened(build(pictures))
    found = collection.similar("red.png", limit=2)
    assert found[0]["image_id"] == "orange.png"
    assert found[0]["score"] == pytest.approx(0.99, abs=0.01)
    regions = VectorFile(collection.folder, "regions").rows()
    assert regions.shape == (4, 3)
    with pytest.raises(InputError, match="no picture"):
        collection.similar("none.png")


def test_a_question_about_one_picture_goes_to_the_reasoner(pictures: Path) -> None:
    collection = opened(build(pictures), reasoner=Guessing())
    found = collection.find("What colour is the dog in picture red.png?")
    assert (found.method, found.answer) == ("reasoner", "looked again: What colour is the dog?")
    assert found.images[0]["image_id"] == "red.png"
    assert found.to_json()["record"]["answer"] == found.answer
    (pictures / "red.png").unlink()
    answer = collection.ask("red.png", "Is there a dog?")
    assert answer.text == "oracle: Is there a dog?"
    assert "answered from the index" in answer.notes[0]


@pytest.mark.parametrize(
    "content",
    [
        {"images": [{"id": 1, "file_name": "a.jpg"}],
         "annotations": [{"image_id": 1, "caption": "A dog."}, {"image_id": 1, "caption": "B"}]},
        {"a.jpg": ["A dog.", "B"]},
        {"image": "a.jpg", "captions": ["A dog.", "B"]},
    ],
)  # fmt: skip
def test_captions_of_every_form_are_read(tmp_path: Path, content: dict) -> None:
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(content))
    assert read_captions(path) == {"a.jpg": "A dog. B"}
    assert caption_of({"a": "x"}, "below/a.jpg") == "x"


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 3}', '{"image": 1}\n{"x"', "{}"])
def test_broken_captions_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "captions.json"
    path.write_text(content)
    with pytest.raises(InputError, match="captions"):
        read_captions(path)
