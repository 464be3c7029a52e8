"""Question templates: `[a|b|]` chooses, `{slot}` fills; compiled once, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["count_variants", "expand", "render"]

Node = str | tuple["tuple[Node, ...]", ...]


@lru_cache(maxsize=4096)
def _compile(template: str) -> tuple[Node, ...]:
    sequence, position = _sequence(template, 0)
    if position != len(template):
        raise ValueError(f"template {template!r}: unbalanced bracket at {position}")
    return sequence


def _sequence(template: str, position: int) -> tuple[tuple[Node, ...], int]:
    """Read up to an unmatched `|` or `]`."""
    nodes: list[Node] = []
    text = position
    while position < len(template) and template[position] not in "|]":
        if template[position] == "[":
            nodes.append(template[text:position])
            options: list[tuple[Node, ...]] = []
            position += 1
            while True:
                option, position = _sequence(template, position)
                options.append(option)
                if position >= len(template):
                    raise ValueError(f"template {template!r}: bracket is not closed")
                position += 1
                if template[position - 1] == "]":
                    break
            nodes.append(tuple(options))
            text = position
        else:
            position += 1
    nodes.append(template[text:position])
    return tuple(node for node in nodes if node != ""), position


def _expand(sequence: tuple[Node, ...], rng: random.Random) -> str:
    return "".join(
        node if isinstance(node, str) else _expand(node[int(rng.random() * len(node))], rng)
        for node in sequence
    )


def expand(template: str, rng: random.Random) -> str:
    """One wording of the template, slots left open.

    Raises:
        ValueError: brackets do not match.
    """
    return _expand(_compile(template), rng)


def render(template: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """One wording with its slots filled; runs of spaces collapse to one."""
    text = expand(template, rng).format_map(slots)
    while "  " in text:
        text = text.replace("  ", " ")
    return text.replace(" ?", "?").replace(" ,", ",").strip()


def _count(sequence: tuple[Node, ...]) -> int:
    total = 1
    for node in sequence:
        if not isinstance(node, str):
            total *= sum(_count(option) for option in node)
    return total


def count_variants(template: str) -> int:
    """How many wordings a template has."""
    return _count(_compile(template))
