"""Questions → tokens: lower-case words, commas, and the clitics of English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

__all__ = ["MAXIMUM_TOKENS", "Tokenized", "Tokenizer", "plain_tokens", "tokenize"]

MAXIMUM_TOKENS = 45
"""Longer questions are outside the language (the longest of GQA's shared records has 23)."""

_TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|'s\b|[^\w\s]|_", re.UNICODE)
_SPELLING = {
    **{f"colour{end}": f"color{end}" for end in ("", "s", "ed", "ful")},
    "grey": "gray",
    "centre": "center",
    "aeroplane": "airplane",
    "aeroplanes": "airplanes",
    "tyre": "tire",
    "tyres": "tires",
    "pyjamas": "pajamas",
    "kerb": "curb",
    "jewellery": "jewelry",
    "doughnut": "donut",
    "doughnuts": "donuts",
    "storey": "story",
    "theatre": "theater",
    "fibre": "fiber",
    "mould": "mold",
    "mum": "mom",
}
"""British spellings → those of GQA."""
_SPLIT = {
    "isn't": ("is", "not"),
    "aren't": ("are", "not"),
    "wasn't": ("was", "not"),
    "weren't": ("were", "not"),
    "doesn't": ("does", "not"),
    "don't": ("do", "not"),
    "can't": ("can", "not"),
    "couldn't": ("could", "not"),
    "wouldn't": ("would", "not"),
    "hasn't": ("has", "not"),
    "haven't": ("have", "not"),
    "didn't": ("did", "not"),
    "isnt": ("is", "not"),
    "arent": ("are", "not"),
    "doesnt": ("does", "not"),
    "dont": ("do", "not"),
    "whats": ("what", "'s"),
    "wheres": ("where", "'s"),
    "whos": ("who", "'s"),
    "hows": ("how", "'s"),
    "i'm": ("i", "am"),
    "i'd": ("i", "would"),
    "we're": ("we", "are"),
    "cannot": ("can", "not"),
    "they're": ("they", "are"),
    "you're": ("you", "are"),
    "that's": ("that", "'s"),
}
_COLORED = ("-colored", "-coloured", "-shaped")
"""Endings that say no more than the word before them (`black-colored`)."""
_FINAL = frozenset("?.!;:\"'")


class Tokenized(NamedTuple):
    """Tokens of a question, and lemmas of its words where a tokenizer gives them."""

    tokens: list[str]
    lemmas: Mapping[str, str]


Tokenizer = Callable[[str], Tokenized]


def plain_tokens(question: str) -> Tokenized:
    """`tokenize`, without lemmas: number and verb forms come from `morphology`."""
    return Tokenized(tokenize(question), {})


def tokenize(question: str) -> list[str]:
    """Words and marks of a question, lower-cased.

    `What's` gives `what 's`, `isn't` gives `is not`; quotation marks and marks at the end are
    dropped; a mark inside stays as a token of its own; British spellings become GQA's.
    """
    return list(_tokens(question))


@lru_cache(maxsize=16)
def _tokens(question: str) -> tuple[str, ...]:
    text = unicodedata.normalize("NFKC", question).lower().replace("\u2019", "'")
    tokens: list[str] = []
    for word in _TOKEN.findall(text):
        if word in _SPLIT:
            tokens.extend(_SPLIT[word])
        elif word.endswith("'s") and len(word) > 2:
            tokens.extend((word[:-2], "'s"))
        elif word in ('"', "'"):
            continue
        elif word.endswith(_COLORED) and "-" in word:
            tokens.append(word.rpartition("-")[0])
        else:
            tokens.append(_SPELLING.get(word, word))
    while tokens and tokens[-1] in _FINAL:
        tokens.pop()
    return tuple(tokens)
