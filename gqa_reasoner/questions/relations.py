"""Open questions about relations: "Who is holding the bag?", "What is the man wearing?"."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, Reference, chain
from gqa_reasoner.questions.english import finite_predicate, is_plural
from gqa_reasoner.questions.phrases import indefinite, object_form, relation_tail, spoken, strand
from gqa_reasoner.questions.queries import category_words
from gqa_reasoner.questions.word_tables import TYPE_NOUNS

__all__ = ["ask_object", "ask_same", "ask_subject", "plain_verb"]

_PLACE_PREDICATES = frozenset(
    ("on", "in", "at", "near", "inside", "standing on", "sitting on", "walking on", "standing in")
)
_PREPOSITIONS = frozenset(("behind", "inside", "under", "on", "in", "near", "above", "below"))
_LOCATED = frozenset(("on", "on top of", "on the edge of", "near", "behind", "inside", "under"))
_BARE = frozenset(("wearing", "holding", "riding", "using", "carrying", "eating"))
_NO_QUERY = frozenset(("of", "to the left of", "to the right of"))


def plain_verb(predicate: str) -> str | None:
    """The relation after "does": "riding on" to "ride on"."""
    return finite_predicate(predicate, True)


def _links(bench: Bench, place: int, role: str) -> list[tuple[str, int]]:
    links = bench.view.out[place] if role == "s" else bench.view.into[place]
    return [link for link in links if link[0] != "of"]


def _composed(bench: Bench, links: list[tuple[str, int]], chance: float) -> list[tuple[str, int]]:
    """Mostly composed relations: left and right hold of nearly every pair."""
    if bench.rng.random() < chance:
        found = [link for link in links if link[0] not in _NO_QUERY]
        if found:
            return found
    return links


def ask_subject(bench: Bench) -> Draft | None:
    """Query the subject: `relate: _|person|category,predicate,s`."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    by_category = rng.random() < 0.35
    links = _composed(bench, _links(bench, place, "s"), 0.9 if by_category else 1.0)
    if not by_category:
        links = [link for link in links if link[0] not in _NO_QUERY]
    if not links:
        return None
    predicate, other = rng.choice(links)
    name = view.names[place]
    person = bench.lexicon.is_person(name)
    categories = bench.lexicon.askable(name)
    if by_category and (not categories or person):
        return None
    category = rng.choice(categories) if by_category else _subject_noun(bench, name)
    places = frozenset((other,))
    if bench.strict and (
        name == view.names[other]
        or view.relate(places, category, predicate, "s") != frozenset((place,))
    ):
        return None
    if person and category == "person" and name in ("person", "people") and bench.strict:
        return None
    reference = bench.referrer.refer(
        other, depth=2, avoid=frozenset((place,)), plain=0.6, category=0.12, pronoun=0.02
    )
    if reference is None:
        return None
    question, detailed, full = _word_subject(
        bench, place, predicate, category, by_category, reference
    )
    identity = view.ids[place]
    facts: set[Fact] = {("relation", identity, predicate, view.ids[other])}
    facts.add(("named", identity, name))
    return Draft(
        question=question,
        steps=chain(
            [*reference.steps, ("relate", f"{category},{predicate},s ({identity})"),
             ("query", "name")]
        ),
        answer=name,
        full_answer=full,
        structural="query",
        semantic="rel",
        detailed=detailed,
        global_group=category if category != "_" else (categories or ("",))[0],
        local_group=f"{15 if by_category else 14}-{view.names[other]}_{predicate},s",
        answer_id=identity,
        needs=frozenset(facts),
        reveals=frozenset(facts | reference.facts),
        scope=("name", category) if category != "_" else ("subject", view.names[other], predicate),
        pattern=bench.used,
    )  # fmt: skip


def _subject_noun(bench: Bench, name: str) -> str:
    """What "who" or "what" ranges over for a subject."""
    if bench.lexicon.is_person(name):
        return "person" if bench.rng.random() < (0.9 if bench.strict else 0.8) else "_"
    return "animal" if bench.lexicon.is_animal(name) and bench.rng.random() < 0.5 else "_"


def _object_noun(bench: Bench, name: str, predicate: str) -> str:
    """What "who", "what" or "where" ranges over for an object."""
    if bench.lexicon.is_person(name):
        return "person"
    if (
        _asked_where(bench, predicate)
        and bench.rng.random() < 0.6
        and ("place" in bench.lexicon.categories(name) or not bench.strict)
    ):
        return "place"
    return "animal" if bench.lexicon.is_animal(name) and bench.rng.random() < 0.3 else "_"


