"""Bilingual lexicons induced from translated sentences, by alignment counts.

IBM model 1 (Brown et al. 1993): t(f | e) by expectation maximisation over all word pairs of each
sentence pair, with an empty word on the source side. It is trained in both directions; a pair is
kept if the product of both probabilities is large, which removes words that merely go together.

S: sentence pairs, P: different word pairs, M: word pairs of all sentences.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.vlp.text import basic_words

__all__ = [
    "Lexicon",
    "induce_lexicon",
    "read_lexicons",
    "read_multi30k",
    "write_lexicons",
]

Lexicon = dict[str, tuple[str, ...]]
"""Word to its translations, best first."""
_NONE = "\0"
_LONGEST = 40


def induce_lexicon(
    pairs: Iterable[tuple[str, str]],
    *,
    iterations: int = 8,
    least_count: int = 4,
    least_score: float = 0.1,
    most: int = 3,
) -> Lexicon:
    """Words of the first language with their translations.

    Args:
        pairs: translated sentences.
        iterations: of expectation maximisation, per direction.
        least_count: both words of a pair must occur this often.
        least_score: least t(f | e) * t(e | f).
        most: translations per word.

    Raises:
        InputError: no sentence pair with words on both sides.
    """
    sentences = [
        (basic_words(first)[:_LONGEST], basic_words(second)[:_LONGEST]) for first, second in pairs
    ]
    sentences = [(first, second) for first, second in sentences if first and second]
    if not sentences:
        raise InputError("lexicon: expected translated sentences, got none with words")
    there = _translation(sentences, iterations)
    back = _translation([(second, first) for first, second in sentences], iterations)
    counts = [Counter(word for pair in sentences for word in pair[side]) for side in (0, 1)]
    found: dict[str, list[tuple[float, str]]] = {}
    for (source, target), share in there.items():
        score = share * back.get((target, source), 0.0)
        frequent = min(counts[0][source], counts[1][target]) >= least_count
        if score >= least_score and frequent and source.isalpha() and target.isalpha():
            found.setdefault(source, []).append((-score, target))
    return {
        word: tuple(target for _, target in sorted(options)[:most])
        for word, options in sorted(found.items())
    }


def _translation(
    sentences: Sequence[tuple[list[str], list[str]]], iterations: int
) -> dict[tuple[str, str], float]:
    """t(target | source) of model 1, small ones left out."""
    sources = {_NONE: 0}
    targets: dict[str, int] = {}
    left, right, place = [], [], []
    position = 0
    for first, second in sentences:
        e = [0, *(sources.setdefault(word, len(sources)) for word in first)]
        f = [targets.setdefault(word, len(targets)) for word in second]
        left.append(np.tile(np.array(e, dtype=np.int64), len(f)))
        right.append(np.repeat(np.array(f, dtype=np.int64), len(e)))
        place.append(np.repeat(np.arange(position, position + len(f)), len(e)))
        position += len(f)
    keys = np.concatenate(left) * len(targets) + np.concatenate(right)
    where = np.concatenate(place)
    unique, pair = np.unique(keys, return_inverse=True)
    source_of = unique // len(targets)
    share = np.ones(len(unique))
    for _ in range(iterations):
        weight = share[pair]
        weight /= np.bincount(where, weight, minlength=position)[where]
        counts = np.bincount(pair, weight, minlength=len(unique))
        share = counts / np.bincount(source_of, counts, minlength=len(sources))[source_of]
    source_words, target_words = list(sources), list(targets)
    kept = np.flatnonzero((share > 0.01) & (source_of > 0))
    return {
        (source_words[source_of[n]], target_words[unique[n] % len(targets)]): float(share[n])
        for n in kept
    }


def read_multi30k(
    folder: str | Path, language: str, *, split: str = "train", without: Collection[str] = ()
) -> list[tuple[str, str]]:
    """English lines and their translations of Multi30k's first task.

    Args:
        folder: with `train.en.gz`, `train.de.gz`, …
        language: de, fr or cs.
        split: "train", "val", …
        without: pictures whose lines are left out (for example those of a dev split).

    Raises:
        InputError: a file is missing or the files differ in length.
    """
    folder = Path(folder)
    columns = []
    for name in (f"{split}.en.gz", f"{split}.{language}.gz", f"{split}.images.tsv.gz"):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: Multi30k: no such file")
        with gzip.open(folder / name, "rt", encoding="utf-8") as stream:
            columns.append([line.rstrip("\n") for line in stream])
    if len({len(column) for column in columns}) != 1:
        raise InputError(f"{folder}: Multi30k: {split}: files of different length")
    skip = {_photo(image) for image in without}
    return [
        (first, second)
        for first, second, image in zip(*columns, strict=True)
        if _photo(image.split("\t")[-1]) not in skip
    ]


def _photo(image: str) -> str:
    """Flickr's number of a photograph: `12.jpg` and `12_ab.jpg` are the same one."""
    return image.split(".")[0].split("_")[0]


def write_lexicons(path: str | Path, lexicons: Mapping[str, Lexicon]) -> None:
    """Write `{language: {word: [translations]}}`, atomically."""
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(lexicons, ensure_ascii=False, indent=0), encoding="utf-8")
    part.replace(path)


def read_lexicons(path: str | Path) -> dict[str, Lexicon]:
    """Read what `write_lexicons` wrote.

    Raises:
        InputError: missing or of another form.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            language: {word: tuple(options) for word, options in words.items()}
            for language, words in data.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        line = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: lexicons: not such a file ({line})") from error
