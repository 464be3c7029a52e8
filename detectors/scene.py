"""`Scene`: what a picture shows, in the one form that every room shares.

Legend: N objects, C class names, A attribute names, R predicates, D feature size.
Boxes are (x1, y1, x2, y2) in pixels of the original picture, x to the right, y downwards.
GQA scene-graph JSON (Hudson & Manning 2019, section 3.1) is read and written without loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from detectors.errors import InputError

if TYPE_CHECKING:
    import networkx

__all__ = ["Relation", "Scene", "SceneObject", "SceneVocabulary"]

Number = int | float
_OBJECT_KEYS = frozenset({"name", "x", "y", "w", "h", "attributes", "relations"})
_SCENE_KEYS = frozenset({"width", "height", "objects"})


@dataclass(frozen=True)
class SceneObject:
    """One object: `box` is (x1, y1, x2, y2) in pixels of the original picture."""

    id: str
    name: str
    score: float
    box: tuple[Number, Number, Number, Number]
    attributes: Mapping[str, float] = field(default_factory=dict)
    attribute_list: tuple[str, ...] | None = None
    """The attributes as the source file listed them, kept only where they hold duplicates."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the source record that this type does not model."""

    @property
    def area(self) -> float:
        """Box area in square pixels."""
        x1, y1, x2, y2 = self.box
        return max(x2 - x1, 0) * max(y2 - y1, 0)

    @property
    def centre(self) -> tuple[float, float]:
        """Box centre (x, y) in pixels."""
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2, (y1 + y2) / 2


@dataclass(frozen=True)
class Relation:
    """`subject` and `object` are `SceneObject.id`s: subject --predicate--> object."""

    subject: str
    predicate: str
    object: str
    score: float = 1.0


@dataclass(frozen=True)
class SceneVocabulary:
    """The names behind the columns of a scene's probability arrays."""

    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    predicates: tuple[str, ...] = ()


