"""A slow, obvious interpreter of programs on annotated scenes, to check the executor against.

It shares no code with the executor: it reads arguments itself and walks lists of objects. Where
the annotation leaves the answer open (a description that fits nothing, an untyped tie, a relation
stated in other words) it answers `UNCLEAR` instead of guessing.
"""

from __future__ import annotations

import re
from typing import Any

from detectors.scene import Scene, SceneObject
from gqa_reasoner.program.steps import Program
from knowledge.ontology import Ontology

UNCLEAR = "unclear"
_SIDES = {"to the left of": "left", "to the right of": "right", "in front of": "front"}


class Unclear(Exception):
    """The annotation does not settle this step."""


def interpret(
    program: Program, scene: Scene, ontology: Ontology, triples: Any = None, use_ids: bool = True
) -> str:
    """The answer of the last step, or `UNCLEAR`."""
    interpreter = _Interpreter(scene, ontology, triples, use_ids)
    try:
        values: list[Any] = []
        for step in program.steps:
            inputs = [values[place] for place in step.dependencies]
            values.append(interpreter.step(step.operation, step.argument.strip(), inputs))
    except Unclear:
        return UNCLEAR
    final = values[-1]
    return {True: "yes", False: "no"}.get(final, final) if not isinstance(final, list) else UNCLEAR


