from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from gqa_reasoner.vlp.text import SPECIAL, WordPieces, basic_words

CAPTIONS = ["A brown dog runs .", "Two dogs are running on sand", "a dog's ball", "the runner ran"]


@pytest.fixture(scope="module")
def pieces() -> WordPieces:
    return WordPieces.train(CAPTIONS * 3, 70)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=5))
def test_trained_texts_round_trip(texts: list[str]) -> None:
    words = [word for text in texts for word in basic_words(text)]
    if not words:
        return
    letters = {(mark, place > 0) for word in words for place, mark in enumerate(word)}
    pieces = WordPieces.train(texts, len(SPECIAL) + len(letters) + 10)
    for text in texts:
        assert pieces.decode(pieces.encode(text)) == " ".join(basic_words(text))


def test_merges_are_by_count_and_then_alphabet() -> None:
    # Pairs: l+o 3, o+w 2, o+t 1. The first merge is "lo", the next "low".
    pieces = WordPieces.train(["low low lot"], 7 + 4 + 2)
    assert set(pieces.pieces[7:11]) == {"l", "##o", "##w", "##t"}
    assert pieces.pieces[11:] == ("lo", "low")
    assert [pieces.pieces[n] for n in pieces.encode("lot low")] == ["lo", "##t", "low"]


def test_numbers_of_special_pieces(pieces: WordPieces) -> None:
    names = ("pad", "unknown", "cls", "sep", "mask", "bos", "eos")
    assert [getattr(pieces, name) for name in names] == list(range(7))
    assert pieces.encode("漢") == [pieces.unknown]
    ids = pieces.encode("dog")
    assert pieces.decode([pieces.bos, *ids, pieces.eos, *ids]) == "dog"


def test_word_starts_mark_whole_words(pieces: WordPieces) -> None:
    ids = pieces.encode("dogs runner sand")
    starts = pieces.word_starts(ids)
    assert sum(starts) == 3 and starts[0]


def test_batches_are_padded(pieces: WordPieces) -> None:
    ids, mask = pieces.batch(["a dog", "two dogs are running on sand", ""], 6)
    assert ids.shape == mask.shape and ids.shape[1] <= 6
    assert ids[:, 0].tolist() == [pieces.cls] * 3
    assert ids[2].tolist() == [pieces.cls, pieces.sep] + [0] * (ids.shape[1] - 2)
    assert mask[2].sum() == 2 and ids[1, -1] == pieces.sep
    with pytest.raises(InputError, match="limit"):
        pieces.batch(["a"], 2)


def test_saved_pieces_are_loaded_the_same(pieces: WordPieces, tmp_path: Path) -> None:
    pieces.save(tmp_path / "pieces.json")
    assert WordPieces.load(tmp_path / "pieces.json").pieces == pieces.pieces


def test_bert_list(shared: Path) -> None:
    pieces = WordPieces.load(shared / "data" / "vocab" / "bert_base_uncased" / "vocab.txt")
    text = "a dog catching a frisbee unbelievably"
    cut = [pieces.pieces[number] for number in pieces.encode(text)]
    assert cut[:6] == ["a", "dog", "catching", "a", "fr", "##is"]
    assert pieces.decode(pieces.encode(text)) == text


@pytest.mark.parametrize("text", ["{}", "[", '{"pieces": [1]}', '{"pieces": ["a", "a"]}'])
def test_bad_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pieces.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"pieces\.json"):
        WordPieces.load(path)


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(InputError, match="no words"):
        WordPieces.train(["  "], 100)
    with pytest.raises(InputError, match="size 8"):
        WordPieces.train(["abcdef"], 8)
