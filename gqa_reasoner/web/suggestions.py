"""Example questions made from what a collection shows."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["suggest"]

_PEOPLE = frozenset({"man", "woman", "boy", "girl", "person", "people", "baby", "child"})


def suggest(names: Sequence[tuple[str, int]]) -> list[str]:
    """Up to five questions about the commonest things.

    Args:
        names: (object name, pictures that show it), most pictures first.
    """
    if not names:
        return []
    things = [name for name, _ in names if name not in _PEOPLE]
    people = [name for name, _ in names if name in _PEOPLE]
    first = (things or people)[0]
    found = [f"Which pictures show {_article(first)}?"]
    if people and things:
        found.append(f"Show me pictures of {_article(people[0])} next to {_article(first)}")
    if len(things) > 1:
        found.append(f"How many pictures have {_article(things[1])}?")
        found.append(f"What is the most common color of the {things[1]}?")
    found.append(f"What share of the pictures show {_article((people or things)[0])}?")
    return found


def _article(name: str) -> str:
    if name.endswith("s") and not name.endswith("ss"):
        return name
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"