def _word_subject(
    bench: Bench, place: int, predicate: str, category: str, by_category: bool,
    reference: Reference,
) -> tuple[str, str, str]:  # fmt: skip
    """Question, detailed type and full answer of `ask_subject`."""
    rng, view = bench.rng, bench.view
    plural = is_plural(view.names[place])
    slots = bench.slots(reference)
    slots["ref"] = object_form(reference)
    if predicate in _BARE and reference.bare and rng.random() < 0.45:
        slots["ref"] = indefinite(reference)
    if bench.quirks:
        predicate = spoken(predicate, rng, chance=0.07)
    finite = finite_predicate(predicate, False)
    located = f"located {predicate}" if predicate in _LOCATED and rng.random() < 0.1 else predicate
    slots["pred"] = located
    slots["vp"] = finite if finite is not None and rng.random() < 0.4 else f"is {predicate}"
    full = f"{bench.full_name(place)} {bench.verb(place)} {predicate} {_plain_text(reference)}."
    if not by_category:
        if category == "person":
            return bench.word("relSWho", slots), "relS", full
        if category == "animal":
            return bench.word("relSAnimal", slots), "relS", full
        return bench.word("relS", {**slots, "wh": "What"}), "relS", full
    words = bench.mark_slots(
        category_words(bench, category, plural), ("one", "kind"), view.ids[place]
    )
    slots.update(words)
    slots["vp_kind"] = slots["vp"]
    if plural:
        finite = finite_predicate(predicate, True)
        slots["vp"] = finite if finite is not None and rng.random() < 0.4 else f"are {predicate}"
    slots["tail"] = relation_tail(predicate, plural, False, rng)
    full = f"The {slots['one']} {slots['is']} {bench.full_name(place, definite=False)}."
    return bench.word("categoryRelS", slots), "categoryRelS", full


def _plain_text(reference: Reference) -> str:
    """The head noun with "the", for full answers."""
    from gqa_reasoner.questions.english import mark

    if reference.pronoun:
        return object_form(reference)
    return f"the {mark(reference.noun, reference.object_id)}"


