"""Questions → tokens: lower-case words, commas, and the clitics of English."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["MAXIMUM_TOKENS", "tokenize"]

MAXIMUM_TOKENS = 45
"""Longer questions are outside the language (the longest of GQA's shared records has 23)."""

_TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|'s\b|[^\w\s]|_", re.UNICODE)
_SPLIT = {
    "isn't": ("is", "not"),
    "aren't": ("are", "not"),
    "wasn't": ("was", "not"),
    "weren't": ("were", "not"),
    "doesn't": ("does", "not"),
    "don't": ("do", "not"),
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "they're": ("they", "are"),
    "you're": ("you", "are"),
    "that's": ("that", "'s"),
}
_FINAL = frozenset("?.!;:\"'")


def tokenize(question: str) -> list[str]:
    """Words and marks of a question, lower-cased.

    `What's` gives `what 's`, `isn't` gives `is not`; quotation marks and marks at the end are
    dropped; a mark inside stays as a token of its own.
    """
    text = unicodedata.normalize("NFKC", question).lower().replace("\u2019", "'")
    tokens: list[str] = []
    for word in _TOKEN.findall(text):
        if word in _SPLIT:
            tokens.extend(_SPLIT[word])
        elif word.endswith("'s") and len(word) > 2:
            tokens.extend((word[:-2], "'s"))
        elif word in ('"', "'"):
            continue
        else:
            tokens.append(word)
    while tokens and tokens[-1] in _FINAL:
        tokens.pop()
    return tokens
