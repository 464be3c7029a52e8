"""Two alternatives named in the question: "Is the bag red or blue?", "Is this a cat or a dog?"."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, chain
from gqa_reasoner.questions.english import is_plural, with_article
from gqa_reasoner.questions.phrases import object_form, strand
from gqa_reasoner.questions.queries import category_words, value_clause
from gqa_reasoner.questions.verifications import operation
from gqa_reasoner.questions.word_tables import TYPE_NOUNS, TYPE_QUESTIONS

__all__ = [
    "choose_attribute",
    "choose_name",
    "choose_name_by_attribute",
    "choose_name_by_relation",
    "choose_position",
]

_ACTIVITY = ("activity", "pose", "sportActivity")
_SIDES = ("picture", "image", "photo")


def _shuffled(bench: Bench, first: str, second: str) -> tuple[str, str]:
    return (first, second) if bench.rng.random() < 0.5 else (second, first)


def choose_attribute(bench: Bench) -> Draft | None:
    """Choose between the true value and one that the object does not have."""
    place = bench.place()
    found = bench.verifiable(place)
    if not found:
        return None
    kind, value = bench.rng.choice(found)
    other = bench.other_value(place, kind, value)
    if other is None:
        return None
    hide = frozenset((*bench.view.typed[place][kind], other))
    reference = bench.referrer.refer(place, depth=2, hide=hide, pronoun=0.04)
    if reference is None:
        return None
    slots = bench.slots(reference)
    slots["a"], slots["b"] = _shuffled(bench, value, other)
    draw = bench.rng.random()
    family = detailed = "chooseAttr"
    if kind == "material" and draw < 0.75:
        family = detailed = "materialChoose"
    elif kind in _ACTIVITY:
        family = detailed = "activityChoose"
    elif kind in TYPE_NOUNS and draw < 0.3 and kind != "material":
        family = "chooseAttrNoun"
        slots["noun"] = bench.rng.choice(TYPE_NOUNS[kind])
        slots["adj"] = bench.rng.choice(TYPE_QUESTIONS.get(kind, ("",)))
        if not slots["adj"]:
            family = "chooseAttrNoun"
    if kind == "material" and family == "chooseAttr":
        adjectives = [bench.lexicon.material_adjective(item) for item in (slots["a"], slots["b"])]
        if any(word in (value, other) for word in adjectives):
            family = detailed = "materialChoose"
        else:
            slots["a"], slots["b"] = adjectives
    question = bench.word(family, slots)
    if family == "chooseAttrNoun" and not slots["adj"]:
        while question.startswith("How "):
            question = bench.word(family, slots)
    name = bench.view.names[place]
    shown = f"made of {value}" if kind == "material" else value
    fact: Fact = ("value", bench.view.ids[place], kind, value)
    return Draft(
        question=question,
        steps=chain([*reference.steps, (operation("choose", kind), f"{value}|{other}")]),
        answer=value,
        full_answer=f"{bench.full_name(place)} {bench.verb(place)} {shown}.",
        structural="choose",
        semantic="attr",
        detailed=detailed,
        global_group=kind or None,
        local_group=f"10c-{name}_{kind or value}",
        needs=frozenset((fact,)),
        reveals=frozenset({fact} | reference.facts),
        valid=(value, other),
        scope=("alternatives",),
        pattern=bench.used,
    )


def choose_position(bench: Bench) -> Draft | None:
    """ "Is the bag on the left side or on the right?"."""
    rng = bench.rng
    place = bench.place()
    pairs = [("left", "right"), ("left", "right"), ("top", "bottom")]
    pair = rng.choice(pairs)
    truth = [value for value in pair if bench.view.position(place, value)]
    if not truth:
        if bench.strict:
            return None
        truth = [rng.choice(pair)]
    value = truth[0]
    other = pair[1] if value == pair[0] else pair[0]
    reference = bench.referrer.refer(
        place, depth=0, plain=0.5, hide=frozenset(("left", "right", "top", "bottom"))
    )
    if reference is None:
        return None
    kind = "hposition" if pair[0] == "left" else "vposition"
    slots = bench.slots(reference, of=f" of the {rng.choice(_SIDES)}")
    slots["a"], slots["b"] = _shuffled(bench, value, other)
    preposition = "on" if kind == "hposition" else "in"
    fact: Fact = ("value", bench.view.ids[place], kind, value)
    return Draft(
        question=bench.word(f"{kind}Choose", slots),
        steps=chain([*reference.steps, (f"choose {kind}", f"{value}|{other}")]),
        answer=value,
        full_answer=f"{bench.full_name(place)} {bench.verb(place)} {preposition} the {value} of "
        "the image.",
        structural="choose",
        semantic="attr",
        detailed="positionChoose",
        local_group=f"10c-{bench.view.names[place]}_{kind}",
        needs=frozenset((fact,)),
        reveals=frozenset({fact} | reference.facts),
        valid=(value, other),
        scope=("alternatives",),
        pattern=bench.used,
    )


def _name_draft(
    bench: Bench, place: int, other: str, question: str, steps: list[tuple[str, str]],
    detailed: str, semantic: str, local: str, full: str, category: str,
) -> Draft:  # fmt: skip
    name, identity = bench.view.names[place], bench.view.ids[place]
    fact: Fact = ("named", identity, name)
    return Draft(
        question=question,
        steps=chain([*steps, ("choose name", f"{name}|{other}")]),
        answer=name,
        full_answer=full,
        structural="choose",
        semantic=semantic,
        detailed=detailed,
        global_group=category,
        local_group=local,
        answer_id=identity,
        needs=frozenset((fact,)),
        reveals=frozenset((fact,)),
        valid=(name, other),
        scope=("alternatives",),
        pattern=bench.used,
    )


def _sibling(bench: Bench, place: int, categories: tuple[str, ...]) -> tuple[str, str] | None:
    """A category of the object and another name of it, of the same number."""
    if not categories:
        return None
    category = bench.rng.choice(categories)
    other = bench.sibling(place, category)
    if other is None or is_plural(other) != is_plural(bench.view.names[place]):
        return None
    return category, other


def choose_name(bench: Bench) -> Draft | None:
    """ "Is this a cat or a dog?" and, by category, "Which animal is this, a cat or a dog?"."""
    view, rng = bench.view, bench.rng
    place = bench.place()
    name, identity = view.names[place], view.ids[place]
    this = rng.random() < 0.5
    categories = bench.lexicon.askable(name)
    if this and bench.lexicon.is_person(name):
        categories = ("person",)
    pair = _sibling(bench, place, categories)
    if pair is None:
        return None
    category, other = pair
    sole = view.select(category) == frozenset((place,))
    if bench.strict and (not sole or (this and not _salient(bench, place))):
        return None
    plural = is_plural(name)
    a, b = _shuffled(bench, with_article(name), with_article(other))
    slots = {"a": a, "b": b}
    copula = "These are" if plural else "This is"
    full = f"{copula} {bench.full_name(place, definite=False)}."
    if this:
        if plural:
            return None
        question = bench.word("objThisChoose", slots)
        steps = [("select", f"this ({identity})")]
        names = sorted((name, other))
        local = f"08oc-{names[0]}_{names[1]}"
        return _name_draft(
            bench, place, other, question, steps, "objThisChoose", "cat", local, full, category
        )
    slots.update(category_words(bench, category, plural))
    question = bench.word("categoryThisChoose", slots)
    steps = [("select", f"{category} ({identity})")]
    return _name_draft(
        bench, place, other, question, steps, "categoryThisChoose", "cat",
        f"11c-{category}", full, category,
    )  # fmt: skip


def _salient(bench: Bench, place: int) -> bool:
    """Whether "this" can only mean the object: it is the largest by far."""
    areas = [item.area for item in bench.view.scene.objects]
    return all(areas[place] >= 2 * area for item, area in enumerate(areas) if item != place)


def choose_name_by_attribute(bench: Bench) -> Draft | None:
    """ "Which kind of furniture is made of wood, the chair or the table?"."""
    view, rng = bench.view, bench.rng
    place = bench.place()
    found = bench.values(place)
    pair = _sibling(bench, place, bench.lexicon.askable(view.names[place]))
    if not found or pair is None:
        return None
    category, other = pair
    kind, value = rng.choice(found)
    pool = view.select(category)
    negated = not bench.strict and kind != "material" and rng.random() < 0.25
    if bench.strict and view.filter(pool, value) != frozenset((place,)):
        return None
    name, identity = view.names[place], view.ids[place]
    slots = category_words(bench, category, is_plural(name))
    slots["a"], slots["b"] = _shuffled(bench, f"the {name}", f"the {other}")
    slots["that_kind"] = value_clause(bench, kind, value, False, negated)
    slots["that"] = value_clause(bench, kind, value, is_plural(name), negated)
    question = bench.word("categoryThatChoose", slots)
    steps = [
        ("select", f"{category} ({identity})"),
        (operation("filter", kind), f"not({value})" if negated else value),
    ]
    shown = bench.lexicon.adjective(value, kind)
    full = f"{bench.full_name(place)} {bench.verb(place)} {shown}."
    return _name_draft(
        bench, place, other, question, steps, "categoryThatChoose", "cat",
        f"12c-{category}_{value}", full, category,
    )  # fmt: skip


def choose_name_by_relation(bench: Bench) -> Draft | None:
    """ "What is the man holding, a phone or a camera?"."""
    view, rng = bench.view, bench.rng
    place = bench.place()
    role = "o" if rng.random() < 0.75 else "s"
    links = view.into[place] if role == "o" else view.out[place]
    links = [link for link in links if link[0] not in ("of", "to the left of", "to the right of")]
    pair = _sibling(bench, place, bench.lexicon.askable(view.names[place]))
    if not links or pair is None:
        return None
    category, other_name = pair
    predicate, other = rng.choice(links)
    if bench.strict and view.relate(frozenset((other,)), category, predicate, role) != frozenset(
        (place,)
    ):
        return None
    reference = bench.referrer.refer(other, depth=1, avoid=frozenset((place,)), plain=0.5)
    if reference is None:
        return None
    name, identity = view.names[place], view.ids[place]
    slots = bench.slots(reference)
    words = category_words(bench, category, is_plural(name))
    slots.update(one=words["one"], kind=words["kind"], many=words["many"])
    slots["a"], slots["b"] = _shuffled(bench, with_article(name), with_article(other_name))
    slots["pred"], slots["strand"] = predicate, strand(predicate, rng, bench.quirks)
    if role == "s":
        slots["ref"] = object_form(reference)
    question = bench.word(f"categoryRelChoose{role.upper()}", slots)
    steps = [*reference.steps, ("relate", f"{category},{predicate},{role} ({identity})")]
    own, far = bench.full_name(place, definite=False), bench.full_name(other)
    verb = bench.verb(other)
    full = f"{far} {verb} {predicate} {own}."
    if role == "s":
        full = f"{bench.full_name(place)} {bench.verb(place)} {predicate} {far}."
    draft = _name_draft(
        bench, place, other_name, question, steps, f"categoryRel{role.upper()}Choose", "rel",
        f"15-{view.names[other]}_{predicate},{role}", full, category,
    )  # fmt: skip
    edge = (view.ids[other], predicate, identity)
    if role == "s":
        edge = (identity, predicate, view.ids[other])
    fact: Fact = ("relation", *edge)
    draft.needs |= {fact}
    draft.reveals |= {fact} | reference.facts
    return draft