def ask_object(bench: Bench) -> Draft | None:
    """Query the object: `relate: _|person|place|category,predicate,o`."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    links = [link for link in _links(bench, place, "o") if link[0] not in _NO_QUERY]
    if not links:
        return None
    predicate, subject = rng.choice(links)
    name = view.names[place]
    person = bench.lexicon.is_person(name)
    categories = bench.lexicon.askable(name)
    by_category = bool(categories) and not person and rng.random() < 0.3
    category = rng.choice(categories) if by_category else _object_noun(bench, name, predicate)
    places = frozenset((subject,))
    if bench.strict and (
        name == view.names[subject]
        or view.relate(places, category, predicate, "o") != frozenset((place,))
    ):
        return None
    if person and name in ("person", "people") and bench.strict:
        return None
    reference = bench.referrer.refer(
        subject, depth=2, avoid=frozenset((place,)), plain=0.5, category=0.15, pronoun=0.05
    )
    if reference is None:
        return None
    question = _word_object(bench, place, predicate, category, by_category, reference)
    identity = view.ids[place]
    facts: set[Fact] = {("relation", view.ids[subject], predicate, identity)}
    facts.add(("named", identity, name))
    verb = "are" if reference.plural else "is"
    known = _plain_text(reference) if not reference.pronoun else bench.full_name(subject)
    return Draft(
        question=question,
        steps=chain(
            [*reference.steps, ("relate", f"{category},{predicate},o ({identity})"),
             ("query", "name")]
        ),
        answer=name,
        full_answer=f"{known} {verb} {predicate} "
        f"{bench.full_name(place, definite=predicate not in _BARE)}.",
        structural="query",
        semantic="rel",
        detailed="categoryRelO" if by_category else "relO",
        global_group=category if by_category or person else (categories or ("",))[0],
        local_group=f"{15 if by_category else 14}-{view.names[subject]}_{predicate},o",
        answer_id=identity,
        needs=frozenset(facts),
        reveals=frozenset(facts | reference.facts),
        scope=("name", category) if category not in ("_", "place")
        else ("object", view.names[subject], predicate),
        pattern=bench.used,
    )  # fmt: skip


def _asked_where(bench: Bench, predicate: str) -> bool:
    """Whether "Where is ..." may stand for the relation; it does not say which, so mostly "on"."""
    if predicate in ("at", "near", "inside"):
        return bench.strict
    if predicate == "in" and not bench.strict:
        return bench.rng.random() < 0.3
    return predicate in _PLACE_PREDICATES


def _word_object(
    bench: Bench, place: int, predicate: str, category: str, by_category: bool,
    reference: Reference,
) -> str:  # fmt: skip
    rng = bench.rng
    slots = bench.slots(reference)
    base = plain_verb(predicate)
    words = predicate.split(" ")
    slots.update(
        strand=strand(predicate, rng, bench.quirks),
        pred=predicate,
        base_strand=strand(base or predicate, rng, bench.quirks),
        finite=finite_predicate(predicate, reference.plural) or f"{slots['is']} {predicate}",
        s=slots["s"] if category != "person" else f" {slots['is']}",
        wh="Who" if category == "person" else "What",
        wh_low="who" if category == "person" else "what",
    )
    last = words[-1]
    fronted = last in _PREPOSITIONS and len(words) <= 2 and rng.random() < 0.12
    if fronted:
        slots["prep"] = last.capitalize()
        slots["rest"] = "".join(f" {word}" for word in words[:-1])
    if by_category:
        plural = is_plural(bench.view.names[place])
        named = category_words(bench, category, plural)
        named["isone"] = named.pop("is")
        named.pop("has")
        named.pop("does")
        named.pop("aone")
        slots.update(bench.mark_slots(named, ("one", "kind"), bench.view.ids[place]))
        use_verb = base is not None and rng.random() < 0.5
        slots["aux"] = slots["does"] if use_verb else slots["is"]
        slots["plain_strand"] = slots["base_strand"] if use_verb else slots["strand"]
        return bench.word("categoryRelOPrep" if fronted else "categoryRelO", slots)
    if category == "place":
        slots["rest"] = "" if predicate in ("on", "in", "at", "near", "inside") else f" {predicate}"
        return bench.word("relOWhere", slots)
    if category == "animal":
        return bench.word("relOAnimal", slots)
    if fronted and category == "_":
        return bench.word("relOPrep", slots)
    return bench.word("relOVerb" if base is not None else "relO", slots)


def ask_same(bench: Bench) -> Draft | None:
    """ "What animal has the same color as the bag?": `relate: animal,same color,_`."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    kind = "color" if rng.random() < 0.7 else "material"
    values = view.typed[place].get(kind, ())
    categories = bench.lexicon.askable(view.names[place])
    if len(values) != 1 or not categories:
        return None
    category, value = rng.choice(categories), values[0]
    others = [
        item
        for item in range(len(view.ids))
        if item != place and (view.typed[item].get(kind) == (value,) or not bench.strict)
    ]
    if not others:
        return None
    other = rng.choice(others)
    if bench.strict:
        same = view.filter(view.select(category), value) - {other}
        if same != frozenset((place,)):
            return None
    reference = bench.referrer.refer(
        other, depth=1, avoid=frozenset((place,)), hide=frozenset(view.typed[other].get(kind, ()))
    )
    if reference is None or reference.pronoun:
        return None
    name, identity = view.names[place], view.ids[place]
    words = bench.mark_slots(
        category_words(bench, category, is_plural(name)), ("one", "kind"), identity
    )
    slots = {"ref": reference.text, "noun": TYPE_NOUNS[kind][0], **words}
    family = "sameRelate" if kind == "color" else "sameMaterialRelate"
    question = bench.word(family, slots)
    shared = "the same color as" if kind == "color" else "made of the same material as"
    facts: set[Fact] = {
        ("value", identity, kind, value),
        ("value", view.ids[other], kind, value),
        ("named", identity, name),
    }
    return Draft(
        question=question,
        steps=chain(
            [*reference.steps, ("relate", f"{category},same {kind},_ ({identity})"),
             ("query", "name")]
        ),
        answer=name,
        full_answer=f"{bench.full_name(place)} {bench.verb(place)} {shared} "
        f"{_plain_text(reference)}.",
        structural="query",
        semantic="rel",
        detailed=family,
        global_group=category,
        local_group=f"14-{view.names[other]}_same {kind},_",
        answer_id=identity,
        needs=frozenset(facts),
        reveals=frozenset(facts - {("value", identity, kind, value)} | reference.facts),
        scope=("name", category),
        pattern=bench.used,
    )  # fmt: skip
