"""Questions whose answer needs a triple that the picture does not show."""

from __future__ import annotations

from collections.abc import Callable

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, chain
from gqa_reasoner.questions.english import is_plural
from gqa_reasoner.questions.families import Family
from gqa_reasoner.questions.knowledge_facts import (
    KnowledgeFacts,
    knowledge_clause,
    knowledge_question,
)
from gqa_reasoner.questions.phrases import object_form, relation_tail
from gqa_reasoner.questions.queries import category_words
from gqa_reasoner.questions.word_tables import TYPE_NOUNS

__all__ = ["knowledge_families"]

Key = tuple[str, str]
_VERIFIABLE = frozenset(
    ("UsedFor", "ReceivesAction", "CapableOf", "HasA", "MadeOf", "HasProperty", "AtLocation")
)


def knowledge_families(facts: KnowledgeFacts) -> tuple[Family, ...]:
    """The families over one store's triples."""

    def bound(make: Callable[[Bench, KnowledgeFacts], Draft | None]) -> Callable:
        return lambda bench: make(bench, facts)

    return (
        Family("knowledge name", bound(_name), 3, 2),
        Family("knowledge attribute", bound(_attribute), 2, 1.2),
        Family("knowledge exist", bound(_exist), 2, 1.2),
        Family("knowledge relation", bound(_relation), 2, 1.2),
        Family("knowledge verify", bound(_verify), 2, 1.5),
    )


def _pool(bench: Bench, place: int) -> tuple[str, frozenset[int]]:
    """The noun of "which object" and what it ranges over: anything, or a category."""
    view = bench.view
    categories = bench.lexicon.askable(view.names[place])
    if categories and bench.rng.random() < 0.4:
        category = bench.rng.choice(categories)
        return category, view.select(category)
    return "object", frozenset(range(len(view.ids)))


def _key(bench: Bench, facts: KnowledgeFacts, place: int, pool: frozenset[int]) -> Key | None:
    """A triple that holds of the object and of nothing else in the pool."""
    view = bench.view
    if not bench.strict:
        return bench.rng.choice(facts.all_keys)
    name = view.names[place]
    keys = facts.keys(name)
    others = {view.names[item] for item in pool if item != place}
    if not keys or name in others:
        return None
    for _ in range(6):
        key = bench.rng.choice(keys)
        if not any(facts.possible(other, key) for other in others):
            return key
    return None


def _words(bench: Bench, noun: str, key: Key, plural: bool) -> dict[str, str] | None:
    """Slots of the noun and of what is known of it."""
    one = knowledge_clause(*key, plural, bench.rng)
    if one is None:
        return None
    slots = category_words(bench, noun, plural)
    if noun == "object" and not plural:
        slots["one"] = bench.rng.choice(("object", "object", "thing"))
        slots["aone"] = bench.rng.choice(("anything", "something", "an object"))
        slots["many"] = slots["one"] + "s"
    slots["knows"] = one
    slots["knows_one"] = knowledge_clause(*key, False, bench.rng) or one
    slots["know"] = knowledge_clause(*key, True, bench.rng) or one
    slots["pic"] = bench.slots_picture()
    return slots


def _draft(
    bench: Bench, facts: KnowledgeFacts, key: Key, question: str, steps: list[tuple[str, str]],
    answer: str, full: str, structural: str, semantic: str, detailed: str, local: str,
    heads: tuple[str, ...], needs: frozenset[Fact], reveals: frozenset[Fact] = frozenset(),
    **more: object,
) -> Draft:  # fmt: skip
    relation, tail = key
    return Draft(
        question=question,
        steps=chain(steps),
        answer=answer,
        full_answer=full,
        structural=structural,
        semantic=semantic,
        detailed=detailed,
        local_group=f"16-{relation},{tail}_{local}",
        needs=needs | {("triple", *heads, relation, tail)},
        reveals=reveals,
        pattern=bench.used,
        extra={"knowledge": True, "triples": [[head, relation, tail] for head in heads]},
        **more,  # type: ignore[arg-type]
    )


def _name(bench: Bench, facts: KnowledgeFacts) -> Draft | None:
    """ "Which object can be eaten?"."""
    place = bench.place()
    noun, pool = _pool(bench, place)
    key = _key(bench, facts, place, pool)
    if key is None:
        return None
    name, identity = bench.view.names[place], bench.view.ids[place]
    plural = is_plural(name) and noun != "object"
    slots = _words(bench, noun, key, plural)
    if slots is None:
        return None
    slots = bench.mark_slots(slots, ("one",), identity)
    question = bench.word("knowledgeWhat" if noun == "object" else "knowledgeName", slots)
    fact: Fact = ("named", identity, name)
    clause = knowledge_clause(*key, is_plural(name), bench.rng)
    return _draft(
        bench, facts, key, question,
        [("select", f"{noun} ({identity})"), ("filter knowledge", ",".join(key)),
         ("query", "name")],
        name, f"{bench.full_name(place)} {clause}.", "query", "cat", "knowledgeName", noun,
        (name,), frozenset((fact,)), frozenset((fact,)),
        global_group=noun, answer_id=identity, scope=("name", noun),
    )  # fmt: skip


