"""The pieces that references and questions share: picture tails, positions, relations in words."""

from __future__ import annotations

import random

from gqa_reasoner.questions.draft import Reference
from gqa_reasoner.questions.english import finite_predicate, mark, with_article

__all__ = [
    "PICTURES",
    "indefinite",
    "location_phrase",
    "object_form",
    "picture",
    "relation_tail",
    "spoken",
    "strand",
]

PICTURES = ("picture", "image", "photo", "photograph", "scene")
_SIDES = ("picture", "image", "photo")


def picture(rng: random.Random, *, bare: float = 0.5) -> str:
    """ " in this picture" and the like, or nothing with probability `bare`."""
    if rng.random() < bare:
        return ""
    return f" in {rng.choice(('the', 'the', 'this'))} {rng.choice(PICTURES)}"


def location_phrase(value: str, rng: random.Random) -> str:
    """A position as a modifier: "on the left side of the photo", "in the top of the image"."""
    tail = f" of the {rng.choice(_SIDES)}"
    short = rng.random() < 0.5
    if value in ("left", "right"):
        side = rng.choice(("", " side"))
        return f"on the {value}{side}{'' if short else tail}"
    if value == "middle":
        return f"in the {rng.choice(('middle', 'center'))}{'' if short else tail}"
    return f"in the {value}{rng.choice(('', ' part'))}{tail}"


_OTHER_WORDS = {
    "bigger than": ("larger than",),
    "next to": ("beside", "adjacent to"),
    "lying next to": ("lying beside",),
    "standing next to": ("standing beside",),
    "to the right of": ("on the right of", "right of", "on the right side of"),
    "to the left of": ("on the left of", "left of", "on the left side of"),
    "in front of": ("before",),
    "under": ("underneath", "beneath"),
    "above": ("over",),
    "near": ("close to",),
}


def spoken(predicate: str, rng: random.Random, *, chance: float = 0.06) -> str:
    """The relation, or with a small chance other words for it ("larger than")."""
    if predicate in _OTHER_WORDS and rng.random() < chance:
        return rng.choice(_OTHER_WORDS[predicate])
    return predicate


def relation_tail(
    predicate: str, plural: bool, person: bool, rng: random.Random, *, quirks: bool = False
) -> str:
    """The relation between a noun and what follows it: "that is holding", "behind", "who wears".

    Args:
        predicate: GQA relation.
        plural: number of the noun before it.
        person: whether "who" fits.
        rng: random source.
        quirks: also GQA's slips ("that to the left of").
    """
    if quirks:
        predicate = spoken(predicate, rng)
    verb = "are" if plural else "is"
    relative = "who" if person and rng.random() < 0.25 else "that"
    finite = finite_predicate(predicate, plural)
    draw = rng.random()
    if finite is None:
        if quirks and draw < 0.04:
            return f"{relative} {predicate}"
        return predicate if draw < 0.6 else f"{relative} {verb} {predicate}"
    if draw < 0.62:
        return f"{relative} {verb} {predicate}"
    if draw < 0.84:
        return f"{relative} {finite}"
    return predicate


def object_form(reference: Reference) -> str:
    """The phrase after a verb or preposition: "him" for "he"."""
    if reference.pronoun:
        word = "him" if reference.noun == "he" else "her"
        return mark(word, reference.object_id)
    return reference.text


def indefinite(reference: Reference) -> str:
    """ "a bag" or "trousers" for "the bag", "the trousers"."""
    return mark_article(reference.core, reference.noun)


def mark_article(core: str, noun: str) -> str:
    """The indefinite article before a marked phrase."""
    start = core.index("\x03") + 1
    first = with_article(core[start:].split("\x04")[0], noun)
    plain = core[start:].split("\x04")[0]
    return first[: len(first) - len(plain)] + core


def strand(predicate: str, rng: random.Random, quirks: bool) -> str:
    """The relation at the end of its clause; GQA often writes "behind of", "off of"."""
    if quirks:
        predicate = spoken(predicate, rng)
    if predicate.endswith(" off"):
        return predicate + " of"
    if (
        quirks
        and predicate.split(" ")[-1] in ("behind", "inside", "beside", "under")
        and rng.random() < 0.6
    ):
        return predicate + " of"
    return predicate
