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


@st.composite
def scenes_with_programs(draw: st.DrawFn) -> tuple[Scene, Program]:
    """A scene and a program that speaks of what is in it (mostly), so that it decides something."""
    scene = draw(scenes().filter(lambda item: len(item.objects) > 1))
    names = st.sampled_from([item.name for item in scene.objects]) | words
    own = [word for item in scene.objects for word in item.attributes]
    values = st.sampled_from(own) | value if own else value
    edges = st.sampled_from(PREDICATES)
    if scene.relations:
        edges = st.sampled_from([item.predicate for item in scene.relations]) | edges
    steps: list[Step] = []

    def describe() -> int:
        steps.append(Step("select", draw(names)))
        for _ in range(draw(st.integers(0, 2))):
            place = (len(steps) - 1,)
            if draw(st.booleans()):
                word = draw(values)
                word = f"not({word})" if draw(st.booleans()) else word
                steps.append(Step("filter", word, place))
            else:
                name, direction = draw(names | st.just("_")), draw(st.sampled_from("so"))
                steps.append(Step("relate", f"{name},{draw(edges)},{direction}", place))
        return len(steps) - 1

    place = (describe(),)
    kind = draw(
        st.sampled_from(["exist", "verify", "query", "choose", "rel", "choose rel", "same"])
    )
    if kind == "exist":
        steps.append(Step("exist", "?", place))
    elif kind == "verify":
        steps.append(Step("verify", draw(values), place))
    elif kind == "query":
        steps.append(Step("query", draw(st.sampled_from(TYPES)), place))
    elif kind == "choose":
        steps.append(Step("choose", f"{draw(values)}|{draw(value)}", place))
    elif kind == "rel":
        steps.append(Step("verify rel", f"{draw(names)},{draw(edges)},o", place))
    elif kind == "choose rel":
        steps.append(Step("choose rel", f"{draw(names)},to the left of|to the right of,s", place))
    else:
        steps.append(Step("same color", "", (*place, describe())))
    return scene, Program(tuple(steps))
