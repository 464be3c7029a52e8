from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from detectors.errors import InputError
from gqa_reasoner.vlp.data.lexicon import (
    induce_lexicon,
    read_lexicons,
    read_multi30k,
    write_lexicons,
)

PAIRS = [
    ("the dog sleeps", "der hund schläft"),
    ("the dog runs", "der hund rennt"),
    ("a dog runs", "ein hund rennt"),
    ("a cat sleeps", "eine katze schläft"),
    ("the cat runs", "die katze rennt"),
    ("a cat", "eine katze"),
]


def naive_model_1(pairs: list[tuple[str, str]], rounds: int) -> dict[tuple[str, str], float]:
    """IBM model 1 as in the textbook, with loops."""
    split = [(["", *first.split()], second.split()) for first, second in pairs]
    share = {(e, f): 1.0 for first, second in split for e in first for f in second}
    for _ in range(rounds):
        count: dict[tuple[str, str], float] = dict.fromkeys(share, 0.0)
        total: dict[str, float] = {}
        for first, second in split:
            for f in second:
                norm = sum(share[e, f] for e in first)
                for e in first:
                    count[e, f] += share[e, f] / norm
                    total[e] = total.get(e, 0.0) + share[e, f] / norm
        share = {pair: value / total[pair[0]] for pair, value in count.items()}
    return share


def test_equals_the_textbook_with_loops() -> None:
    from gqa_reasoner.vlp.data.lexicon import _translation

    sentences = [(first.split(), second.split()) for first, second in PAIRS]
    expected = naive_model_1(PAIRS, 6)
    for pair, value in _translation(sentences, 6).items():
        assert value == pytest.approx(expected[pair])


def test_finds_translations_and_not_neighbours() -> None:
    lexicon = induce_lexicon(PAIRS, iterations=20, least_count=2, least_score=0.3)
    assert lexicon["dog"] == ("hund",)
    assert lexicon["cat"] == ("katze",)
    assert lexicon["runs"] == ("rennt",)
    assert "hund" not in lexicon.get("the", ())


def test_rare_words_are_left_out() -> None:
    assert "sleeps" not in induce_lexicon(PAIRS, least_count=3)
    with pytest.raises(InputError, match="none"):
        induce_lexicon([("", "x")])


def test_lexicons_round_trip(tmp_path: Path) -> None:
    lexicons = {"de": {"dog": ("hund",), "runs": ("rennt", "läuft")}}
    write_lexicons(tmp_path / "lexicons.json", lexicons)
    assert read_lexicons(tmp_path / "lexicons.json") == lexicons
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(InputError, match=r"bad\.json"):
        read_lexicons(tmp_path / "bad.json")


def test_multi30k_lines_of_kept_pictures_are_left_out(tmp_path: Path) -> None:
    files = {"en": "a\nb\n", "de": "x\ny\n", "images.tsv": "0\t12.jpg\n1\t34.jpg\n"}
    for name, text in files.items():
        with gzip.open(tmp_path / f"train.{name}.gz", "wt") as stream:
            stream.write(text)
    assert read_multi30k(tmp_path, "de") == [("a", "x"), ("b", "y")]
    assert read_multi30k(tmp_path, "de", without=["34_abc.jpg"]) == [("a", "x")]
    with pytest.raises(InputError, match=r"train\.fr"):
        read_multi30k(tmp_path, "fr")
