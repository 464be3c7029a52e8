"""Verb forms that the paraphrase rules need."""

from __future__ import annotations

import re

from gqa_reasoner.program.parsing.morphology import gerund, participle
from gqa_reasoner.program.parsing.words import BASE_VERBS

__all__ = ["BASE_OF", "IMAGE_TAIL", "base_form", "finite_form", "is_plural_be", "participle_of"]

BASE_OF: dict[str, str] = {gerund(verb): verb for verb in BASE_VERBS}
"""-ing form → base form of the verbs that relations are made of."""
IMAGE_TAIL = re.compile(r" (?:in|on) (?:the|this) (?:picture|image|photo|photograph|scene)$")
"""`in the picture` at the end."""


def base_form(doing: str) -> str:
    """`holding` → `hold`."""
    return BASE_OF[doing]


def finite_form(doing: str) -> str:
    """`holding` → `holds`."""
    base = BASE_OF[doing]
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("ch", "sh", "s", "x", "z")) else "s")


def participle_of(doing: str) -> str:
    """`holding` → `held`."""
    return participle(BASE_OF[doing])


def is_plural_be(verb: str) -> bool:
    """Whether a form of "be" stands with plurals."""
    return verb.lower() in ("are", "were")
