"""Two objects or a group compared: same, different, in common, older, bigger, healthier."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, Reference, StepDraft, chain, merge
from gqa_reasoner.questions.english import is_plural, pluralize
from gqa_reasoner.questions.word_tables import TYPE_NOUNS

__all__ = ["common", "compare_degree", "compare_group", "compare_two"]

_SAME_TYPES = ("color", "color", "color", "material", "shape")
_SIZES = ("tiny", "little", "small", "large", "big", "huge", "giant")
_DEGREES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bigger": (("large", "big", "huge", "giant"), ("small", "little", "tiny")),
    "larger": (("large", "big", "huge", "giant"), ("small", "little", "tiny")),
    "smaller": (("small", "little", "tiny"), ("large", "big", "huge", "giant")),
    "longer": (("long",), ("short",)),
    "shorter": (("short",), ("long", "tall")),
    "older": (("old",), ("young",)),
    "younger": (("young",), ("old",)),
    "higher": (("high",), ("low",)),
    "lower": (("low",), ("high",)),
}
_AGES = {"baby": 0, "child": 1, "boy": 1, "girl": 1, "man": 2, "woman": 2, "lady": 2}
_HEALTH = {"fruit": 2, "vegetable": 2, "dessert": 0, "fast food": 0, "baked good": 0, "candy": 0}


def _two(
    bench: Bench,
    place: int,
    other: int,
    hide: frozenset[str],
    depth: int = 1,
    category: float = 0.2,
) -> tuple[Reference, Reference] | None:
    """References to both, each naming the other's object nowhere."""
    refer = bench.referrer.refer
    first = refer(place, depth=depth, avoid=frozenset((other,)), hide=hide, category=category)
    second = refer(other, depth=depth, avoid=frozenset((place,)), hide=hide, category=category)
    if first is None or second is None or first.pronoun or second.pronoun:
        return None
    if first.text == second.text or first.noun == second.noun:
        return None
    return first, second


def _steps(first: Reference, second: Reference, last: tuple[str, str]) -> list[StepDraft]:
    steps = merge(chain(first.steps), chain(second.steps))
    ends = (len(first.steps) - 1, len(steps) - 1)
    return [*steps, (last[0], last[1], ends)]


def compare_two(bench: Bench) -> Draft | None:
    """ "Is the bag the same color as the hat?", "Is the hat different in color than the bag?"."""
    rng, view = bench.rng, bench.view
    kind = rng.choice(_SAME_TYPES)
    found = [item for item in range(len(view.ids)) if len(view.typed[item].get(kind, ())) == 1]
    if len(found) < 2:
        return None
    place, other = rng.sample(found, 2)
    want = rng.random() < 0.5
    if bench.strict and (view.typed[place][kind] == view.typed[other][kind]) != want:
        matching = [
            item
            for item in found
            if item != place and (view.typed[item][kind] == view.typed[place][kind]) == want
        ]
        if not matching:
            return None
        other = rng.choice(matching)
    a, b = view.typed[place][kind][0], view.typed[other][kind][0]
    same = a == b
    pair = _two(bench, place, other, frozenset((a, b)), 1 if rng.random() < 0.3 else 0)
    if pair is None:
        return None
    first, second = pair
    different = kind != "material" and rng.random() < 0.45
    family = "twoDifferent" if different else "twoSame"
    if kind == "material":
        family = "twoSameMaterial"
    slots = bench.slots(first, ref2=second.text, noun=TYPE_NOUNS[kind][0])
    question = bench.word(family, slots)
    yes = same != different
    made = "made of " if kind == "material" else ""
    names = sorted((view.names[place], view.names[other]))
    one, two = bench.full_name(place), bench.full_name(other)
    full = f"both {one} and {two} are {made}{a}."
    if not same:
        full = f"{one} {bench.verb(place)} {made}{a} and {two} {bench.verb(other)} {made}{b}."
    facts: set[Fact] = {
        ("value", view.ids[place], kind, a), ("value", view.ids[other], kind, b)
    }  # fmt: skip
    return Draft(
        question=question,
        steps=_steps(first, second, (f"{'different' if different else 'same'} {kind}", "")),
        answer="yes" if yes else "no",
        full_answer=f"{'Yes' if yes else 'No'}, {full}",
        structural="compare",
        semantic="attr",
        detailed=family + ("" if yes else "C"),
        local_group=f"09{'diff' if different else 'same'}-{names[0]}_{names[1]}",
        needs=frozenset(facts),
        reveals=frozenset(first.facts | second.facts),
        scope=("fixed",),
        pattern=bench.used,
    )


