"""Yes-no questions about attributes: "Is the bag red?", "Does the man look young and happy?"."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, Reference, StepDraft, chain, merge
from gqa_reasoner.questions.english import is_plural, with_article
from gqa_reasoner.questions.phrases import location_phrase
from gqa_reasoner.questions.word_tables import TYPE_NOUNS

__all__ = ["operation", "verify_attribute", "verify_both", "verify_position", "verify_two"]

_NO_NOUN = frozenset(("gender", "age", "race", "tone", "company", "brightness", "orientation"))
_THIS_TYPES = frozenset(("age", "gender", "race", "size", "color", "cleanliness", "flavor"))


def operation(family: str, kind: str) -> str:
    """ "verify color", or "verify" alone for an attribute without a type."""
    return f"{family} {kind}" if kind else family


def verify_attribute(bench: Bench) -> Draft | None:
    """Verify one attribute, in one of the five wordings of GQA."""
    place = bench.place()
    found = bench.verifiable(place)
    if not found:
        return None
    kind, true_value = bench.rng.choice(found)
    value, yes = true_value, bench.rng.random() < 0.5
    if not yes:
        other = bench.other_value(place, kind, true_value)
        if other is None:
            return None
        value = other
    if bench.rng.random() < 0.08:
        return _verify_this(bench, place, kind, value, true_value, yes)
    hide = frozenset((*bench.view.typed[place][kind], value))
    reference = bench.referrer.refer(place, depth=2, hide=hide, pronoun=0.08)
    if reference is None:
        return None
    slots = bench.slots(reference)
    shown = bench.lexicon.adjective(value, kind)
    synonyms = bench.lexicon.adjective_synonyms(value)
    if synonyms and bench.rng.random() < 0.1:
        shown = bench.rng.choice(synonyms)
    slots["value"] = shown
    detailed = _word_attribute(bench, slots, kind, value)
    name = bench.view.names[place]
    really = bench.lexicon.adjective(true_value, kind)
    full = f"{'Yes' if yes else 'No'}, {bench.full_name(place)} {bench.verb(place)} {really}."
    fact: Fact = ("value", bench.view.ids[place], kind, true_value)
    return Draft(
        question=slots["question"],
        steps=chain([*reference.steps, (operation("verify", kind), value)]),
        answer="yes" if yes else "no",
        full_answer=full,
        structural="verify",
        semantic="attr",
        detailed=detailed + ("" if yes else "C"),
        local_group=f"06-{name}_{value}",
        needs=frozenset((fact,)),
        reveals=frozenset((fact, *reference.facts)) if yes else frozenset(reference.facts),
        scope=("fixed",),
        pattern=bench.used,
    )


def _word_attribute(bench: Bench, slots: dict[str, str], kind: str, value: str) -> str:
    """Words the question into `slots["question"]`; returns its detailed type."""
    draw = bench.rng.random()
    if kind == "material" and draw < 0.6:
        slots["value"] = value
        slots["question"] = bench.word("materialVerify", slots)
        return "materialVerify"
    if kind in TYPE_NOUNS and kind not in _NO_NOUN and kind != "material" and draw < 0.12:
        slots["noun"] = TYPE_NOUNS[kind][0]
        slots["value"] = value
        slots["question"] = bench.word("verifyAttrHave", slots)
        return "verifyAttrK"
    if kind == "color" and draw < 0.22:
        slots["question"] = bench.word("verifyAttrColor", slots)
        return "verifyAttr"
    if draw < 0.55:
        acting = value.split(" ")[0].endswith("ing") or value in ("on", "off")
        slots["question"] = bench.word("verifyAttrSeem" if acting else "verifyAttrK", slots)
        return "verifyAttrK"
    slots["question"] = bench.word("verifyAttr", slots)
    return "verifyAttr"


def _verify_this(
    bench: Bench, place: int, kind: str, value: str, true_value: str, yes: bool
) -> Draft | None:
    """ "Is this a young woman?", where only one object could be meant."""
    name, identity = bench.view.names[place], bench.view.ids[place]
    if kind not in _THIS_TYPES or (bench.strict and len(bench.view.select(name)) != 1):
        return None
    plural = is_plural(name)
    slots = {
        "is": "are" if plural else "is",
        "this": "these" if plural else "this",
        "that": "those" if plural else "that",
        "avalue": with_article(f"{value} {name}", name),
    }
    fact: Fact = ("value", identity, kind, true_value)
    pronoun = "these are" if plural else "this is"
    full = f"{'Yes' if yes else 'No'}, {pronoun} {with_article(f'{true_value} {name}', name)}."
    return Draft(
        question=bench.word("verifyAttrThis", slots),
        steps=chain([("select", f"{name} ({identity})"), (operation("verify", kind), value)]),
        answer="yes" if yes else "no",
        full_answer=full,
        structural="verify",
        semantic="attr",
        detailed="verifyAttrThis" if yes else "verifyAttrCThis",
        local_group=f"06-{name}_{value}",
        needs=frozenset((fact,)),
        reveals=frozenset((fact, ("named", identity, name))) if yes else frozenset(),
        scope=("fixed",),
        pattern=bench.used,
    )


def verify_position(bench: Bench) -> Draft | None:
    """ "Is the bag on the left side of the picture?"."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    pairs = [("left", "right"), ("top", "bottom")]
    truth = [
        (value, other)
        for pair in pairs
        for value, other in (pair, pair[::-1])
        if view.position(place, value)
    ]
    if not truth:
        if bench.strict:
            return None
        truth = [rng.choice(pairs)]
    value, other = rng.choice(truth)
    yes = rng.random() < 0.5
    asked = value if yes else other
    reference = bench.referrer.refer(
        place, depth=0, plain=0.6, hide=frozenset(("left", "right", "top", "bottom"))
    )
    if reference is None:
        return None
    kind = "hposition" if value in ("left", "right") else "vposition"
    where = location_phrase(asked, rng)
    name = view.names[place]
    preposition = "on" if kind == "hposition" else "in"
    fact: Fact = ("value", view.ids[place], kind, value)
    return Draft(
        question=bench.word("positionVerify", bench.slots(reference, where=where)),
        steps=chain([*reference.steps, (f"verify {kind}", asked)]),
        answer="yes" if yes else "no",
        full_answer=f"{'Yes' if yes else 'No'}, {bench.full_name(place)} {bench.verb(place)} "
        f"{preposition} the {value} of the image.",
        structural="verify",
        semantic="attr",
        detailed="positionVerify" if yes else "positionVerifyC",
        local_group=f"06-{name}_{asked}",
        needs=frozenset((fact,)),
        reveals=frozenset((fact, *reference.facts)),
        scope=("fixed",),
        pattern=bench.used,
    )


