"""Relations verified and chosen: "Is the man wearing a hat?", "Is it left or right of the bag?"."""

from __future__ import annotations

from gqa_reasoner.program.predicates import answer_word
from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, Reference, chain
from gqa_reasoner.questions.english import is_plural, with_article
from gqa_reasoner.questions.phrases import indefinite, object_form, spoken
from gqa_reasoner.questions.relations import plain_verb
from gqa_reasoner.questions.view import SPATIAL

__all__ = ["choose_relation", "verify_relation"]

_OPPOSITE = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "in front of": "behind",
    "behind": "in front of",
    "above": "under",
    "below": "above",
    "under": "above",
}
_BARE = frozenset(("wearing", "holding", "riding", "using", "carrying", "eating"))
_EXCLUSIVE = frozenset(("on", "holding", "wearing", "riding", "sitting on", "in", "lying on"))
"""Relations that a thing has to one other thing at most, so that the rest may be denied."""
_REVERSIBLE = frozenset(("to the left of", "to the right of", "in front of", "behind"))


def _link(bench: Bench, place: int) -> tuple[str, int] | None:
    links = [link for link in bench.view.out[place] if link[0] != "of"]
    if bench.rng.random() < 0.75:
        links = [link for link in links if link[0] not in SPATIAL] or links
    return bench.rng.choice(links) if links else None


