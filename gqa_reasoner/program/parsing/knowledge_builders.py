"""Values of a question about what is known of things → programs; see `builders`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gqa_reasoner.program.parsing.builders import Builder, Outcome, ask, on_last
from gqa_reasoner.program.parsing.checks import EXIST


def knowledge_name(values: Sequence[Any]) -> Outcome:
    """`Which object can be eaten`: category, (relation, tail), alternatives."""
    category, known, alternatives = values
    chain = (("select", category), ("filter knowledge", ",".join(known)))
    yield from ask(chain, "name", alternatives)


def knowledge_phrase(values: Sequence[Any]) -> Outcome:
    """`Which food on the table can be eaten`: phrase, (relation, tail), alternatives."""
    phrase, known, alternatives = values
    yield from ask((*phrase.chain, ("filter knowledge", ",".join(known))), "name", alternatives)


def knowledge_exist(values: Sequence[Any]) -> Outcome:
    """`Is there anything that can be eaten`: category, (relation, tail)."""
    category, known = values
    yield on_last((("select", category),), ("filter knowledge", ",".join(known)), EXIST), ()


def knowledge_attribute(values: Sequence[Any]) -> Outcome:
    """`What color is the thing that can be eaten`: type, category, (relation, tail)."""
    kind, category, known = values
    chain = (("select", category), ("filter knowledge", ",".join(known)))
    yield from ask(chain, kind, None)


def knowledge_verify(relation: str) -> Builder:
    """`Can the bench be used for sitting`: phrase, tail."""

    def build(values: Sequence[Any]) -> Outcome:
        phrase, tail = values
        yield on_last(phrase.chain, ("verify knowledge", f"{relation},{tail}")), ()

    return build
