"""Small collections for tests: scenes in, an open collection out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.collection.database import Writer
from gqa_reasoner.collection.derived import derive_tables
from gqa_reasoner.collection.questions import Collection
from gqa_reasoner.collection.scenes import insert_scenes
from gqa_reasoner.program.parser import ProgramParser
from knowledge.ontology import Ontology
from knowledge.store import TripleStore


@lru_cache(maxsize=1)
def shipped_parser() -> ProgramParser:
    """The parser with the shipped weights, loaded once."""
    return ProgramParser.from_pretrained()


def thing(
    number: int, name: str, score: float = 1.0, box: tuple = (0, 0, 20, 20), **attributes: float
) -> SceneObject:
    """An object; attribute names are keywords."""
    return SceneObject(str(number), name, score, box, attributes)


def simple_scene(image_id: str, *names: str, relations: Sequence[tuple] = ()) -> Scene:
    """A scene of sure objects side by side."""
    objects = [thing(i, name, box=(30 * i, 40, 30 * i + 20, 60)) for i, name in enumerate(names)]
    links = [Relation(str(a), predicate, str(b)) for a, predicate, b in relations]
    return Scene(image_id, 300, 100, objects, links)


def make_collection(
    folder: Path,
    scenes: Iterable[Scene],
    details: dict[str, dict[str, Any]] | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Collection:
    """An index of scene records, open with the shipped parser, ontology and triples."""
    writer = Writer(folder, {"detector": "test", "source": str(folder), **(settings or {})})
    insert_scenes(writer, scenes, details)
    derive_tables(writer.connection, TripleStore.default())
    writer.finish()
    options.setdefault("parser", shipped_parser())
    return Collection(folder, ontology=Ontology.default(), store=TripleStore.default(), **options)


def fitting(collection: Collection, question: str) -> set[str]:
    """The ids of all pictures that fit, by program."""
    found = collection.find(question, limit=None)
    assert found.method == "program", found.notes
    return {image["image_id"] for image in found.images}