@dataclass
class Scene:
    """What one picture shows.

    Optional dense arrays (row i belongs to `objects[i]`, columns to `vocabulary`):
    `features` (N, D) float32; `class_probabilities` (N, C), rows sum to at most 1;
    `attribute_probabilities` (N, A), each an independent probability;
    `relation_probabilities` (N, N, R): [i, j, r] is P(objects[i] --r--> objects[j]).
    """

    image_id: str
    width: int
    height: int
    objects: list[SceneObject] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    scene_attributes: dict[str, Any] = field(default_factory=dict)
    """Facts of the whole picture under GQA's keys, such as `location` and `weather`."""
    features: np.ndarray | None = None
    class_probabilities: np.ndarray | None = None
    attribute_probabilities: np.ndarray | None = None
    relation_probabilities: np.ndarray | None = None
    vocabulary: SceneVocabulary = field(default_factory=SceneVocabulary)
    detector: str = "oracle"
    """Which detector made this scene; the reasoner trusts only those that it was trained with."""

    def index(self) -> dict[str, int]:
        """Object id to its position in `objects`."""
        return {item.id: position for position, item in enumerate(self.objects)}

    def boxes(self) -> np.ndarray:
        """All boxes as an array (N, 4) float32."""
        return np.asarray([item.box for item in self.objects], dtype=np.float32).reshape(-1, 4)

    @classmethod
    def from_gqa(
        cls,
        record: Mapping[str, Any],
        image_id: str,
        *,
        source: str = "scene graph",
        on_problem: Literal["refuse", "repair"] = "refuse",
        problems: list[str] | None = None,
    ) -> Scene:
        """Read one GQA scene graph.

        Args:
            record: `{"width", "height", "objects": {id: {"name", "x", "y", "w", "h", ...}}}`.
            image_id: id of the picture.
            source: file named in error messages.
            on_problem: `repair` drops empty objects (without a name or a box) and dangling
                relations and turns negative boxes round, noting each in `problems`; `refuse`
                raises at the first.

        Raises:
            InputError: a field is missing, of the wrong type, or dangling; one line naming
                source, image id, object id and field.
        """
        where = f"{source}: image {image_id}"
        notes = problems if problems is not None else []

        def problem(message: str) -> None:
            if on_problem == "refuse":
                raise InputError(f"{where}: {message}")
            notes.append(f"{where}: {message}")

        if not isinstance(record, Mapping):
            raise InputError(f"{where}: expected an object, got {type(record).__name__}")
        width, height = (_number(record, key, where) for key in ("width", "height"))
        raw_objects = record.get("objects")
        if not isinstance(raw_objects, Mapping):
            raise InputError(f"{where}: field 'objects' must map object ids to objects")
        faults = {key: fault for key, raw in raw_objects.items() if (fault := _fault(raw))}
        for object_id, fault in faults.items():
            problem(f"object {object_id}: {fault}")
        raw_objects = {key: raw for key, raw in raw_objects.items() if key not in faults}
        objects: list[SceneObject] = []
        relations: list[Relation] = []
        for object_id, raw in raw_objects.items():
            place = f"{where}: object {object_id}"
            objects.append(_read_object(raw, str(object_id), place, problem))
            for position, relation in enumerate(raw.get("relations", [])):
                if not isinstance(relation, Mapping) or not {"name", "object"} <= set(relation):
                    raise InputError(f"{place}: relation {position} needs 'name' and 'object'")
                named, target = str(relation["name"]), str(relation["object"])
                if target in raw_objects:
                    relations.append(Relation(str(object_id), named, target))
                    continue
                problem(
                    f"object {object_id}: relation {position} ({relation['name']!r}) names "
                    f"the missing object {relation['object']!r}"
                )
        extra = {key: value for key, value in record.items() if key not in _SCENE_KEYS}
        return cls(str(image_id), width, height, objects, relations, extra)  # type: ignore[arg-type]

    def to_gqa(self) -> dict[str, Any]:
        """The GQA scene-graph record of this scene (`from_gqa` of it gives an equal scene)."""
        outgoing: dict[str, list[dict[str, str]]] = {item.id: [] for item in self.objects}
        for relation in self.relations:
            outgoing[relation.subject].append(
                {"name": relation.predicate, "object": relation.object}
            )
        records: dict[str, Any] = {}
        for item in self.objects:
            x1, y1, x2, y2 = item.box
            records[item.id] = {
                "name": item.name,
                "x": x1,
                "y": y1,
                "w": x2 - x1,
                "h": y2 - y1,
                "attributes": list(item.attribute_list or item.attributes),
                "relations": outgoing[item.id],
                **item.extra,
            }
        return {
            "width": self.width,
            "height": self.height,
            **self.scene_attributes,
            "objects": records,
        }

    def to_json(self) -> dict[str, Any]:
        """The record of `detect --json`: boxes, scores, attributes and relations."""
        return {
            "image_id": self.image_id,
            "width": self.width,
            "height": self.height,
            "detector": self.detector,
            "objects": [
                {
                    "id": item.id,
                    "name": item.name,
                    "score": round(float(item.score), 4),
                    "box": [round(float(value), 1) for value in item.box],
                    "attributes": {
                        name: round(float(score), 4) for name, score in item.attributes.items()
                    },
                }
                for item in self.objects
            ],
            "relations": [
                {
                    "subject": relation.subject,
                    "predicate": relation.predicate,
                    "object": relation.object,
                    "score": round(float(relation.score), 4),
                }
                for relation in self.relations
            ],
        }

    def to_networkx(self) -> networkx.MultiDiGraph:
        """Nodes carry name, score, box and attributes; edges carry predicate and score."""
        import networkx

        graph = networkx.MultiDiGraph(image_id=self.image_id, width=self.width, height=self.height)
        for item in self.objects:
            graph.add_node(
                item.id,
                name=item.name,
                score=item.score,
                box=item.box,
                attributes=dict(item.attributes),
            )
        for relation in self.relations:
            graph.add_edge(
                relation.subject,
                relation.object,
                predicate=relation.predicate,
                score=relation.score,
            )
        return graph


def _read_object(
    raw: Mapping[str, Any], object_id: str, place: str, problem: Callable[[str], None]
) -> SceneObject:
    """One object of a GQA record; a negative box is a problem and is turned round."""
    x, y, w, h = (_number(raw, key, place) for key in ("x", "y", "w", "h"))
    if w < 0 or h < 0:
        problem(f"object {object_id}: negative box size w={w} h={h}")
        x, w = (x + w, -w) if w < 0 else (x, w)
        y, h = (y + h, -h) if h < 0 else (y, h)
    names = _strings(raw, "attributes", place)
    return SceneObject(
        id=object_id,
        name=raw["name"],
        score=1.0,
        box=(x, y, x + w, y + h),
        attributes=dict.fromkeys(names, 1.0),
        attribute_list=tuple(names) if len(set(names)) != len(names) else None,
        extra={key: value for key, value in raw.items() if key not in _OBJECT_KEYS},
    )


def _fault(raw: Any) -> str | None:
    """Why an object of a graph is none: no name, or no box; None for a sound one."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str) or not raw["name"]:
        return "field 'name' must be a string"
    for key in ("x", "y", "w", "h"):
        value = raw.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            return f"field {key!r} must be a number, got {value!r}"
    return None


def _number(record: Mapping[str, Any], key: str, where: str) -> Number:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise InputError(f"{where}: field {key!r} must be a number, got {value!r}")
    return value


def _strings(record: Mapping[str, Any], key: str, where: str) -> list[str]:
    values = record.get(key, [])
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping)):
        raise InputError(f"{where}: field {key!r} must be a list of strings")
    names = list(values)
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{where}: field {key!r} must be a list of strings")
    return names