class _Interpreter:
    def __init__(self, scene: Scene, ontology: Ontology, triples: Any, use_ids: bool) -> None:
        self.scene, self.ontology, self.triples, self.use_ids = scene, ontology, triples, use_ids

    def step(self, operation: str, argument: str, inputs: list[Any]) -> Any:
        family, _, kind = operation.partition(" ")
        if operation == "select":
            return ["scene"] if argument == "scene" else self.called(argument)
        whole = any(item == ["scene"] for item in inputs)
        if whole and (len(inputs) != 1 or family in ("exist", "relate", "same", "different")):
            raise Unclear
        if whole and kind == "rel":
            raise Unclear
        if operation == "exist":
            return len(inputs[0]) > 0
        if operation == "and":
            return inputs[0] and inputs[1]
        if operation == "or":
            return inputs[0] or inputs[1]
        if operation == "relate":
            return self.relate(argument, inputs[0])
        if operation == "verify rel":
            self.one(inputs[0])
            return len(self.relate(argument, inputs[0])) > 0
        if operation == "choose rel":
            return self.choose_relation(argument, inputs[0])
        if inputs[0] == ["scene"]:
            return self.of_scene(family, kind, argument)
        if family == "filter":
            return [item for item in inputs[0] if self.fits(item, kind, argument)]
        if operation == "same" or operation == "different":
            alike = self.all_alike(inputs[0], argument)
            return alike if operation == "same" else not alike
        if family in ("same", "different"):
            alike = bool(
                self.values(self.one(inputs[0]), kind) & self.values(self.one(inputs[1]), kind)
            )
            return alike if family == "same" else not alike
        if operation == "common":
            raise Unclear
        item = self.one(inputs[0])
        if family == "verify":
            return self.fits(item, kind, argument)
        if operation == "query":
            return self.query(item, argument)
        if len(inputs) == 2:
            raise Unclear
        return self.choose(item, kind, argument)

    def one(self, items: list[SceneObject]) -> SceneObject:
        if len(items) != 1:
            raise Unclear
        return items[0]

    def called(self, text: str) -> list[SceneObject]:
        match = re.fullmatch(r"(.*?)\s*(?:\(([^()]*)\))?", text)
        assert match is not None
        name, ids = match.group(1), (match.group(2) or "").split(",")
        if self.use_ids:
            chosen = [item for item in self.scene.objects if item.id in ids]
            if chosen:
                return chosen
        if name == "_":
            return list(self.scene.objects)
        found = [item for item in self.scene.objects if self.ontology.is_a(item.name, name)]
        if any(item.name == name for item in found):
            word = self.ontology.canonical(name)
            found = [
                item
                for item in found
                if item.name == name or self.ontology.canonical(item.name) != word
            ]
        return found

    def relate(self, argument: str, inputs: list[SceneObject]) -> list[SceneObject]:
        body, _, ids = argument.partition(" (")
        name, predicate, direction = (part.strip() for part in body.split(","))
        candidates = self.called(f"{name} ({ids}" if ids else name)
        if not inputs:
            raise Unclear
        if direction == "_":
            kind = predicate.removeprefix("same ")
            wanted = set().union(*(self.values(item, kind) for item in inputs))
            return [x for x in candidates if x not in inputs and self.values(x, kind) & wanted]
        found = []
        other_words = False
        for candidate in candidates:
            for item in inputs:
                one, two = (candidate, item) if direction == "s" else (item, candidate)
                for relation in self.scene.relations:
                    if one is two:
                        continue
                    if (relation.subject, relation.object) == (one.id, two.id):
                        if relation.predicate == predicate and candidate not in found:
                            found.append(candidate)
                        other_words = other_words or not relation.predicate.startswith("to the ")
                    if (relation.subject, relation.object) == (two.id, one.id):
                        other_words = other_words or not relation.predicate.startswith("to the ")
        if not found and (other_words or not self.scene.relations):
            raise Unclear
        return found

    def choose_relation(self, argument: str, inputs: list[SceneObject]) -> str:
        body, _, ids = argument.partition(" (")
        name, predicates, direction = body.split(",")
        item, candidate = self.one(inputs), self.one(self.called(f"{name} ({ids}" if ids else name))
        one, two = (candidate, item) if direction == "s" else (item, candidate)
        holding = [
            predicate
            for predicate in predicates.split("|")
            if any(
                (r.subject, r.predicate, r.object) == (one.id, predicate, two.id)
                for r in self.scene.relations
            )
        ]
        if len(holding) != 1:
            raise Unclear
        return _SIDES.get(holding[0], holding[0])

    def fits(self, item: SceneObject, kind: str, argument: str) -> bool:
        negated = argument.startswith("not(")
        value = argument[4:-1].strip() if negated else argument
        return self.has(item, kind, value) != negated

    def has(self, item: SceneObject, kind: str, value: str) -> bool:
        if kind == "knowledge":
            relation, tail = value.split(",")
            words = (item.name, self.ontology.canonical(item.name))
            return any(self.triples(word, relation, tail) for word in words)
        if kind == "hposition":
            return self.side(item.centre[0] / self.scene.width, value, "left", "right")
        if kind == "vposition":
            return self.side(item.centre[1] / self.scene.height, value, "top", "bottom")
        word = self.ontology.canonical_attribute(value)
        if any(self.ontology.canonical_attribute(x) == word for x in item.attributes):
            return True
        if kind in ("age", "gender") or value in ("young", "old", "male", "female"):
            raise Unclear
        return False

    def side(self, centre: float, value: str, first: str, last: str) -> bool:
        if abs(centre - 0.5) < 1e-9 or value not in (first, last):
            raise Unclear
        return (centre < 0.5) == (value == first)

    def values(self, item: SceneObject, kind: str) -> set[str]:
        found = {x for x in item.attributes if kind in self.ontology.attribute_types(x)}
        if not found:
            raise Unclear
        return found

    def all_alike(self, items: list[SceneObject], kind: str) -> bool:
        if not items:
            raise Unclear
        if kind in ("type", "name"):
            return len({self.ontology.canonical(item.name) for item in items}) == 1
        return bool(set.intersection(*(self.values(item, kind) for item in items)))

    def query(self, item: SceneObject, kind: str) -> str:
        if kind in ("name", "type"):
            return item.name
        if kind == "hposition":
            return (
                "left"
                if self.side(item.centre[0] / self.scene.width, "left", "left", "right")
                else "right"
            )
        if kind == "vposition":
            return (
                "top"
                if self.side(item.centre[1] / self.scene.height, "top", "top", "bottom")
                else "bottom"
            )
        values = self.values(item, kind)
        if len(values) != 1:
            raise Unclear
        return values.pop()

    def choose(self, item: SceneObject, kind: str, argument: str) -> str:
        options = argument.split("|")
        if kind == "name":
            fitting = [x for x in options if self.ontology.is_a(item.name, x)]
        else:
            fitting = [x for x in options if self.has(item, kind, x)]
        if len(set(fitting)) != 1:
            raise Unclear
        return fitting[0]

    def of_scene(self, family: str, kind: str, argument: str) -> Any:
        kind = kind or argument
        facts = self.scene.scene_attributes
        fact = facts.get(kind, None if kind == "weather" else facts.get("location"))
        doors = fact in ("indoors", "outdoors")
        if not isinstance(fact, str) or (kind == "location") != doors:
            raise Unclear
        if kind not in ("place", "weather", "location") or family == "filter":
            raise Unclear
        if family == "query":
            return fact
        fitting = [word for word in argument.split("|") if self.ontology.is_a(fact, word)]
        if family == "verify":
            return bool(fitting)
        return fitting[0] if len(fitting) == 1 else "undecided"
