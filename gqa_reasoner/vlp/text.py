"""A small word-piece vocabulary, learned from captions or read from BERT's list.

Words are lower-cased, split at white space and punctuation (BERT's basic tokenizer, accents
kept), and cut into the longest known pieces; a piece inside a word begins with `##`. Pieces are
learned by byte-pair merges over characters (Sennrich et al. 2016), which gives the pieces;
cutting is greedy longest-match as in BERT.

B: texts, T: longest text.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from detectors.errors import InputError

__all__ = ["SPECIAL", "WordPieces", "basic_words"]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]")
"""Pieces 0 to 6."""
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")


def basic_words(text: str) -> list[str]:
    """Lower-case words and punctuation marks."""
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


class WordPieces:
    """Text to numbers and back."""

    pad, unknown, cls, sep, mask, bos, eos = range(7)

    def __init__(self, pieces: Sequence[str]) -> None:
        """Pieces after the seven special ones.

        Raises:
            InputError: none, or one twice.
        """
        if not pieces or len(set(pieces)) != len(pieces):
            raise InputError("word pieces: expected a list without repeats")
        self.pieces = (*SPECIAL, *pieces)
        self._ids = {piece: number for number, piece in enumerate(self.pieces)}
        self._cut = lru_cache(maxsize=1 << 16)(self._cut_word)

    def __len__(self) -> int:
        return len(self.pieces)

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> WordPieces:
        """Learn pieces.

        Args:
            texts: captions.
            size: pieces wanted, the seven special ones included; fewer when merges run out.

        Raises:
            InputError: no words, or `size` smaller than the characters need.
        """
        counts = Counter(word for text in texts for word in basic_words(text))
        if not counts:
            raise InputError("word pieces: the texts hold no words")
        letters = sorted({mark for word in counts for mark in _letters(word)})
        room = size - len(SPECIAL) - len(letters)
        if room < 0:
            raise InputError(
                f"word pieces: size {size} is less than {len(letters)} characters need"
            )
        return cls([*letters, *_merge(counts, room)])

    @classmethod
    def load(cls, path: str | Path) -> WordPieces:
        """Read pieces from a `.json` of `save` or a BERT `vocab.txt`.

        Raises:
            InputError: no such file, or not such a list.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: word pieces: no such file")
        try:
            text = path.read_text(encoding="utf-8")
            lines = json.loads(text)["pieces"] if path.suffix == ".json" else text.splitlines()
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path}: word pieces: not such a file ({error!r})") from error
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise InputError(f"{path}: word pieces: expected a list of text")
        special = re.compile(r"\[(PAD|UNK|CLS|SEP|MASK|BOS|EOS|unused\d+)\]")
        try:
            return cls([line for line in lines if line and not special.fullmatch(line)])
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the pieces as JSON, atomically."""
        path = Path(path)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        value = {"pieces": self.pieces[len(SPECIAL) :]}
        part.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        part.replace(path)

    def encode(self, text: str, limit: int | None = None) -> list[int]:
        """Numbers of the pieces of a text, no special ones added, at most `limit`."""
        ids = [number for word in basic_words(text) for number in self._cut(word)]
        return ids if limit is None else ids[:limit]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of piece numbers; stops at `[EOS]`, leaves other special pieces out.

        Raises:
            InputError: a number outside the vocabulary.
        """
        words: list[str] = []
        for number in ids:
            if not 0 <= number < len(self):
                raise InputError(f"word pieces: {number} is not a piece (0 to {len(self) - 1})")
            if number == self.eos:
                break
            if number < len(SPECIAL):
                if number == self.unknown:
                    words.append(SPECIAL[number])
                continue
            piece = self.pieces[number]
            if piece.startswith("##") and len(piece) > 2 and words:
                words[-1] += piece[2:]
            else:
                words.append(piece.removeprefix("##") if len(piece) > 2 else piece)
        return " ".join(words)

    def word_starts(self, ids: Iterable[int]) -> list[bool]:
        """True where a word (or special piece) begins; for masking whole words."""
        return [
            not (self.pieces[number].startswith("##") and len(self.pieces[number]) > 2)
            for number in ids
        ]

    def batch(self, texts: Sequence[str], limit: int) -> tuple[Tensor, Tensor]:
        """`[CLS]` … `[SEP]`, padded.

        Args:
            texts: B texts.
            limit: most pieces of a text, the two special ones included.

        Returns:
            ids (B, T) int64 and mask (B, T) bool, True at pieces.

        Raises:
            InputError: a limit below 3.
        """
        if limit < 3:
            raise InputError(f"word pieces: limit {limit}: expected at least 3")
        rows = [[self.cls, *self.encode(text, limit - 2), self.sep] for text in texts]
        longest = max((len(row) for row in rows), default=0)
        ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = True
        return ids, mask

    def _cut_word(self, word: str) -> tuple[int, ...]:
        """Greedy longest match; the whole word is unknown if a part of it is."""
        numbers, start = [], 0
        while start < len(word):
            for stop in range(len(word), start, -1):
                piece = word[start:stop] if start == 0 else "##" + word[start:stop]
                number = self._ids.get(piece)
                if number is not None:
                    break
            else:
                return (self.unknown,)
            numbers.append(number)
            start = stop
        return tuple(numbers)


def _letters(word: str) -> list[str]:
    return [word[0], *("##" + mark for mark in word[1:])]


def _merge(counts: Counter[str], room: int) -> list[str]:
    """Byte-pair merges; ties fall to the pair first in the alphabet."""
    words = [_letters(word) for word in sorted(counts)]
    weights = [counts[word] for word in sorted(counts)]
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = defaultdict(set)
    for number, parts in enumerate(words):
        for pair in pairwise(parts):
            pairs[pair] += weights[number]
            where[pair].add(number)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    learned: dict[str, None] = {}
    while heap and len(learned) < room:
        negative, pair = heapq.heappop(heap)
        if pairs[pair] != -negative or negative == 0:
            continue
        merged = pair[0] + pair[1][2:]
        learned[merged] = None
        touched: set[tuple[str, str]] = set()
        for number in sorted(where.pop(pair)):
            parts = words[number]
            joined = _join(parts, pair, merged)
            if len(joined) == len(parts):
                continue
            for old in pairwise(parts):
                pairs[old] -= weights[number]
                touched.add(old)
            for new in pairwise(joined):
                pairs[new] += weights[number]
                where[new].add(number)
                touched.add(new)
            words[number] = joined
        for changed in touched:
            if pairs[changed] > 0:
                heapq.heappush(heap, (-pairs[changed], changed))
    known = {mark for word in counts for mark in _letters(word)}
    return [piece for piece in learned if piece not in known]


def _join(parts: list[str], pair: tuple[str, str], merged: str) -> list[str]:
    joined, position = [], 0
    while position < len(parts):
        if tuple(parts[position : position + 2]) == pair:
            joined.append(merged)
            position += 2
        else:
            joined.append(parts[position])
            position += 1
    return joined
