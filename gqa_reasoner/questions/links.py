"""Entailed and equivalent questions of one scene, from the facts that questions rest on.

A question with its answer states facts (`Draft.reveals`). Another is entailed when those state
everything that its answer follows from (`Draft.needs`): "Is the bag red and small? yes" entails
"What color is the bag?". Two questions that entail each other with the same answer are equivalent.
"""

from __future__ import annotations

from collections.abc import Sequence

from gqa_reasoner.questions.draft import Draft, Fact
from gqa_reasoner.questions.english import singularize

__all__ = ["close_facts", "link"]

_INVERSE = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "in front of": "behind",
    "behind": "in front of",
    "above": "below",
    "below": "above",
}


def close_facts(facts: frozenset[Fact]) -> frozenset[Fact]:
    """The facts and what follows at once: a named object exists, left of is right of turned."""
    closed = set(facts)
    for fact in facts:
        if fact[0] == "named":
            closed.add(("exists", singularize(fact[2])))
        elif fact[0] == "relation" and fact[2] in _INVERSE:
            closed.add(("relation", fact[3], _INVERSE[fact[2]], fact[1]))
    return frozenset(closed)


def link(drafts: Sequence[Draft]) -> tuple[list[list[int]], list[list[int]]]:
    """For every draft the positions of those it entails, and of those equivalent to it.

    Entailed lists leave the draft itself out, equivalent lists include it, as in GQA.
    """
    revealed = [close_facts(draft.reveals) for draft in drafts]
    entailed = [
        [
            other
            for other, draft in enumerate(drafts)
            if other != number and draft.needs and draft.needs <= revealed[number]
        ]
        for number in range(len(drafts))
    ]
    sets = [set(items) for items in entailed]
    equivalent = [
        [
            other
            for other in range(len(drafts))
            if other == number
            or (
                other in sets[number]
                and number in sets[other]
                and drafts[other].answer == drafts[number].answer
            )
        ]
        for number in range(len(drafts))
    ]
    return entailed, equivalent
