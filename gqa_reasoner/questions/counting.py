"""How many: `query: count`, which is this project's extension of GQA's language."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, Reference, chain
from gqa_reasoner.questions.english import is_mass, is_plural, singularize
from gqa_reasoner.questions.existence import noun_slots
from gqa_reasoner.questions.phrases import object_form, spoken
from gqa_reasoner.questions.queries import value_clause
from gqa_reasoner.questions.verifications import operation
from gqa_reasoner.questions.word_tables import ASKABLE_CATEGORIES

__all__ = ["ask_count"]


def ask_count(bench: Bench) -> Draft | None:
    """ "How many dogs are there?", with an attribute or a relation at times."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    noun = _noun(bench, place)
    pool = view.select(noun)
    if is_mass(noun) or (bench.strict and any(is_plural(view.names[item]) for item in pool)):
        return None
    draw = rng.random()
    slots = noun_slots(bench, noun, None)
    slots["pic"], slots["inpic"] = bench.slots_picture(), bench.slots_picture(0.0)
    if draw < 0.5:
        question = bench.word("count", slots)
        return _draft(bench, noun, question, [], pool, "count")
    if draw < 0.75:
        return _with_value(bench, place, noun, pool, slots)
    return _with_relation(bench, place, noun, slots)


def _noun(bench: Bench, place: int) -> str:
    name = bench.view.names[place]
    if bench.lexicon.is_person(name) and bench.rng.random() < 0.4:
        return "person"
    found = [word for word in bench.lexicon.categories(name) if word in ASKABLE_CATEGORIES]
    if found and bench.rng.random() < 0.2:
        return bench.rng.choice(found)
    return singularize(name)


def _with_value(
    bench: Bench, place: int, noun: str, pool: frozenset[int], slots: dict[str, str]
) -> Draft | None:
    found = bench.verifiable(place)
    if not found:
        return None
    kind, value = bench.rng.choice(found)
    counted = bench.view.filter(pool, value)
    if bench.lexicon.before_noun(value) and kind != "material" and bench.rng.random() < 0.5:
        before = noun_slots(bench, noun, None, value)
        before["pic"], before["inpic"] = slots["pic"], slots["inpic"]
        question = bench.word("count", before)
    else:
        slots["that_many"] = value_clause(bench, kind, value, True, False)
        question = bench.word("countThat", slots)
    steps = [(operation("filter", kind), value)]
    return _draft(bench, noun, question, steps, counted, "countAttr")


def _with_relation(bench: Bench, place: int, noun: str, slots: dict[str, str]) -> Draft | None:
    rng, view = bench.rng, bench.view
    links = [link for link in view.out[place] if link[0] != "of"]
    if not links:
        return None
    predicate, other = rng.choice(links)
    reference = bench.referrer.refer(other, depth=1, avoid=frozenset((place,)), plain=0.5)
    if reference is None or reference.noun in (slots["plain_one"], slots["plain_many"]):
        return None
    slots["tail_many"] = spoken(predicate, rng) if bench.quirks else predicate
    slots["ref"] = object_form(reference)
    counted = view.relate(frozenset((other,)), noun, predicate, "s")
    steps = [("relate", f"{noun},{predicate},s")]
    return _draft(bench, noun, bench.word("countRel", slots), steps, counted, "countRel", reference)


def _draft(
    bench: Bench,
    noun: str,
    question: str,
    steps: list[tuple[str, str]],
    counted: frozenset[int],
    detailed: str,
    reference: Reference | None = None,
) -> Draft:
    view = bench.view
    identities = ",".join(view.ids[item] for item in sorted(counted)) or "-"
    if reference is not None:
        operation_name, argument = steps[0]
        program = [*reference.steps, (operation_name, f"{argument} ({identities})")]
    else:
        selected = ",".join(view.ids[item] for item in sorted(view.select(noun))) or "-"
        program = [("select", f"{noun} ({selected})"), *steps]
    number = str(len(counted))
    fact: Fact = ("count", noun, *(value for _, value in steps), number)
    return Draft(
        question=question,
        steps=chain([*program, ("query", "count")]),
        answer=number,
        full_answer=f"There {'is' if number == '1' else 'are'} {number}.",
        structural="query",
        semantic="obj",
        detailed=detailed,
        global_group="count",
        local_group=f"17-{noun}",
        needs=frozenset((fact,)),
        reveals=frozenset((fact,)),
        valid=tuple(str(value) for value in range(6)),
        scope=("fixed",),
        pattern=bench.used,
        extra={"extension": "count"},
    )
