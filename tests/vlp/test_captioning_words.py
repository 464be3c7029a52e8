"""Plain captions and whole-word vocabularies."""

from __future__ import annotations

import argparse
import json

import pytest

from detectors.errors import InputError
from gqa_reasoner.commands.vlp import words as command
from gqa_reasoner.vlp.captioning.words import plain_caption, whole_words
from gqa_reasoner.vlp.data.records import read_captions
from gqa_reasoner.vlp.text import WordPieces


def test_plain_captions_have_no_punctuation():
    assert plain_caption(' A man, in "red", runs . ') == "a man in red runs"
    assert plain_caption("...") == ""


def test_rare_words_are_unknown_and_ties_are_alphabetical():
    pieces = whole_words(["b a c", "a b", "a d b"], 2)
    assert pieces.pieces[7:] == ("a", "b")
    assert pieces.encode("a d") == [7, pieces.unknown]
    assert pieces.decode([8, 7]) == "b a"
    for least in (0, 9):
        with pytest.raises(InputError):
            whole_words(["a b"], least)


def test_the_command_writes_captions_and_words(tmp_path, capsys):
    path = tmp_path / "in.jsonl"
    lines = [{"image": "1.jpg", "split": "train", "captions": ["A dog.", "A cat!"]}]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = ["--captions", str(path), "--least", "2", "--output", str(tmp_path / "out")]
    assert command.run(parser.parse_args(given)) == 0
    assert "2 of 4 in the captions unknown" in capsys.readouterr().out
    written = read_captions(tmp_path / "out" / "captions.jsonl")
    assert written[0].captions == ("a dog", "a cat")
    assert WordPieces.load(tmp_path / "out" / "words.json").pieces[7:] == ("a",)


def test_a_picture_without_words_is_named(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"image": "7.jpg", "captions": ["..."]}', encoding="utf-8")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(InputError, match=r"7\.jpg"):
        command.run(parser.parse_args(["--captions", str(path), "--output", str(tmp_path)]))
