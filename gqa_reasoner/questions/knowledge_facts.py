"""Which triples questions are made of, and how they are said.

A knowledge question rests on a triple that the picture does not show. It is asked only where the
store decides it: one object that the triple is known of, and no other of which it may hold.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

from gqa_reasoner.questions.english import singularize, with_article
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.word_tables import ASKABLE_CATEGORIES
from gqa_reasoner.questions.wordlists import words

if TYPE_CHECKING:
    from knowledge.store import TripleStore

__all__ = ["RELATIONS", "KnowledgeFacts", "knowledge_clause", "knowledge_question"]

RELATIONS = (
    "UsedFor",
    "ReceivesAction",
    "CapableOf",
    "HasA",
    "MadeOf",
    "HasProperty",
    "AtLocation",
    "IsA",
    "SymbolOf",
    "Desires",
    "HasPrerequisite",
)
_ON = frozenset(
    words(
        "beach table floor street road head wall desk farm roof highway dock foot sidewalk "
        "ground shelf counter plate ceiling carpet coast shore"
    )
)
_VISIBLE_TYPES = frozenset(
    ("color", "size", "shape", "length", "height", "gender", "age", "face expression")
)


def knowledge_clause(relation: str, tail: str, plural: bool, rng: random.Random) -> str | None:
    """What a noun does, by a triple: "can be used for sitting", "has a tail"."""
    be = "are" if plural else "is"
    usually = rng.choice(("usually", "often", "typically"))
    if relation == "UsedFor":
        return rng.choice(("can be used for ", f"{be} used for ")) + tail
    if relation == "ReceivesAction":
        return f"can be {tail}"
    if relation == "CapableOf":
        return f"{rng.choice(('can', 'is able to' if not plural else 'are able to'))} {tail}"
    if relation == "HasA":
        have = rng.choice(("have", "usually have") if plural else ("has", "usually has"))
        return f"{have} {with_article(tail)}"
    if relation == "MadeOf":
        return rng.choice((f"{be} {usually} made of {tail}", f"{be} made of {tail} {usually}"))
    if relation == "HasProperty":
        return f"{be} {usually} {tail}"
    if relation == "AtLocation":
        return f"{be} {usually} found {'on' if tail in _ON else 'in'} the {tail}"
    if relation == "IsA":
        return f"{be} a kind of {tail}" if rng.random() < 0.5 else f"{be} {with_article(tail)}"
    if relation == "SymbolOf":
        return f"{be} a symbol of {tail}"
    if relation == "Desires":
        return f"{'like' if plural else 'likes'} {tail}"
    if relation == "HasPrerequisite":
        return f"{'need' if plural else 'needs'} {tail}"
    return None


def knowledge_question(
    relation: str, tail: str, subject: str, plural: bool, rng: random.Random
) -> str | None:
    """The yes-no question of a triple: "can the bench be used for sitting"."""
    be, do = ("are", "do") if plural else ("is", "does")
    usually = rng.choice(("usually", "often", "typically"))
    if relation == "UsedFor":
        return rng.choice((f"can {subject} be used for {tail}", f"{be} {subject} used for {tail}"))
    if relation == "ReceivesAction":
        return f"can {subject} be {tail}"
    if relation == "CapableOf":
        return rng.choice((f"can {subject} {tail}", f"{be} {subject} able to {tail}"))
    if relation == "HasA":
        return f"{do} {subject} {usually} have {with_article(tail)}"
    if relation == "MadeOf":
        return f"{be} {subject} {usually} made of {tail}"
    if relation == "HasProperty":
        return f"{be} {subject} {usually} {tail}"
    if relation == "AtLocation":
        return f"{be} {subject} {usually} found {'on' if tail in _ON else 'in'} the {tail}"
    return None


class KnowledgeFacts:
    """The askable triples of a store, by head."""

    def __init__(self, store: TripleStore, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.store = store
        heads: dict[tuple[str, str], set[str]] = defaultdict(set)
        for triple in store:
            if triple.relation in RELATIONS and self._askable(triple.relation, triple.tail):
                heads[triple.relation, triple.tail].add(triple.head)
        self._heads = {key: frozenset(names) for key, names in heads.items()}
        by_head: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for key in sorted(self._heads):
            for name in self._heads[key]:
                by_head[name].append(key)
        self._by_head = {name: tuple(sorted(keys)) for name, keys in by_head.items()}
        self.all_keys = tuple(key for key, names in sorted(self._heads.items()) if len(names) > 1)
        self._known: dict[str, tuple[tuple[str, str], ...]] = {}
        self._possible: dict[tuple[str, str, str], bool] = {}

    def _askable(self, relation: str, tail: str) -> bool:
        if relation == "HasProperty":
            return not _VISIBLE_TYPES & set(self.lexicon.ontology.attribute_types(tail))
        if relation == "IsA":
            return tail not in ASKABLE_CATEGORIES and tail not in ("living thing", "object")
        if relation == "AtLocation":
            return " " not in tail or tail in ("living room", "parking lot", "dining room")
        return len(tail.split(" ")) <= 4

    def keys(self, name: str) -> tuple[tuple[str, str], ...]:
        """(relation, tail) pairs that the store has of the name itself or its canonical form."""
        known = self._known.get(name)
        if known is None:
            names = dict.fromkeys((name, self.lexicon.ontology.canonical(name)))
            found = dict.fromkeys(key for word in names for key in self._by_head.get(word, ()))
            known = self._known[name] = tuple(found)
        return known

    def holds(self, name: str, key: tuple[str, str]) -> bool:
        """Whether the store has the triple of this name."""
        return key in self.keys(name)

    def possible(self, name: str, key: tuple[str, str]) -> bool:
        """Whether the triple might be true: of the name, its singular, a category or synonym."""
        memo = (name, *key)
        known = self._possible.get(memo)
        if known is None:
            words = {name, singularize(name), *self.lexicon.nouns(name)}
            words |= set(self.lexicon.categories(name))
            known = self._possible[memo] = bool(words & self._heads.get(key, frozenset()))
        return known
