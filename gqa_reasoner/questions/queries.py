"""Open questions about attributes and names: "What color is the bag?", "What animal is white?"."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, chain
from gqa_reasoner.questions.english import is_plural, pluralize, with_article
from gqa_reasoner.questions.word_tables import TYPE_NOUNS, TYPE_QUESTIONS

__all__ = [
    "ask_activity",
    "ask_attribute",
    "ask_category",
    "ask_category_by_attribute",
    "ask_position",
    "ask_who",
    "category_words",
    "value_clause",
]

_ACTIVITY = ("activity", "pose", "sportActivity")
_OPEN_TYPES = frozenset(TYPE_NOUNS) | frozenset(TYPE_QUESTIONS) | {"state"}
_SELDOM_WITH_NOUN = frozenset(("size", "age", "height", "weight", "width", "thickness", "depth"))


def value_fact(bench: Bench, place: int, kind: str, value: str) -> Fact:
    """The fact that an object has a value."""
    return ("value", bench.view.ids[place], kind, value)


def ask_attribute(bench: Bench) -> Draft | None:
    """Query an attribute: color, material, size, shape, age, ..."""
    place = bench.place()
    values = [item for item in bench.values(place) if item[0] in _OPEN_TYPES]
    if not values:
        return None
    kind, value = bench.rng.choice(values)
    reference = bench.referrer.refer(
        place, depth=2, hide=frozenset(bench.view.typed[place][kind]), pronoun=0.02
    )
    if reference is None:
        return None
    slots = bench.slots(reference)
    rng = bench.rng
    name = bench.view.names[place]
    subject = bench.full_name(place)
    if kind == "material":
        detailed, family = "material", "material"
        full = f"{subject} {bench.verb(place)} made of {value}."
    elif kind == "state" or (kind not in TYPE_NOUNS and kind not in TYPE_QUESTIONS):
        detailed, family = "state", "state"
        full = f"{subject} {bench.verb(place)} {value}."
    elif kind in TYPE_QUESTIONS and (kind not in TYPE_NOUNS or rng.random() < 0.8):
        detailed, family = "how", "how"
        slots["adj"] = rng.choice(TYPE_QUESTIONS[kind])
        full = f"{subject} {bench.verb(place)} {value}."
    else:
        if kind in _SELDOM_WITH_NOUN and reference.pronoun:
            return None
        detailed = family = rng.choice(("directOf", "directWhich"))
        slots["noun"] = rng.choice(TYPE_NOUNS[kind])
        full = f"{subject} {bench.verb(place)} {value}."
    question = bench.word(family, slots)
    fact = value_fact(bench, place, kind, value)
    return Draft(
        question=question,
        steps=chain([*reference.steps, ("query", kind)]),
        answer=value,
        full_answer=full,
        structural="query",
        semantic="attr",
        detailed=detailed,
        global_group=kind,
        local_group=f"10q-{name}_{kind}",
        needs=frozenset((fact,)),
        reveals=frozenset((fact, *reference.facts)),
        scope=("attribute", name, kind),
        pattern=bench.used,
    )


def ask_activity(bench: Bench) -> Draft | None:
    """Query what a person or animal is doing."""
    place = bench.place()
    name = bench.view.names[place]
    if not (bench.lexicon.is_person(name) or bench.lexicon.is_animal(name)):
        return None
    typed = bench.view.typed[place]
    found = [(kind, value) for kind in _ACTIVITY for value in typed.get(kind, ())]
    if not found or (bench.strict and len(found) > 1):
        return None
    kind, value = bench.rng.choice(found)
    hide = frozenset(item for other, item in found if bench.strict or other == kind)
    reference = bench.referrer.refer(place, depth=2, hide=hide, pronoun=0.06)
    if reference is None:
        return None
    fact = value_fact(bench, place, kind, value)
    question = bench.word("activity", bench.slots(reference))
    return Draft(
        question=question,
        steps=chain([*reference.steps, ("query", kind)]),
        answer=value,
        full_answer=f"{bench.full_name(place)} {bench.verb(place)} {value}.",
        structural="query",
        semantic="attr",
        detailed="activity",
        global_group=kind,
        local_group=f"10q-{name}_{kind}",
        needs=frozenset((fact,)),
        reveals=frozenset((fact, *reference.facts)),
        scope=("attribute", name, kind),
        pattern=bench.used,
    )


def ask_position(bench: Bench) -> Draft | None:
    """Query the side of the picture that an object is on."""
    place = bench.place()
    values = [value for value in ("left", "right") if bench.view.position(place, value)]
    if not values:
        if bench.strict:
            return None
        values = ["left", "right"]
    value = values[0]
    reference = bench.referrer.refer(place, depth=0, hide=frozenset(("left", "right")), plain=0.5)
    if reference is None:
        return None
    name = bench.view.names[place]
    fact = value_fact(bench, place, "hposition", value)
    question = bench.word("positionQuery", bench.slots(reference))
    return Draft(
        question=question,
        steps=chain([*reference.steps, ("query", "hposition")]),
        answer=value,
        full_answer=f"{bench.full_name(place)} {bench.verb(place)} on the {value} of the image.",
        structural="query",
        semantic="attr",
        detailed="positionQuery",
        global_group=None,
        local_group=f"10q-{name}_hposition",
        needs=frozenset((fact,)),
        reveals=frozenset((fact, *reference.facts)),
        valid=("left", "right"),
        scope=("fixed",),
        pattern=bench.used,
    )


def category_words(bench: Bench, category: str, plural: bool) -> dict[str, str]:
    """Slots for a category: `{one}` "piece of furniture", `{kind}` "furniture", `{many}`."""
    ways = bench.lexicon.counted(category)
    words, weights = zip(*ways, strict=True)
    one = bench.rng.choices(words, weights=weights)[0]
    mass = category in ("furniture", "clothing", "footwear", "tableware", "sports equipment")
    kind = category if mass else ("food" if one == "food" else category)
    return {
        "one": pluralize(one) if plural else one,
        "many": pluralize(one),
        "kind": kind,
        "is": "are" if plural else "is",
        "has": "have" if plural else "has",
        "does": "do" if plural else "does",
        "aone": with_article(one),
    }


def value_clause(
    bench: Bench, kind: str, value: str, plural: bool, negated: bool, *, relative: bool = False
) -> str:
    """A predicate over an attribute: "is white", "is made of wood", "isn't warm", "looks red"."""
    verb = "are" if plural else "is"
    if negated:
        verb += " not" if bench.rng.random() < 0.6 else "n't"
    if kind == "material":
        return f"{verb} made of {value}"
    if relative and not negated and kind not in _ACTIVITY and bench.rng.random() < 0.15:
        verb = "look" if plural else "looks"
    return f"{verb} {value}"


def _askable(bench: Bench, place: int) -> str | None:
    """A category by which to ask for the object's name; only it may be of that category."""
    found = [
        category
        for category in bench.lexicon.askable(bench.view.names[place])
        if category != bench.view.names[place]
    ]
    return bench.rng.choice(found) if found else None


