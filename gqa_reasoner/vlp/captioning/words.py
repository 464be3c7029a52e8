"""Plain captions and a vocabulary of whole words, which suit small caption corpora.

A few thousand captions do not teach a model to spell: words seen a few times get a piece of
their own, the others are unknown and never said.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

from detectors.errors import InputError
from gqa_reasoner.vlp.data.records import CaptionRecord
from gqa_reasoner.vlp.text import WordPieces, basic_words

__all__ = ["plain_caption", "plain_records", "whole_words"]


def plain_caption(text: str) -> str:
    """Lower case, without punctuation."""
    return " ".join(word for word in basic_words(text) if any(mark.isalnum() for mark in word))


def plain_records(records: Sequence[CaptionRecord]) -> list[CaptionRecord]:
    """Records with plain captions; those left empty are dropped.

    Raises:
        InputError: a picture has no caption left.
    """
    result = []
    for record in records:
        lines = tuple(filter(None, map(plain_caption, record.captions)))
        if not lines:
            raise InputError(f"captions: {record.image}: no words in any caption")
        result.append(dataclasses.replace(record, captions=lines))
    return result


def whole_words(texts: Iterable[str], least: int) -> WordPieces:
    """The words that occur at least `least` times, the most frequent first.

    Raises:
        InputError: none does.
    """
    if least < 1:
        raise InputError(f"words: occurrences: expected at least 1, got {least}")
    counts = Counter(word for text in texts for word in basic_words(text))
    kept = sorted((word for word in counts if counts[word] >= least), key=lambda w: (-counts[w], w))
    if not kept:
        raise InputError(f"words: no word occurs {least} times in the captions")
    return WordPieces(kept)
