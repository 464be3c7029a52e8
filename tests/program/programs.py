"""Programs and scenes that several test modules generate."""

from __future__ import annotations

from hypothesis import strategies as st

from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.program.operations import OPERATIONS, AnswerType, ArgumentKind
from gqa_reasoner.program.steps import Program, Step

NAMES = ["dog", "puppy", "cat", "man", "woman", "girl", "chair", "apple", "table", "hot dog", "sky"]
CATEGORIES = ["animal", "person", "furniture", "food", "object"]
ATTRIBUTES = ["red", "blue", "small", "large", "young", "old", "wood", "metal", "sitting", "happy"]
PREDICATES = ["to the left of", "to the right of", "on", "holding", "wearing", "near", "sitting on"]
TYPES = ["name", "color", "size", "material", "hposition", "vposition", "age", "pose", "place"]

words = st.sampled_from(NAMES + CATEGORIES)
ids = st.lists(st.integers(0, 9).map(str), min_size=1, max_size=3) | st.just(["-"])
suffix = st.just("") | ids.map(lambda items: f" ({','.join(items)})")
space = st.sampled_from(["", "", "", " "])
value = st.sampled_from(ATTRIBUTES)
text = st.text(max_size=12)

_ARGUMENTS = {
    ArgumentKind.OBJECT: st.just("scene") | st.builds("{}{}{}".format, words, suffix, space),
    ArgumentKind.RELATION: st.builds(
        "{},{},{}{}".format,
        words | st.just("_"),
        st.sampled_from([*PREDICATES, "left"]),
        st.sampled_from("so"),
        suffix,
    )
    | st.just("animal,same color,_ (3)")
    | st.just("umbrella, standing under, o (7)"),
    ArgumentKind.RELATION_CHOICE: st.builds(
        "{},{}|{},{}{}".format,
        words,
        st.sampled_from(PREDICATES),
        st.sampled_from(PREDICATES),
        st.sampled_from("so"),
        suffix,
    ),
    ArgumentKind.VALUE: st.builds("{}{}".format, value | value.map("not({})".format), space),
    ArgumentKind.ALTERNATIVES: st.builds("{}|{}".format, value, value),
    ArgumentKind.ATTRIBUTE_TYPE: st.sampled_from(TYPES),
    ArgumentKind.KNOWLEDGE: st.sampled_from(["UsedFor,sitting", "IsA,animal"]),
    ArgumentKind.EMPTY: st.just(""),
}


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Well-formed programs over all operations."""
    steps: list[Step] = []
    yields: list[AnswerType] = []
    for _ in range(draw(st.integers(1, 7))):
        possible = [row for row in OPERATIONS.values() if set(row.inputs) <= set(yields)]
        row = draw(st.sampled_from(possible))
        dependencies = tuple(
            draw(st.sampled_from([i for i, kind in enumerate(yields) if kind is wanted]))
            for wanted in row.inputs
        )
        argument = "?" if row.name == "exist" else draw(_ARGUMENTS[row.argument])
        steps.append(Step(row.name, argument, dependencies))
        yields.append(row.answer_type)
    return Program(tuple(steps))


wild_programs = st.lists(
    st.builds(
        Step,
        text | st.sampled_from(sorted(OPERATIONS)),
        text | st.sampled_from(["a|b", "girl,left,s", 'say "x" → y', "[0]", "a -> b", "?"]),
        st.lists(st.integers(-3, 9), max_size=3).map(tuple),
    ),
    max_size=5,
).map(lambda steps: Program(tuple(steps)))
"""Any texts and numbers in the three fields."""


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Small annotated scenes, possibly empty."""
    count = draw(st.integers(0, 6))
    objects = []
    for place in range(count):
        x, y = draw(st.integers(0, 250)), draw(st.integers(0, 150))
        box = (x, y, x + draw(st.integers(1, 70)), y + draw(st.integers(1, 50)))
        attributes = draw(st.lists(value, max_size=3, unique=True))
        name = draw(st.sampled_from(NAMES))
        objects.append(SceneObject(str(place), name, 1.0, box, dict.fromkeys(attributes, 1.0)))
    relations = []
    for _ in range(draw(st.integers(0, 6)) if count > 1 else 0):
        one, other = draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))
        if one != other:
            relations.append(Relation(str(one), draw(st.sampled_from(PREDICATES)), str(other)))
    facts = draw(st.sampled_from([{}, {"location": "kitchen"}, {"weather": "sunny"}]))
    return Scene("picture", 320, 200, objects, relations, dict(facts))
