"""What may stand before and after a noun: attributes and relations, in words and as steps."""

from __future__ import annotations

import random

from gqa_reasoner.questions.draft import Reference
from gqa_reasoner.questions.english import finite_predicate, is_plural
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.phrases import indefinite, object_form, relation_tail, strand

__all__ = ["POSSESSIVE", "agree", "filter_step", "relation_clause", "value_after", "value_before"]

POSSESSIVE = "\x00"
"""What `relation_clause` gives for "of": the owner goes before the noun."""

_BARE_INNER = frozenset(("wearing", "holding", "riding", "using", "carrying", "eating"))
_SWITCHED = {"on": "turned on", "off": "turned off"}


def value_before(
    lexicon: Lexicon, attribute_type: str, value: str, rng: random.Random
) -> tuple[str, str]:
    """An attribute as (words before the noun, words after it), `agree` still to be applied."""
    if attribute_type == "material":
        draw = rng.random()
        if draw < 0.3:
            return "", f"[that {{is}} |]made of {value}"
        if draw < 0.35:
            return "", f"made out of {value}"
        return (lexicon.material_adjective(value) if draw < 0.6 else value), ""
    synonyms = lexicon.adjective_synonyms(value)
    if synonyms and rng.random() < 0.15:
        value = rng.choice(synonyms)
    if value in _SWITCHED and rng.random() < 0.5:
        return _SWITCHED[value], ""
    if not lexicon.before_noun(value) or " down" in value:
        return "", f"that {{is}} {value}"
    return value, ""


def value_after(lexicon: Lexicon, attribute_type: str, value: str, rng: random.Random) -> str:
    """An attribute as a relative clause, `agree` still to be applied."""
    if attribute_type == "material":
        return rng.choice((f"that {{is}} made of {value}", f"made of {value}"))
    synonyms = lexicon.adjective_synonyms(value)
    if synonyms and rng.random() < 0.15:
        value = rng.choice(synonyms)
    if value.split(" ")[0].endswith("ing") or value in _SWITCHED:
        return f"that {{is}} {value}"
    return f"that {rng.choice(('{is}', '{looks}'))} {value}"


def agree(phrase: str, plural: bool, rng: random.Random) -> str:
    """The phrase with its verbs in the number of the noun."""
    if "[" in phrase:
        phrase = phrase.replace("[that {is} |]", rng.choice(("that {is} ", "")))
    return phrase.replace("{is}", "are" if plural else "is").replace(
        "{looks}", "look" if plural else "looks"
    )


def filter_step(attribute_type: str, value: str) -> tuple[str, str]:
    """The program step of an attribute."""
    return (f"filter {attribute_type}" if attribute_type else "filter", value)


def relation_clause(
    noun: str,
    person: bool,
    predicate: str,
    role: str,
    inner: Reference,
    rng: random.Random,
    *,
    quirks: bool,
) -> str | None:
    """A relation after its noun: "that is holding the bag", "the man is holding".

    Args:
        noun: the noun before it.
        person: whether the noun is a person's.
        predicate: GQA relation.
        role: `s` where the noun is the subject, `o` where it is the object.
        inner: the other end.
        rng: random source.
        quirks: also GQA's slips.

    Returns:
        The clause, `POSSESSIVE` for "of", or `None` where the pieces do not fit.
    """
    if role == "s":
        if predicate == "of":
            return POSSESSIVE if inner.bare or inner.pronoun else None
        text = object_form(inner)
        pointed = inner.text.startswith(("this", "that", "these", "those"))
        if inner.bare and predicate in _BARE_INNER and not pointed and rng.random() < 0.4:
            text = indefinite(inner)
        tail = relation_tail(predicate, is_plural(noun), person, rng, quirks=quirks)
        return f"{tail} {_other(inner, text, noun)}"
    subject = _other(inner, inner.text, noun)
    relative = rng.choice(("", "that "))
    finite = finite_predicate(predicate, inner.plural)
    stranded = strand(predicate, rng, quirks)
    if finite is not None and rng.random() < 0.35:
        return f"{relative}{subject} {finite}"
    return f"{relative}{subject} {'are' if inner.plural else 'is'} {stranded}"


def _other(inner: Reference, text: str, noun: str) -> str:
    """ "the other bag" where both nouns are the same."""
    if inner.noun == noun and text.startswith("the "):
        return f"the other {text[4:]}"
    return text