def verify_both(bench: Bench) -> Draft | None:
    """Two attributes at once, `and`; a "no" has one of them right, as in GQA."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    found = [item for item in bench.verifiable(place) if _speakable(item)]
    if len(found) < 2:
        return None
    (kind_a, a), (kind_b, b) = rng.sample(found, 2)
    if kind_a == kind_b and kind_a:
        return None
    yes = rng.random() < 0.5
    asked_b = b
    if not yes:
        other = bench.other_value(place, kind_b, b)
        if other is None or not _speakable((kind_b, other)):
            return None
        asked_b = other
    hide = frozenset((*view.typed[place][kind_a], *view.typed[place][kind_b], asked_b))
    reference = bench.referrer.refer(place, depth=2, hide=hide, pronoun=0.04)
    if reference is None:
        return None
    pair = [(kind_a, a), (kind_b, asked_b)]
    rng.shuffle(pair)
    slots = bench.slots(reference)
    adjectives = [_and_word(bench, value, kind) for kind, value in pair]
    slots["a"], slots["b"] = adjectives
    nouns = all(kind in TYPE_NOUNS and kind not in _NO_NOUN | {"material"} for kind, _ in pair)
    family = "verifyAttrs"
    if nouns and rng.random() < 0.2:
        family = "verifyAttrsHave"
        slots["a"], slots["b"] = pair[0][1], pair[1][1]
        slots["noun_a"], slots["noun_b"] = (TYPE_NOUNS[kind][0] for kind, _ in pair)
    steps = _both_steps(reference, sorted(pair, key=lambda item: item[1]))
    really = f"{adjectives[0]} and {adjectives[1]}"
    if not yes:
        really = f"{_and_word(bench, a, kind_a)} but {_and_word(bench, b, kind_b)}"
    facts: set[Fact] = {
        ("value", view.ids[place], kind_a, a), ("value", view.ids[place], kind_b, b)
    }  # fmt: skip
    first, second = sorted((a, asked_b))
    return Draft(
        question=bench.word(family, slots),
        steps=steps,
        answer="yes" if yes else "no",
        full_answer=f"{'Yes' if yes else 'No'}, {bench.full_name(place)} {bench.verb(place)} "
        f"{really}.",
        structural="logical",
        semantic="attr",
        detailed="verifyAttrs" if yes else "verifyAttrsC",
        local_group=f"05-{first}_{second}",
        needs=frozenset(facts) if yes else frozenset((("value", view.ids[place], kind_b, b),)),
        reveals=frozenset(facts | reference.facts) if yes else frozenset(reference.facts),
        scope=("fixed",),
        pattern=bench.used,
    )


def _speakable(item: tuple[str, str]) -> bool:
    """Whether an attribute is one word after "is" ("wooden"), not "made of glass"."""
    kind, value = item
    if kind in ("pose", "activity", "sportActivity") or (not kind and value.endswith("ing")):
        return False
    return kind != "material" or value in ("wood", "metal")


def _and_word(bench: Bench, value: str, kind: str) -> str:
    """An adjective that stands beside another: "wooden", "made of glass"."""
    return bench.lexicon.adjective(value, kind)


def _both_steps(reference: Reference, pair: list[tuple[str, str]]) -> list[StepDraft]:
    steps = chain(reference.steps)
    last = len(steps) - 1
    (kind_a, a), (kind_b, b) = pair
    steps.append((operation("verify", kind_a), a, (last,)))
    steps.append((operation("verify", kind_b), f"{b} ", (last,)))
    steps.append(("and", "", (last + 1, last + 2)))
    return steps


def verify_two(bench: Bench) -> Draft | None:
    """One attribute of two objects: "Are both the bag and the hat red?"."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    found = [item for item in bench.verifiable(place) if _speakable(item)]
    if not found:
        return None
    kind, value = rng.choice(found)
    yes = rng.random() < 0.6
    others = _comparable(bench, place, kind, value, yes)
    if not others:
        return None
    other = rng.choice(others)
    hide = frozenset((*view.typed[place].get(kind, ()), *view.typed[other].get(kind, ())))
    first = bench.referrer.refer(place, depth=1, avoid=frozenset((other,)), hide=hide)
    second = bench.referrer.refer(other, depth=1, avoid=frozenset((place,)), hide=hide)
    if first is None or second is None or first.text == second.text:
        return None
    if first.plural != second.plural and rng.random() < 0.5:
        return None
    slots = {
        "ref": first.text,
        "ref2": second.text,
        "value": bench.lexicon.adjective(value, kind),
    }
    family = "verifyAttrAnd"
    if kind in TYPE_NOUNS and kind not in _NO_NOUN | {"material"} and rng.random() < 0.15:
        family, slots["noun"], slots["value"] = "verifyAttrAndHave", TYPE_NOUNS[kind][0], value
    steps = merge(
        chain([*first.steps, (operation("verify", kind), value)]),
        chain([*second.steps, (operation("verify", kind), value)]),
    )
    half = len(first.steps)
    steps.append(("and", "", (half, len(steps) - 1)))
    names = sorted((view.names[place], view.names[other]))
    facts: set[Fact] = {("value", view.ids[place], kind, value)}
    for item in view.typed[other].get(kind, ()):
        facts.add(("value", view.ids[other], kind, item))
    return Draft(
        question=bench.word(family, slots),
        steps=steps,
        answer="yes" if yes else "no",
        full_answer=_two_full(bench, (place, other), kind, value, yes),
        structural="logical",
        semantic="obj",
        detailed="verifyAttrAnd" if yes else "verifyAttrAndC",
        local_group=f"09verifyAttrAnd-{names[0]}_{names[1]}",
        needs=frozenset(facts),
        reveals=frozenset(facts) | first.facts | second.facts
        if yes
        else frozenset(first.facts | second.facts),
        scope=("fixed",),
        pattern=bench.used,
    )


def _comparable(bench: Bench, place: int, kind: str, value: str, yes: bool) -> list[int]:
    """Other objects with one value of the type, which is or is not the same."""
    view = bench.view
    others = [item for item in range(len(view.ids)) if item != place]
    if not bench.strict:
        return others
    return [
        item
        for item in others
        if (value in view.attributes[item]) == yes and len(view.typed[item].get(kind, ())) == 1
    ]


def _two_full(bench: Bench, places: tuple[int, int], kind: str, value: str, yes: bool) -> str:
    """The full answer of `verify_two`."""
    one, other = (bench.full_name(place) for place in places)
    shown = bench.lexicon.adjective(value, kind)
    if yes:
        return f"Yes, both {one} and {other} are {shown}."
    true = (bench.view.typed[places[1]].get(kind) or (value,))[0]
    far = f"{other} {bench.verb(places[1])} {bench.lexicon.adjective(true, kind)}"
    return f"No, {one} {bench.verb(places[0])} {shown} and {far}."
