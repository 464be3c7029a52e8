"""Commonsense categories: which object names fit "something edible", "something that can fly".

A phrase becomes demands (relation, verb or word); a name fits where a triple of the store says so.
What a thing undergoes ("to eat") asks for ReceivesAction first; where it is used ("to sit on",
"to cook with") asks for UsedFor, so that a fork is not something to eat. A name without a triple
of that relation inherits from its categories, nearest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowledge.lemmas import Lemmatizer

if TYPE_CHECKING:
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["Demand", "fitting_names", "known_names", "read_demand"]

_THING = r"(?:some ?thing|any ?thing|(?:some|any|an?|the)? ?(?:things?|objects?|items?)|what)"
_WHO = r"(?:you|we|i|one|people|someone|somebody|a person|persons|they)"
_CAN = r"(?:can|could|may|might)"
_PLACES = ("on", "in", "with", "from", "at", "into", "onto", "under", "out of", "inside", "by")
_VERB = rf"(?P<verb>[a-z]+)(?: (?P<place>{'|'.join(_PLACES)}))?"
_FORMS: tuple[tuple[str, str], ...] = (
    ("use", rf"{_THING} (?:that |which )?(?:can be |is |are )?used (?:for|to) {_VERB}"),
    ("use", rf"{_THING} for (?P<verb>[a-z]+ing)(?: (?P<place>on|in|with|at))?"),
    ("undergo", rf"{_THING} (?:that |which )?{_CAN} be {_VERB}"),
    ("undergo", rf"{_THING} (?:that |which )?{_WHO} {_CAN} {_VERB}"),
    ("undergo", rf"{_THING} (?:that |which )?{_WHO} {_VERB}"),
    ("undergo", rf"{_THING} to {_VERB}"),
    ("able", rf"{_THING} (?:that |which )?{_CAN} (?P<verb>[a-z ]+)"),
    ("able", rf"{_THING} (?:that is |which is |that are )?able to (?P<verb>[a-z ]+)"),
    ("have", rf"{_THING} (?:that |which )?(?:has|have|with) (?:an? )?(?P<verb>[a-z ]+)"),
    ("be", rf"{_THING} (?:that is |that's |which is |that are )?(?P<verb>[a-z]+)"),
)
_ABLE = {"edible": "eat", "potable": "drink", "drinkable": "drink", "portable": "carry",
         "legible": "read", "flammable": "burn"}  # fmt: skip


_EMPTY = frozenset(
    ("a", "an", "the", "be", "one", "two", "three", "four", "six", "eight", "many", "some")
)


@dataclass(frozen=True)
class Demand:
    """What is wanted of a thing: any of these (relation, tail); tails are compared by lemmas.

    `first` is tried before `then`, which counts only where `first` fits no name at all.
    """

    text: str
    first: tuple[tuple[str, str], ...]
    then: tuple[tuple[str, str], ...] = ()
    weak: bool = False
    """Whether it is an adjective, which may as well be something to see."""


def read_demand(phrase: str) -> Demand | None:
    """A phrase such as "something you can sit on" as a demand; None where it is none."""
    text = " ".join(phrase.lower().split())
    for kind, pattern in _FORMS:
        found = re.fullmatch(pattern, text)
        if found is not None:
            parts = found.groupdict()
            return _demand(kind, parts["verb"], parts.get("place"), text)
    return None


def _demand(kind: str, word: str, place: str | None, text: str) -> Demand | None:
    if kind == "be":
        verb = _ABLE.get(word) or (word[:-4] if len(word) > 6 and word.endswith("able") else None)
        if verb is not None:
            return Demand(text, (("HasProperty", word), ("ReceivesAction", verb)), weak=True)
        return Demand(text, (("HasProperty", word),), weak=True)
    if kind == "able":
        return Demand(text, (("CapableOf", word),))
    if kind == "have":
        return Demand(text, (("HasA", word),))
    used = ("UsedFor", word)
    if kind == "use" or place is not None:
        return Demand(text, (used,), (("ReceivesAction", word),))
    lemma = Lemmatizer.default().lemma(word)
    able = [adjective for adjective, verb in _ABLE.items() if verb == lemma]
    first = (("ReceivesAction", word), *(("HasProperty", adjective) for adjective in able))
    return Demand(text, first, (used, ("CapableOf", word)))


def fitting_names(
    demand: Demand, names: Iterable[str], store: TripleStore, ontology: Ontology
) -> list[str]:
    """The names that the store says fit."""
    listed = list(names)
    for group in (demand.first, demand.then):
        found = dict.fromkeys(
            name
            for relation, tail in group
            for name in known_names(relation, tail, listed, store, ontology)
        )
        if found:
            return list(found)
    return []


def known_names(
    relation: str, tail: str, names: Iterable[str], store: TripleStore, ontology: Ontology
) -> list[str]:
    """The names with a triple (name, relation, tail), own or inherited."""
    lemmatizer = Lemmatizer.default()
    wanted = _key(lemmatizer, tail)
    found = []
    for name in names:
        for word in (ontology.canonical(name), *ontology.categories(name)[:-1]):
            tails = [
                edge.tail
                for edge in store.edges(word, direction="out")
                if edge.relation == relation
            ]
            if tails:
                if any(_key(lemmatizer, item) == wanted for item in tails):
                    found.append(name)
                break
    return found


def _key(lemmatizer: Lemmatizer, text: str) -> tuple[str, ...]:
    """Lemmas without articles, numbers and a final preposition: "sitting on" is "sit"."""
    words = [word for word in lemmatizer.lemmas(text) if word not in _EMPTY]
    while len(words) > 1 and words[-1] in _PLACES:
        words.pop()
    return tuple(words)