def common(bench: Bench) -> Draft | None:
    """ "What do the bag and the hat have in common?": color, material or shape."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    kinds = ("color", "material", "shape", "size")[:3]
    options = [
        (kind, other)
        for other in range(len(view.ids))
        if other != place
        for kind in kinds
        if len(view.typed[place].get(kind, ())) == 1
        and view.typed[place].get(kind) == view.typed[other].get(kind)
        and sum(
            bool(set(view.typed[place].get(item, ())) & set(view.typed[other].get(item, ())))
            for item in set(view.typed[place]) - {""}
        )
        == 1
    ]
    if not options:
        if bench.strict or len(view.ids) < 2:
            return None
        others = [item for item in range(len(view.ids)) if item != place]
        options = [("color", rng.choice(others))]
    kind, other = rng.choice(options)
    values = view.typed[place].get(kind, ("",))
    pair = _two(bench, place, other, frozenset(values), 1 if rng.random() < 0.3 else 0)
    if pair is None:
        return None
    first, second = pair
    names = sorted((view.names[place], view.names[other]))
    shown = bench.lexicon.adjective(values[0], kind)
    facts: set[Fact] = {("value", view.ids[item], kind, values[0]) for item in (place, other)}
    return Draft(
        question=bench.word("twoCommon", bench.slots(first, ref2=second.text)),
        steps=_steps(first, second, ("common", "")),
        answer=kind,
        full_answer=f"The {kind}, both {bench.full_name(place)} and {bench.full_name(other)} are "
        f"{shown}.",
        structural="compare",
        semantic="attr",
        detailed="twoCommon",
        local_group=f"09common-{names[0]}_{names[1]}",
        needs=frozenset(facts),
        reveals=frozenset(facts | first.facts | second.facts),
        valid=("color", "material", "shape"),
        scope=("fixed",),
        pattern=bench.used,
    )


def _degree(bench: Bench, place: int, other: int) -> str | None:
    """A comparative that holds of the first object against the second."""
    rng, view = bench.rng, bench.view
    options: list[str] = []
    mine, theirs = view.attributes[place], view.attributes[other]
    for word, (more, less) in _DEGREES.items():
        if any(value in mine for value in more) and any(value in theirs for value in less):
            options.append(word)
    for predicate in view.related(place, other):
        word = predicate.removesuffix(" than")
        if word != predicate and word in _DEGREES:
            options.append(word)
    name, far = view.names[place], view.names[other]
    if name in _AGES and far in _AGES and _AGES[name] != _AGES[far]:
        options.append("older" if _AGES[name] > _AGES[far] else "younger")
    health = [_health(bench, item) for item in (name, far)]
    if None not in health and health[0] != health[1]:
        options.append("healthier" if health[0] > health[1] else "less healthy")  # type: ignore[operator]
    if not options and not bench.strict:
        options = [*_DEGREES, "healthier", "less healthy"]
    return rng.choice(options) if options else None


def _health(bench: Bench, name: str) -> int | None:
    for category in bench.lexicon.categories(name):
        if category in _HEALTH:
            return _HEALTH[category]
    return None


def compare_degree(bench: Bench) -> Draft | None:
    """ "Who is older, the boy or the man?", "Which is healthier, the pizza or the apple?"."""
    rng, view = bench.rng, bench.view
    if len(view.ids) < 2:
        return None
    for _ in range(8):
        place, other = rng.sample(range(len(view.ids)), 2)
        word = _degree(bench, place, other)
        if word is not None:
            break
    else:
        return None
    person = bench.lexicon.is_person(view.names[place]) and bench.lexicon.is_person(
        view.names[other]
    )
    if word in ("older", "younger") and not person and bench.strict:
        return None
    if view.names[place] == view.names[other]:
        return None
    hide = frozenset(item for pair in _DEGREES.values() for group in pair for item in group)
    pair = _two(bench, place, other, hide, 0, category=0.0 if bench.strict else 0.2)
    if pair is None:
        return None
    a, b = pair if rng.random() < 0.5 else pair[::-1]
    slots = {
        "which": "Who" if person and word in ("older", "younger") else
        ("What" if rng.random() < 0.3 else "Which"),
        "more": word, "a": a.text, "b": b.text,
    }  # fmt: skip
    names = sorted((view.names[place], view.names[other]))
    facts: set[Fact] = {("degree", view.ids[place], word, view.ids[other])}
    first, second = sorted(pair, key=lambda item: item.noun)
    return Draft(
        question=bench.word("comparative", slots),
        steps=_steps(first, second, (f"choose {word}", "")),
        answer=view.names[place],
        full_answer=f"{bench.full_name(place)} {bench.verb(place)} "
        f"{'less healthy' if word == 'less healthy' else word} than {bench.full_name(other)}.",
        structural="compare",
        semantic="attr",
        detailed="comparativeChoose",
        global_group=bench.lexicon.categories(view.names[place])[:1][0]
        if bench.lexicon.categories(view.names[place])
        else "object",
        local_group=f"09compare-{names[0]}_{names[1]}",
        answer_id=view.ids[place],
        needs=frozenset(facts),
        reveals=frozenset(facts | a.facts | b.facts),
        valid=(view.names[place], view.names[other]),
        scope=("alternatives",),
        pattern=bench.used,
    )


def compare_group(bench: Bench) -> Draft | None:
    """All objects of a name or category: gender of people, kind of animals, color of a group."""
    rng, view = bench.rng, bench.view
    draw = rng.random()
    if draw < 0.3:
        return _same_gender(bench)
    if draw < 0.55:
        return _same_species(bench)
    name = view.names[bench.place()]
    group = sorted(view.select(name))
    if (bench.strict and len(group) < 2) or is_plural(name):
        return None
    kind = rng.choice(_SAME_TYPES)
    values = [view.typed[item].get(kind, ()) for item in group]
    if bench.strict and any(len(item) != 1 for item in values):
        return None
    same = len(set(values)) == 1
    different = kind != "material" and rng.random() < 0.3
    family = "sameGroupMaterial" if kind == "material" else "sameGroup"
    if different:
        family = "differentGroup"
    slots = {"many": pluralize(name), "noun": TYPE_NOUNS[kind][0]}
    yes = same != different
    shown = values[0][0] if values and values[0] else ""
    full = f"all the {pluralize(name)} are {shown}."
    if not same:
        full = f"the {pluralize(name)} differ in {kind}."
    return _group_draft(
        bench, group, name, f"{'different' if different else 'same'}: {kind}",
        bench.word(family, slots), yes, full, "sameAll" if not different else "diffAll",
        f"07{'different' if different else 'same'}-all{pluralize(name)}",
        {("value", view.ids[item], kind, *view.typed[item].get(kind, ())) for item in group},
    )  # fmt: skip


def _group_draft(
    bench: Bench, group: list[int], noun: str, step: str, question: str, yes: bool, full: str,
    detailed: str, local: str, facts: set[Fact],
) -> Draft:  # fmt: skip
    operation, argument = step.split(": ")
    identities = ",".join(bench.view.ids[item] for item in group)
    return Draft(
        question=question,
        steps=chain([("select", f"{noun} ({identities})"), (operation, argument)]),
        answer="yes" if yes else "no",
        full_answer=f"{'Yes' if yes else 'No'}, {full}",
        structural="compare",
        semantic="attr",
        detailed=detailed + ("" if yes else "C"),
        local_group=local,
        needs=frozenset(facts),
        scope=("fixed",),
        pattern=bench.used,
    )


def _same_gender(bench: Bench) -> Draft | None:
    rng, view = bench.rng, bench.view
    group = sorted(view.select("person"))
    if bench.strict and len(group) < 2:
        return None
    genders = [_gender(bench, item) for item in group]
    if bench.strict and None in genders:
        return None
    same = len(set(genders)) == 1
    different = rng.random() < 0.15
    value = (genders[0] if genders else None) or rng.choice(("male", "female"))
    slots = {"value": value if same else rng.choice(("male", "female"))}
    question = bench.word("differentGender" if different else "sameGender", slots)
    full = f"all the people are {value}." if same else "they are both male and female."
    name = "differentGender" if different else "sameGender"
    facts: set[Fact] = {
        ("gender", view.ids[item], str(gender)) for item, gender in zip(group, genders, strict=True)
    }
    return _group_draft(
        bench, group, "person", f"{'different' if different else 'same'}: gender", question,
        same != different, full, name, f"07{'different' if different else 'same'}-allpeople", facts,
    )  # fmt: skip


def _gender(bench: Bench, place: int) -> str | None:
    values = bench.view.typed[place].get("gender", ())
    if values:
        return values[0]
    name = bench.view.names[place]
    if name in ("man", "boy", "gentleman", "father", "guy"):
        return "male"
    if name in ("woman", "girl", "lady", "mother"):
        return "female"
    return None


def _same_species(bench: Bench) -> Draft | None:
    rng, view = bench.rng, bench.view
    group = sorted(view.select("animal"))
    if bench.strict and (len(group) < 2 or any(is_plural(view.names[item]) for item in group)):
        return None
    names = sorted({view.names[item] for item in group}) or ["dog"]
    same = len(names) == 1
    different = rng.random() < 0.2
    value = pluralize(names[0] if same else rng.choice(names))
    family = "differentAnimals" if different else "sameAnimals"
    question = bench.word(family, {"value": value})
    full = f"all the animals are {value}."
    if not same:
        full = f"there are both {pluralize(names[0])} and {pluralize(names[1])}."
    facts: set[Fact] = {("named", view.ids[item], view.names[item]) for item in group}
    return _group_draft(
        bench, group, "animal", f"{'different' if different else 'same'}: type", question,
        same != different, full, "diffAnimals" if different else "sameAnimals",
        f"07{'different' if different else 'same'}-allanimals", facts,
    )  # fmt: skip
