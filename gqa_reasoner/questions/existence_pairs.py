"""Two things at once: "Are there both cats and dogs?", "Do you see white cats or dogs?"."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, StepDraft, chain, merge
from gqa_reasoner.questions.english import is_plural, singularize, with_article
from gqa_reasoner.questions.existence import existence_draft, noun_slots, really_has
from gqa_reasoner.questions.queries import value_clause
from gqa_reasoner.questions.verifications import operation

__all__ = ["exist_attribute_either", "exist_both", "exist_either"]


def _two_names(bench: Bench, here: int) -> list[tuple[str, str | None]] | None:
    """Two different names, `here` of them in the picture, as (name, object id)."""
    view = bench.view
    chosen: list[tuple[str, str | None]] = []
    for number in range(2):
        if number < here:
            place = bench.place()
            chosen.append((view.names[place], view.ids[place]))
        else:
            near = chosen[0][0] if chosen else None
            absent = bench.absent_name(near)
            if absent is None:
                return None
            chosen.append((absent, None))
    first, second = (bench.lexicon.nouns(name) for name, _ in chosen)
    if first & second & {chosen[0][0], chosen[1][0]}:
        return None
    if any(name in ("person", "people") or not bench.lexicon.decoy(name) for name, _ in chosen):
        return None
    return chosen


def _select(bench: Bench, name: str, identity: str | None) -> tuple[str, str]:
    return ("select", f"{singularize(name) if not bench.strict else name} ({identity or '-'})")


def _exist_pair(bench: Bench, chosen: list[tuple[str, str | None]]) -> list[StepDraft]:
    first, second = (
        chain([_select(bench, name, identity), ("exist", "?")]) for name, identity in chosen
    )
    return merge(first, second)


def _pair_slots(
    bench: Bench, chosen: list[tuple[str, str | None]]
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Slots of two nouns in either order of mention, and the nouns in program order."""
    both = [noun_slots(bench, name, identity) for name, identity in chosen]
    spoken = both if bench.rng.random() < 0.5 else both[::-1]
    x, y = spoken
    slots = {
        "x": x["one"],
        "y": y["one"],
        "xs": x["many"],
        "ys": y["many"],
        "ax": x["aone"],
        "ay": y["aone"],
        "pic": bench.slots_picture(),
    }
    return slots, both


def exist_both(bench: Bench) -> Draft | None:
    """ "Are there both cats and dogs?"."""
    yes = bench.rng.random() < 0.55
    chosen = _two_names(bench, 2 if yes else 1)
    if chosen is None:
        return None
    slots, both = _pair_slots(bench, chosen)
    many = bench.rng.random() < 0.5
    key = "many" if many else "aone"
    slots["x"], slots["y"] = (
        (both[0][key], both[1][key]) if bench.rng.random() < 0.5 else (both[1][key], both[0][key])
    )
    if "any " in slots["x"] + slots["y"]:
        slots["x"], slots["y"] = slots["x"].replace("any ", ""), slots["y"].replace("any ", "")
    steps = [*_exist_pair(bench, chosen), ("and", "", (1, 3))]
    names = sorted(name for name, _ in chosen)
    first, second = (item["aone"].removeprefix("any ") for item in both)
    is_many = is_plural(both[0]["plain_one"])
    full = f"Yes, there are both {first} and {second}."
    if not yes:
        full = f"No, there {'are' if is_many else 'is'} {first} but no {both[1]['plain_many']}."
    needs: set[Fact] = {("exists", singularize(name)) for name, _ in chosen}
    if not yes:
        needs = {("absent", chosen[1][0])}
    return existence_draft(
        bench,
        bench.word("existAnd", slots),
        steps,
        yes,
        full,
        types=("logical", "obj", "existAnd" if yes else "existAndC"),
        group=f"09existAnd-{names[0]}_{names[1]}",
        needs=needs,
        reveals=needs if yes else (),
    )


def exist_either(bench: Bench) -> Draft | None:
    """ "Do you see cats or dogs?"; a "yes" mostly has one of them."""
    yes = bench.rng.random() < 0.5
    chosen = _two_names(bench, 1 if yes else 0)
    if chosen is None:
        return None
    slots, both = _pair_slots(bench, chosen)
    steps = [*_exist_pair(bench, chosen), ("or", "", (1, 3))]
    names = sorted(name for name, _ in chosen)
    first = both[0]["aone"].removeprefix("any ")
    full = f"Yes, there {'are' if is_plural(both[0]['plain_one']) else 'is'} {first}."
    if not yes:
        full = f"No, there are no {both[0]['plain_many']} or {both[1]['plain_many']}."
    needs: set[Fact] = {("exists", singularize(chosen[0][0]))}
    if not yes:
        needs = {("absent", name) for name, _ in chosen}
    return existence_draft(
        bench,
        bench.word("existOr", slots),
        steps,
        yes,
        full,
        types=("logical", "obj", "existOr" if yes else "existOrC"),
        group=f"09existOr-{names[0]}_{names[1]}",
        needs=needs,
        reveals=needs if not yes else (),
    )


def exist_attribute_either(bench: Bench) -> Draft | None:
    """ "Are there white cats or dogs?", "Is there a plate or a can that is made of metal?"."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    found = bench.values(place)
    if not found:
        return None
    kind, true_value = rng.choice(found)
    name, identity = view.names[place], view.ids[place]
    yes = rng.random() < 0.5
    negated = kind != "material" and rng.random() < 0.12
    value = true_value
    if yes == negated:
        other = bench.other_value(place, kind, true_value)
        if other is None:
            return None
        value = other
    absent = bench.absent_name(name)
    if absent is None or absent == name or name in ("person", "people"):
        return None
    if bench.lexicon.is_person(absent) != bench.lexicon.is_person(name):
        return None
    if bench.strict and len(view.select(name)) != 1:
        return None
    argument = f"not({value})" if negated else value
    before = not negated and rng.random() < 0.7 and bench.lexicon.before_noun(value)
    chosen: list[tuple[str, str | None]] = [(name, identity), (absent, None)]
    slots, _ = _pair_slots(bench, chosen)
    shown = bench.lexicon.material_adjective(value) if kind == "material" else value
    slots["value"] = shown
    slots["avalue"] = with_article(shown)
    slots["that_one"] = "that " + value_clause(bench, kind, value, False, negated)
    slots["that_many"] = "that " + value_clause(bench, kind, value, True, negated)
    steps = merge(
        chain([_select(bench, name, identity), (operation("filter", kind), argument),
               ("exist", "?")]),
        chain([_select(bench, absent, None), (operation("filter", kind), argument),
               ("exist", "?")]),
    )  # fmt: skip
    steps.append(("or", "", (2, 5)))
    family = "existAttrOr" if before else "existThatOr"
    fact: Fact = ("value", identity, kind, true_value)
    needs: set[Fact] = {fact} if yes else {fact, ("absent", absent)}
    return existence_draft(
        bench,
        bench.word(family, slots),
        steps,
        yes,
        really_has(bench, place, kind, true_value, yes),
        types=("logical", "obj", family + ("" if yes else "C")),
        group=f"04-{name}_{'n#' if negated else ''}{value}",
        needs=needs,
    )
