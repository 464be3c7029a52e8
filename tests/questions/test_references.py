from __future__ import annotations

import random

from gqa_reasoner.questions.english import unmark
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.references import Referrer
from gqa_reasoner.questions.view import SceneView
from knowledge.ontology import Ontology

from .scenes import street


def _run(view: SceneView, steps: list[tuple[str, str]]) -> frozenset[int]:
    """An independent reading of a chain: plain loops over the scene."""
    from gqa_reasoner.program.arguments import parse_argument

    found: frozenset[int] = frozenset()
    for operation, argument in steps:
        parsed = parse_argument(operation, argument)
        if operation == "select":
            found = view.select(parsed.name)
        elif operation == "relate":
            found = view.relate(found, parsed.name, parsed.predicate, parsed.direction)
        elif "position" in operation:
            found = frozenset(i for i in found if view.position(i, parsed.value))
        else:
            has = view.filter(found, parsed.value)
            found = found - has if parsed.negated else has
    return found


def test_references_pick_exactly_their_object() -> None:
    view = SceneView(street(), Lexicon(Ontology.default()))
    referrer = Referrer(view, random.Random(1))
    phrases = set()
    for place in range(len(view.ids)):
        for _ in range(60):
            reference = referrer.refer(place, depth=2)
            if reference is None:
                continue
            assert _run(view, reference.steps) == {place}
            phrases.add(unmark(reference.text)[0])
    assert "the red car" in phrases
    assert "the car" not in phrases and "the girl" not in phrases
    assert len(phrases) > 60


def test_hidden_values_and_avoided_objects_are_not_mentioned() -> None:
    view = SceneView(street(), Lexicon(Ontology.default()))
    referrer = Referrer(view, random.Random(2))
    for _ in range(200):
        reference = referrer.refer(0, depth=2, hide=frozenset(("red",)), avoid=frozenset((1,)))
        if reference is not None:
            assert "red" not in unmark(reference.text)[0].split()
            assert 1 not in reference.mentioned
