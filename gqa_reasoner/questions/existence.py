"""Existence: "Are there any dogs?", "Is there a bag that is red?", "Do you see cats or dogs?"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, StepDraft, chain
from gqa_reasoner.questions.english import (
    is_mass,
    is_plural,
    mark,
    pluralize,
    singularize,
    with_article,
)
from gqa_reasoner.questions.phrases import object_form, relation_tail, spoken
from gqa_reasoner.questions.queries import value_clause
from gqa_reasoner.questions.verifications import operation
from gqa_reasoner.questions.view import SPATIAL

__all__ = [
    "again",
    "exist",
    "exist_attribute",
    "exist_relation",
    "existence_draft",
    "noun_slots",
    "really_has",
]

_OPPOSITE = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "in front of": "behind",
    "behind": "in front of",
}


def noun_slots(bench: Bench, name: str, object_id: str | None, before: str = "") -> dict[str, str]:
    """`{one} {many} {aone}` of a noun, with an attribute before it if given."""
    surfaces = bench.lexicon.surfaces(name)
    if surfaces and bench.rng.random() < 0.15:
        name = bench.rng.choice(surfaces)
    one, many = singularize(name), pluralize(name)
    if is_plural(one) or is_mass(one):
        many = one
    before = f"{before} " if before else ""
    article = with_article(before + one, one)
    article = article[: len(article) - len(before + one)]
    if is_mass(one) or is_plural(one):
        article = "any "
    return {
        "one": before + mark(one, object_id),
        "many": before + mark(many, object_id),
        "aone": article + before + mark(one, object_id),
        "plain_one": one,
        "plain_many": many,
    }


def again(bench: Bench, name: str) -> str:
    """How a full answer takes the name up again: "it is", "they are", "the man is"."""
    if is_plural(name):
        return "they are"
    return f"the {name} is" if bench.lexicon.is_person(name) else "it is"


def really_has(bench: Bench, place: int, kind: str, value: str, yes: bool) -> str:
    """The full answer about an object and the value that it really has."""
    verb = bench.verb(place)
    own = bench.full_name(place, definite=False)
    adjective = bench.lexicon.adjective(value, kind)
    if yes:
        return f"Yes, there {verb} {own} that {verb} {adjective}."
    return f"No, there {verb} {own} but {again(bench, bench.view.names[place])} {adjective}."


def existence_draft(
    bench: Bench,
    question: str,
    steps: Sequence[StepDraft],
    yes: bool,
    full_answer: str,
    *,
    types: tuple[str, str, str],
    group: str,
    needs: Iterable[Fact],
    reveals: Iterable[Fact] = (),
) -> Draft:
    """A yes-or-no question about what is there.

    Args:
        types: structural, semantic and detailed type.
        group: local group.
        needs: facts that the answer rests on; reveals: facts that the question gives away.
    """
    structural, semantic, detailed = types
    return Draft(
        question=question,
        steps=list(steps),
        answer="yes" if yes else "no",
        full_answer=full_answer,
        structural=structural,
        semantic=semantic,
        detailed=detailed,
        local_group=group,
        needs=frozenset(needs),
        reveals=frozenset(reveals),
        scope=("fixed",),
        pattern=bench.used,
    )


def _pick_exist(bench: Bench, slots: dict[str, str], family: str) -> str:
    """Mass nouns have no plural questions; "Are there any water" is retried."""
    one = slots["plain_one"]
    question = bench.word(family, slots)
    for _ in range(12):
        starts = question.startswith(("Are there",))
        if (is_mass(one) and (starts or question.startswith("Do you see \x02"))) or (
            is_plural(one) and question.startswith("Is there")
        ):
            question = bench.word(family, slots)
        else:
            return question
    return question


def exist(bench: Bench) -> Draft | None:
    """A name alone: there, or plausibly not there."""
    yes = bench.rng.random() < 0.5
    view = bench.view
    identity: str | None = None
    if yes:
        place = bench.place()
        name, identity = view.names[place], view.ids[place]
    else:
        absent = bench.absent_name()
        if absent is None:
            return None
        name = absent
    if name == "person" or not bench.lexicon.decoy(name):
        return None
    slots = noun_slots(bench, name, identity)
    slots["pic"] = bench.slots_picture(0.45)
    question = _pick_exist(bench, slots, "exist")
    fact: Fact = ("exists", singularize(name))
    shown = slots["aone"].removeprefix("any ")
    is_many = is_plural(slots["plain_one"])
    full = f"Yes, there {'are' if is_many else 'is'} {shown}."
    if not yes:
        full = f"No, there {'is no' if is_mass(name) else 'are no'} {slots['plain_many']}."
    select = f"{singularize(name) if not bench.strict else name} ({identity or '-'})"
    facts: tuple[Fact, ...] = (fact,) if yes else (("absent", name),)
    return existence_draft(
        bench,
        question,
        chain([("select", select), ("exist", "?")]),
        yes,
        full,
        types=("verify", "obj", "exist" if yes else "existC"),
        group=f"03-{name}",
        needs=facts,
        reveals=facts,
    )


def exist_attribute(bench: Bench) -> Draft | None:
    """ "Is there a red bag?", "Are there bags that are not small?"."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    found = bench.values(place)
    if not found:
        return None
    kind, true_value = rng.choice(found)
    name = view.names[place]
    negated = kind != "material" and rng.random() < 0.3
    yes = rng.random() < 0.5
    other = bench.other_value(place, kind, true_value)
    if other is None and (negated or not yes):
        return None
    value = true_value if yes != negated else str(other)
    pool = view.select(name)
    if bench.strict:
        having = view.filter(pool, value)
        typed = all(len(view.typed[item].get(kind, ())) == 1 for item in pool)
        if negated and (not typed or (having == pool) == yes):
            return None
        if not negated and bool(having) != yes:
            return None
        if not yes and len(pool) != 1:
            return None
    argument = f"not({value})" if negated else value
    before = not negated and rng.random() < 0.4 and bench.lexicon.before_noun(value)
    identity = view.ids[place]
    shown = bench.lexicon.material_adjective(value) if kind == "material" else value
    slots = noun_slots(bench, name, identity, shown if before else "")
    slots["pic"] = bench.slots_picture()
    slots["that_one"] = "that " + value_clause(bench, kind, value, False, negated).replace(
        "isn't", "is not"
    )
    slots["that_many"] = "that " + value_clause(bench, kind, value, True, negated).replace(
        "aren't", "are not"
    )
    if is_plural(slots["plain_one"]):
        slots["that_one"] = slots["that_many"]
    question = _pick_exist(bench, slots, "exist" if before else "existThat")
    detailed = "existAttr" if before else ("existAttrNot" if negated else "existThat")
    fact: Fact = ("value", identity, kind, true_value)
    select = singularize(name) if not bench.strict and rng.random() < 0.9 else name
    steps = [("select", f"{select} ({identity})"), (operation("filter", kind), argument)]
    return existence_draft(
        bench,
        question,
        chain([*steps, ("exist", "?")]),
        yes,
        really_has(bench, place, kind, true_value, yes),
        types=("verify", "obj", detailed + ("" if yes else "C")),
        group=f"04-{name}_{'n#' if negated else ''}{value}",
        needs=(fact,),
        reveals=(("exists", singularize(name)),),
    )