def _attribute(bench: Bench, facts: KnowledgeFacts) -> Draft | None:
    """ "What color is the object that can be eaten?"."""
    place = bench.place()
    noun, pool = _pool(bench, place)
    values = [item for item in bench.values(place) if item[0] in ("color", "material", "size")]
    key = _key(bench, facts, place, pool)
    if key is None or not values:
        return None
    kind, value = bench.rng.choice(values)
    name, identity = bench.view.names[place], bench.view.ids[place]
    slots = _words(bench, noun, key, is_plural(name) and noun != "object")
    if slots is None or (kind == "material" and key[0] == "MadeOf"):
        return None
    slots = bench.mark_slots(slots, ("one",), identity)
    slots["noun"] = TYPE_NOUNS[kind][0]
    fact: Fact = ("value", identity, kind, value)
    made = "made of " if kind == "material" else ""
    return _draft(
        bench, facts, key, bench.word("knowledgeAttribute", slots),
        [("select", f"{noun} ({identity})"), ("filter knowledge", ",".join(key)), ("query", kind)],
        value, f"{bench.full_name(place)} {bench.verb(place)} {made}{value}.", "query", "attr",
        "knowledgeAttribute", noun, (name,), frozenset((fact,)), frozenset((fact,)),
        global_group=kind, scope=("attribute", name, kind),
    )  # fmt: skip


def _exist(bench: Bench, facts: KnowledgeFacts) -> Draft | None:
    """ "Is there anything that can be eaten?"."""
    view = bench.view
    place = bench.place()
    noun, pool = _pool(bench, place)
    yes = bench.rng.random() < 0.5
    name, identity = view.names[place], view.ids[place]
    if yes or not bench.strict:
        keys = facts.keys(name) if bench.strict else facts.all_keys
        if not keys:
            return None
        key = bench.rng.choice(keys)
    else:
        key = bench.rng.choice(facts.all_keys)
        if any(facts.possible(view.names[item], key) for item in pool):
            return None
        identity = "-"
    slots = _words(bench, noun, key, False)
    if slots is None:
        return None
    heads = (name,) if yes else ()
    needs: frozenset[Fact] = frozenset((("named", identity, name),) if yes else ())
    full = f"Yes, {bench.full_name(place)} {knowledge_clause(*key, is_plural(name), bench.rng)}."
    if not yes:
        full = f"No, there is no {noun} that {slots['knows']}."
    return _draft(
        bench, facts, key, bench.word("knowledgeExist", slots),
        [("select", f"{noun} ({identity})"), ("filter knowledge", ",".join(key)), ("exist", "?")],
        "yes" if yes else "no", full, "verify", "obj",
        "knowledgeExist" if yes else "knowledgeExistC", noun, heads, needs, scope=("fixed",),
    )  # fmt: skip


def _relation(bench: Bench, facts: KnowledgeFacts) -> Draft | None:
    """ "What is the object on the table that can be eaten?"."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    links = [link for link in view.out[place] if link[0] != "of"]
    if not links:
        return None
    predicate, other = rng.choice(links)
    noun, _ = _pool(bench, place)
    pool = view.relate(frozenset((other,)), "_", predicate, "s")
    if noun != "object":
        pool &= view.select(noun)
    key = _key(bench, facts, place, pool)
    if key is None or (bench.strict and len(pool) < 2):
        return None
    reference = bench.referrer.refer(other, depth=1, avoid=pool | {place}, plain=0.6)
    if reference is None:
        return None
    name, identity = view.names[place], view.ids[place]
    slots = _words(bench, noun, key, is_plural(name) and noun != "object")
    if slots is None:
        return None
    slots = bench.mark_slots(slots, ("one",), identity)
    slots["ref"] = object_form(reference)
    slots["tail"] = relation_tail(predicate, False, False, rng)
    facts_used: frozenset[Fact] = frozenset(
        (("named", identity, name), ("relation", identity, predicate, view.ids[other]))
    )
    return _draft(
        bench, facts, key, bench.word("knowledgeRelate", slots),
        [*reference.steps, ("relate", f"{noun},{predicate},s ({identity})"),
         ("filter knowledge", ",".join(key)), ("query", "name")],
        name, f"{bench.full_name(place)} {knowledge_clause(*key, is_plural(name), rng)}.",
        "query", "rel", "knowledgeRelate", noun, (name,), facts_used,
        facts_used | reference.facts, global_group=noun, answer_id=identity, scope=("name", noun),
    )  # fmt: skip


def _verify(bench: Bench, facts: KnowledgeFacts) -> Draft | None:
    """ "Can the fruit on the table be eaten?", by a category or description, not by the name."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    name = view.names[place]
    yes = rng.random() < 0.5
    if bench.lexicon.is_person(name):
        return None
    keys = facts.all_keys
    if bench.strict:
        source = name if yes else view.names[bench.place()]
        keys = facts.keys(source)
        if bench.lexicon.is_person(source):
            return None
    keys = tuple(key for key in keys if key[0] in _VERIFIABLE)
    if not keys:
        return None
    key = rng.choice(keys)
    if bench.strict and not yes and facts.possible(name, key):
        return None
    reference = bench.referrer.refer(place, depth=2, plain=0.2, category=0.7)
    if reference is None or reference.pronoun:
        return None
    phrase = knowledge_question(*key, reference.text, reference.plural, rng)
    if phrase is None:
        return None
    question = bench.word("knowledgeVerify", {"knows_question": phrase})
    clause = knowledge_clause(*key, is_plural(name), rng)
    full = f"Yes, {bench.full_name(place)} {clause}."
    if not yes:
        asked = knowledge_clause(*key, is_plural(name), rng)
        full = f"No, it is not known that {bench.full_name(place)} {asked}."
    return _draft(
        bench, facts, key, question, [*reference.steps, ("verify knowledge", ",".join(key))],
        "yes" if yes else "no", full, "verify", "attr",
        "knowledgeVerify" if yes else "knowledgeVerifyC", name, (name,) if yes else (),
        frozenset((("named", view.ids[place], name),)), frozenset(reference.facts),
        scope=("fixed",),
    )  # fmt: skip
