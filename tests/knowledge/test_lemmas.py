from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.lemmas import Lemmatizer, tokenize


@pytest.mark.parametrize(
    ("form", "lemma"),
    [
        ("eaten", "eat"),
        ("eating", "eat"),
        ("sitting", "sit"),
        ("riding", "ride"),
        ("cutting", "cut"),
        ("carries", "carry"),
        ("washes", "wash"),
        ("used", "use"),
        ("made", "make"),
        ("flew", "fly"),
        ("knives", "knife"),
        ("women", "woman"),
        ("glasses", "glasses"),
        ("grass", "grass"),
        ("table", "table"),
    ],
)
def test_forms_lead_to_their_lemma(form: str, lemma: str) -> None:
    lemmatizer = Lemmatizer.default()
    assert lemmatizer.lemma(form) == lemma
    assert lemmatizer.lemma(lemma) == lemma


def test_topics_leave_out_the_words_of_every_question() -> None:
    topics = Lemmatizer.default().topics("Which object in the picture can be eaten by the dogs?")
    assert topics == ["eat", "dog"]


def test_words_keep_inner_hyphens_and_apostrophes() -> None:
    assert tokenize("The chef's T-shirt, 2 dogs!") == ["the", "chef's", "t-shirt", "2", "dogs"]


@given(st.text(max_size=100))
def test_any_text_is_tokenized_to_lower_case_words(text: str) -> None:
    words = tokenize(text)
    assert all(word and " " not in word for word in words)