def exist_relation(bench: Bench) -> Draft | None:
    """ "Is there a dog on the couch?"; a "no" has another name or the opposite side."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    links = [link for link in view.out[place] if link[0] != "of"]
    if rng.random() < 0.6:
        links = [link for link in links if link[0] not in SPATIAL] or links
    if not links:
        return None
    predicate, other = rng.choice(links)
    name, identity = view.names[place], view.ids[place]
    draw = rng.random()
    yes = draw < 0.5
    asked, asked_id, asked_predicate = name, identity, predicate
    detailed = "existRelS"
    if not yes and draw < 0.62 and predicate in _OPPOSITE:
        asked_predicate, detailed = _OPPOSITE[predicate], "existRelSRC"
        if bench.strict and (
            len(view.select(name)) != 1
            or view.relate(frozenset((other,)), name, asked_predicate, "s")
        ):
            return None
    elif not yes:
        found = _absent_subject(bench, view.names[other], predicate)
        if found is None:
            return None
        asked, asked_id, detailed = found, "-", "existRelSC"
    reference = bench.referrer.refer(
        other, depth=2, avoid=frozenset((place,)), plain=0.4, category=0.2, pronoun=0.06
    )
    if reference is None:
        return None
    slots = noun_slots(bench, asked, asked_id if asked_id != "-" else None)
    slots["ref"] = object_form(reference)
    _add_tails(bench, slots, asked, asked_predicate)
    if reference.noun in (slots["plain_one"], slots["plain_many"]):
        return None
    question = _pick_exist(bench, slots, "existRel")
    argument_name = singularize(asked) if not bench.strict and rng.random() < 0.8 else asked
    argument = f"{argument_name},{asked_predicate},s ({asked_id})"
    fact: Fact = ("relation", identity, predicate, view.ids[other])
    needs: set[Fact] = {fact, ("named", identity, name)}
    if detailed == "existRelSC":
        needs = {("absent", asked)}
    return existence_draft(
        bench,
        question,
        chain([*reference.steps, ("relate", argument), ("exist", "?")]),
        yes,
        _relation_full(bench, (place, other), predicate, yes, detailed),
        types=("verify", "rel", detailed),
        group=f"13-{view.names[other]}_{asked}",
        needs=needs,
        reveals={fact, ("named", identity, name)} | reference.facts if yes else reference.facts,
    )


def _relation_full(
    bench: Bench, places: tuple[int, int], predicate: str, yes: bool, detailed: str
) -> str:
    """The full answer of `exist_relation`: what really stands so, or where the thing really is."""
    verb, target = bench.verb(places[0]), bench.full_name(places[1])
    if detailed == "existRelSRC":
        return f"No, {bench.full_name(places[0])} {verb} {predicate} {target}."
    own = bench.full_name(places[0], definite=False)
    return f"{'Yes' if yes else 'No'}, there {verb} {own} {predicate} {target}."


def _add_tails(bench: Bench, slots: dict[str, str], asked: str, predicate: str) -> None:
    """`{tail_one}` and `{tail_many}`: the relation after the noun, mostly without "that is"."""
    rng = bench.rng
    person = bench.lexicon.is_person(asked)
    numbers = {"tail_one": is_plural(slots["plain_one"]), "tail_many": True}
    for key, plural in numbers.items():
        tail = relation_tail(predicate, plural, person, rng)
        if not tail.startswith(("that", "who")) or rng.random() < 0.8:
            tail = spoken(predicate, rng) if bench.quirks else predicate
        slots[key] = tail


def _absent_subject(bench: Bench, target: str, predicate: str) -> str | None:
    """A name that often stands so to such an object, but is not in the picture."""
    table = bench.statistics.subjects_of.get((target, predicate))
    if table is not None and bench.rng.random() < 0.7:
        found = bench.statistics.draw(table, ("subject", target, predicate), bench.rng)
        if found is not None and not bench.present(found):
            return found
    return bench.absent_name(target)
