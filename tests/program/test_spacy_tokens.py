"""The spaCy tokenizer: the same programs as the parser's own, and lemmas where tables are there."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from detectors.errors import InputError
from gqa_reasoner.program.parser import ProgramParser
from gqa_reasoner.program.parsing.tokens import tokenize

pytest.importorskip("spacy")

from gqa_reasoner.program.parsing.spacy_tokens import SpacyTokenizer

QUESTIONS = (
    "What's the color of the man's hat?",
    "Isn't the t-shirt dark-blue?",
    "Can't you see any people sitting-down?",
    "Who\u2019s wearing a hat, the boy or the girl?",
    "is there a grey cat",
)


@pytest.fixture(scope="module")
def by_spacy() -> ProgramParser:
    return ProgramParser.from_pretrained(tokenizer="spacy")


@pytest.mark.parametrize("question", QUESTIONS)
def test_words_are_those_of_the_plain_tokenizer(question: str) -> None:
    assert SpacyTokenizer()(question).tokens == tokenize(question)


def test_programs_equal_those_of_the_plain_tokenizer(by_spacy: ProgramParser) -> None:
    plain = ProgramParser.from_pretrained()
    for question in QUESTIONS:
        ours, theirs = plain.parse(question, 1), by_spacy.parse(question, 1)
        assert [p.program for p in ours.programs] == [p.program for p in theirs.programs]


def test_programs_are_equal_on_real_questions(by_spacy: ProgramParser, shared: Path) -> None:
    path = shared / "data" / "gqa" / "val_questions.json"
    if not path.exists():
        pytest.skip("needs the shared GQA records")
    plain = ProgramParser.from_pretrained()
    records = json.loads(path.read_text())
    for record in islice(records.values(), 0, None, 12):
        ours, theirs = plain.parse(record["question"], 1), by_spacy.parse(record["question"], 1)
        assert ours.best.program == theirs.best.program, record["question"]


def test_lemmas_come_from_the_tables() -> None:
    tokenizer = SpacyTokenizer()
    if not tokenizer.has_lemmas:
        pytest.skip("needs spacy-lookups-data")
    assert tokenizer("Are the wolves howling?").lemmas["wolves"] == "wolf"


def test_an_absent_pipeline_is_named() -> None:
    with pytest.raises(InputError, match="no_such_pipeline"):
        ProgramParser.from_pretrained(tokenizer="spacy", pipeline="no_such_pipeline")


def test_an_unknown_tokenizer_and_a_stray_pipeline_are_refused() -> None:
    with pytest.raises(InputError, match="plain or spacy"):
        ProgramParser.from_pretrained(tokenizer="words")
    with pytest.raises(InputError, match="needs the tokenizer spacy"):
        ProgramParser.from_pretrained(pipeline="en_core_web_sm")