def verify_relation(bench: Bench) -> Draft | None:
    """ "Is the man wearing a hat?": yes, another object, or the opposite side."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    link = _link(bench, place)
    if link is None:
        return None
    predicate, other = link
    draw = rng.random()
    if draw < 0.5:
        return _verify_true(bench, place, predicate, other)
    if draw < 0.65 and predicate in _REVERSIBLE:
        return _verify_opposite(bench, place, predicate, other)
    if draw < 0.8 and predicate in _EXCLUSIVE:
        return _verify_elsewhere(bench, place, predicate, other)
    asked = None
    table = bench.statistics.objects_of.get((view.names[place], predicate))
    if table is not None and rng.random() < 0.75:
        asked = bench.statistics.draw(table, ("object", view.names[place], predicate), rng)
    if asked is None or bench.present(asked):
        asked = bench.absent_name(view.names[other])
    if asked is None or bench.present(asked):
        return None
    depth = _subject_depth(bench, predicate)
    reference = bench.referrer.refer(place, depth=depth, plain=0.4, category=0.2, pronoun=0.08)
    if reference is None or reference.noun == asked:
        return None
    surfaces = bench.lexicon.surfaces(asked)
    word = rng.choice(surfaces) if surfaces and rng.random() < 0.15 else asked
    question = _word(bench, reference, predicate, with_article(word))
    full = f"No, {_statement(bench, place, predicate, other)}"
    return _draft(
        bench, place, other, predicate, question, full, "relVerifyCo", "no", reference,
        chain([*reference.steps, ("verify rel", f"{asked},{predicate},o (-)")]),
        local=asked, needs=frozenset((("absent", asked),)), reveals=frozenset(reference.facts),
    )  # fmt: skip


def _subject_depth(bench: Bench, predicate: str) -> int:
    """No relation in the subject before a preposition: "Is the dog near the cat near a bag?"."""
    if plain_verb(predicate) is not None or (not bench.strict and bench.rng.random() < 0.5):
        return 1
    return 0


def _verify_true(bench: Bench, place: int, predicate: str, other: int) -> Draft | None:
    rng, view = bench.rng, bench.view
    reference = bench.referrer.refer(
        place,
        depth=_subject_depth(bench, predicate),
        avoid=frozenset((other,)),
        plain=0.4,
        category=0.2,
        pronoun=0.08,
    )
    target = bench.referrer.refer(
        other, depth=0 if rng.random() < 0.7 else 1, avoid=frozenset((place,)), plain=0.8,
        category=0.0, pronoun=0.03,
    )  # fmt: skip
    name, identity = view.names[other], view.ids[other]
    if reference is None or reference.noun == name:
        return None
    if target is None or target.noun == reference.noun:
        shown = bench.full_name(other, definite=False)
    elif target.bare and not target.pronoun and rng.random() < 0.5:
        shown = indefinite(target)
    else:
        shown = object_form(target)
    question = _word(bench, reference, predicate, shown)
    full = f"Yes, {_statement(bench, place, predicate, other)}"
    fact: Fact = ("relation", view.ids[place], predicate, identity)
    return _draft(
        bench, place, other, predicate, question, full, "relVerify", "yes", reference,
        chain([*reference.steps, ("verify rel", f"{name},{predicate},o ({identity})")]),
        local=name, needs=frozenset((fact,)),
        reveals=frozenset({fact} | reference.facts),
    )  # fmt: skip


def _verify_elsewhere(bench: Bench, place: int, predicate: str, other: int) -> Draft | None:
    """A "no" about something that is in the picture: "Is the apple on the couch?"."""
    rng, view = bench.rng, bench.view
    name = view.names[other]
    taken = {item for _, item in (*view.out[place], *view.into[place])}
    taken -= {item for item in taken if not view.related(place, item) - SPATIAL}
    others = [
        item
        for item in range(len(view.ids))
        if item not in (place, other) and item not in taken and view.names[item] != name
    ]
    if not others:
        return None
    asked = rng.choice(others)
    if bench.strict and len(view.select(view.names[asked])) != 1:
        return None
    reference = bench.referrer.refer(
        place,
        depth=_subject_depth(bench, predicate),
        avoid=frozenset((asked,)),
        plain=0.4,
        category=0.2,
        pronoun=0.08,
    )
    if reference is None or reference.noun == view.names[asked]:
        return None
    shown = bench.full_name(asked, definite=rng.random() < 0.5)
    question = _word(bench, reference, predicate, shown)
    argument = f"{view.names[asked]},{predicate},o ({view.ids[asked]})"
    full = f"No, {_statement(bench, place, predicate, other)}"
    fact: Fact = ("relation", view.ids[place], predicate, view.ids[other])
    return _draft(
        bench, place, other, predicate, question, full, "relVerifyCo", "no", reference,
        chain([*reference.steps, ("verify rel", argument)]),
        local=view.names[asked], needs=frozenset((fact,)), reveals=frozenset(reference.facts),
    )  # fmt: skip


def _verify_opposite(bench: Bench, place: int, predicate: str, other: int) -> Draft | None:
    """The wrong side: GQA starts from the object and asks for the subject (`s`)."""
    view = bench.view
    asked = _OPPOSITE[predicate]
    if bench.strict and (
        (place, other) in view.pairs.get(asked, ()) or len(view.select(view.names[place])) != 1
    ):
        return None
    subject = bench.referrer.refer(
        place, depth=0, avoid=frozenset((other,)), plain=0.6, category=0.0
    )
    target = bench.referrer.refer(
        other, depth=1, avoid=frozenset((place,)), plain=0.6, category=0.15, pronoun=0.05
    )
    if subject is None or target is None or subject.noun == target.noun:
        return None
    name, identity = view.names[place], view.ids[place]
    question = _word(bench, subject, asked, object_form(target))
    full = f"No, {_statement(bench, place, predicate, other)}"
    fact: Fact = ("relation", identity, predicate, view.ids[other])
    return _draft(
        bench, other, place, asked, question, full, "relVerifyCr", "no", target,
        chain([*target.steps, ("verify rel", f"{name},{asked},s ({identity})")]),
        local=name, needs=frozenset((fact,)),
        reveals=frozenset(subject.facts | target.facts),
    )  # fmt: skip


def _far_name(bench: Bench, other: int, predicate: str) -> str:
    """The other end in a full answer: "a hat" after "is wearing", else with "the"."""
    return bench.full_name(other, definite=predicate not in _BARE)


def _statement(bench: Bench, place: int, predicate: str, other: int) -> str:
    """What is so: "the man is wearing a hat."."""
    far = _far_name(bench, other, predicate)
    return f"{bench.full_name(place)} {bench.verb(place)} {predicate} {far}."


def _word(bench: Bench, reference: Reference, predicate: str, other: str) -> str:
    shown = spoken(predicate, bench.rng) if bench.quirks else predicate
    slots = bench.slots(reference, pred=shown, other=other)
    base = plain_verb(predicate)
    if base is not None and bench.rng.random() < 0.25:
        slots["base"] = base
        return bench.word("relVerifyDoes", slots)
    return bench.word("relVerify", slots)


def _draft(
    bench: Bench, place: int, other: int, predicate: str, question: str, full: str, detailed: str,
    answer: str, reference: Reference, steps: list, *, local: str,
    needs: frozenset[Fact], reveals: frozenset[Fact],
) -> Draft:  # fmt: skip
    return Draft(
        question=question,
        steps=steps,
        answer=answer,
        full_answer=full,
        structural="verify",
        semantic="rel",
        detailed=detailed,
        local_group=f"13-{bench.view.names[place]}_{local}",
        needs=needs,
        reveals=reveals,
        scope=("fixed",),
        pattern=bench.used,
    )


def choose_relation(bench: Bench) -> Draft | None:
    """ "Is the bag to the left or to the right of the man?": `choose rel`."""
    rng, view = bench.rng, bench.view
    place = bench.place()
    links = [link for link in view.out[place] if link[0] in _OPPOSITE]
    if not links:
        return None
    predicate, other = rng.choice(links)
    wrong = _OPPOSITE[predicate]
    if bench.strict and (place, other) in view.pairs.get(wrong, ()):
        return None
    name, identity = view.names[place], view.ids[place]
    subject = bench.referrer.refer(
        place, depth=0, avoid=frozenset((other,)), plain=0.5, category=0.0, pronoun=0.03
    )
    target = bench.referrer.refer(
        other, depth=2, avoid=frozenset((place,)), plain=0.4, category=0.2, pronoun=0.05
    )
    if subject is None or target is None or subject.noun == target.noun:
        return None
    if bench.strict and len(view.select(name)) != 1:
        return None
    first, second = (predicate, wrong) if rng.random() < 0.5 else (wrong, predicate)
    both_of = first.endswith(" of") and second.endswith(" of")
    if both_of or (first == "in front of" and rng.random() < 0.6):
        first = first.removesuffix(" of")
    slots = bench.slots(subject)
    slots.update(subject=subject.text, first=first, second=second, ref=object_form(target))
    question = bench.word("relChooser", slots)
    fact: Fact = ("relation", identity, predicate, view.ids[other])
    answer = answer_word(predicate)
    argument = f"{name},{predicate}|{wrong},s ({identity})"
    return Draft(
        question=question,
        steps=chain([*target.steps, ("choose rel", argument)]),
        answer=answer,
        full_answer=f"{bench.full_name(place)} {'are' if is_plural(name) else 'is'} {predicate} "
        f"{_far_name(bench, other, predicate)}.",
        structural="choose",
        semantic="rel",
        detailed="relChooser",
        local_group=f"13-{view.names[other]}_{name}",
        needs=frozenset((fact,)),
        reveals=frozenset({fact} | subject.facts | target.facts),
        valid=(answer, answer_word(wrong)),
        scope=("alternatives",),
        pattern=bench.used,
    )  # fmt: skip