def ask_category(bench: Bench) -> Draft | None:
    """Query the name of the one object of a category: "Which kind of animal is it?"."""
    place = bench.place()
    category = _askable(bench, place)
    view = bench.view
    if category is None or (bench.strict and view.select(category) != frozenset((place,))):
        return None
    name, identity = view.names[place], view.ids[place]
    plural = is_plural(name)
    this = bench.rng.random() < 0.25
    slots = {
        **category_words(bench, category, plural),
        "pic": bench.slots_picture(),
        "inpic": bench.slots_picture(0.0),
        "this": bench.rng.choice(("these", "those") if plural else ("this", "that")),
    }
    slots = bench.mark_slots(slots, ("one", "kind", "many"), identity)
    question = bench.word("categoryThis" if this else "category", slots)
    fact: Fact = ("named", identity, name)
    full = f"The {slots['one']} {slots['is']} {bench.full_name(place, definite=False)}."
    if this:
        pronoun = "These are" if plural else "This is"
        full = f"{pronoun} {bench.full_name(place, definite=False)}."
    return Draft(
        question=question,
        steps=chain([("select", f"{category} ({identity})"), ("query", "name")]),
        answer=name,
        full_answer=full,
        structural="query",
        semantic="cat",
        detailed="categoryThis" if this else "category",
        global_group=category,
        local_group=f"11q-{category}",
        answer_id=identity,
        needs=frozenset((fact,)),
        reveals=frozenset((fact,)),
        scope=("name", category),
        pattern=bench.used,
    )


