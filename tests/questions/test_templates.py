from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqa_reasoner.questions.patterns import PATTERNS
from gqa_reasoner.questions.templates import count_variants, expand, render


def test_alternatives_nest_and_may_be_empty() -> None:
    rng = random.Random(0)
    seen = {expand("a[|b[c|d]]e", rng) for _ in range(100)}
    assert seen == {"ae", "abce", "abde"}
    assert count_variants("a[|b[c|d]]e") == 3


@pytest.mark.parametrize("template", ["a[b", "a]b", "a[b|c", "a|b"])
def test_unbalanced_templates_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        expand(template, random.Random(0))


def test_empty_slots_leave_no_double_blanks() -> None:
    assert render("Is {x} there {y}?", {"x": "it", "y": ""}, random.Random(0)) == "Is it there?"


@given(st.text(string.ascii_letters + " ", max_size=30))
def test_text_without_brackets_stays(text: str) -> None:
    assert expand(text, random.Random(0)) == text


def test_there_are_more_than_a_hundred_patterns_and_all_compile() -> None:
    patterns = [pattern for group in PATTERNS.values() for pattern in group]
    assert len(set(patterns)) > 150
    assert sum(map(count_variants, patterns)) > 500