def _denied(
    bench: Bench, place: int, kind: str, value: str, pool: frozenset[int]
) -> tuple[str, ...]:
    """Values that the object lacks and all others of the pool have."""
    view = bench.view
    rivals = bench.lexicon.rivals(value, kind)
    if not bench.strict:
        return rivals
    rivals = tuple(
        word
        for word in rivals
        if all(word in view.attributes[item] for item in pool if item != place)
        and word not in view.attributes[place]
    )
    return rivals[:4] if len(pool) == 1 else rivals


def ask_category_by_attribute(bench: Bench) -> Draft | None:
    """ "What animal is white?", "What is the white animal called?", "What food is not sliced?"."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    category = _askable(bench, place)
    values = bench.values(place)
    if category is None or not values:
        return None
    kind, value = rng.choice(values)
    pool = view.select(category)
    negated = rng.random() < 0.25 and kind != "material"
    argument, spoken = value, value
    if negated:
        rivals = _denied(bench, place, kind, value, pool)
        if not rivals:
            return None
        spoken = rng.choice(rivals)
        argument = f"not({spoken})"
    elif bench.strict and view.filter(pool, value) != frozenset((place,)):
        return None
    name, identity = view.names[place], view.ids[place]
    plural = is_plural(name)
    slots = {
        **category_words(bench, category, plural),
        "pic": bench.slots_picture(),
        "that_kind": value_clause(bench, kind, spoken, False, negated),
        "that": value_clause(bench, kind, spoken, plural, negated, relative=True),
        "value": bench.lexicon.material_adjective(spoken) if kind == "material" else spoken,
    }
    slots = bench.mark_slots(slots, ("one", "kind"), identity)
    before = not negated and rng.random() < 0.25 and bench.lexicon.before_noun(value)
    detailed = "categoryAttr" if before else "categoryThat"
    question = bench.word(detailed, slots)
    facts: set[Fact] = {("named", identity, name)}
    known = {*facts, ("value", identity, kind, value)} if not negated else facts
    operation = f"filter {kind}" if kind else "filter"
    return Draft(
        question=question,
        steps=chain(
            [("select", f"{category} ({identity})"), (operation, argument), ("query", "name")]
        ),
        answer=name,
        full_answer=f"The {slots['one']} {slots['is']} {bench.full_name(place, definite=False)}.",
        structural="query",
        semantic="cat",
        detailed=detailed,
        global_group=category,
        local_group=f"12q-{category}_{'n#' if negated else ''}{spoken}",
        answer_id=identity,
        needs=frozenset(facts),
        reveals=frozenset(known),
        scope=("name", category),
        pattern=bench.used,
    )


def ask_who(bench: Bench) -> Draft | None:
    """ "Who is standing?"."""
    place = bench.place()
    name, identity = bench.view.names[place], bench.view.ids[place]
    if not bench.lexicon.is_person(name) or name in ("person", "people"):
        return None
    typed = bench.view.typed[place]
    found = [(kind, value) for kind in _ACTIVITY for value in typed.get(kind, ())]
    if not found:
        return None
    kind, value = bench.rng.choice(found)
    view = bench.view
    if bench.strict and view.filter(view.select("person"), value) != frozenset((place,)):
        return None
    slots = {"value": value, "inpic": bench.slots_picture(0.0)}
    question = bench.word("activityWho", slots)
    fact: Fact = ("named", identity, name)
    return Draft(
        question=question,
        steps=chain(
            [("select", f"person ({identity})"), (f"filter {kind}", value), ("query", "name")]
        ),
        answer=name,
        full_answer=f"{bench.full_name(place)} {bench.verb(place)} {value}.",
        structural="query",
        semantic="cat",
        detailed="activityWho",
        global_group="person",
        local_group=value,
        answer_id=identity,
        needs=frozenset((fact,)),
        reveals=frozenset((fact, ("value", identity, kind, value))),
        scope=("name", "person"),
        pattern=bench.used,
    )
