"""Readings → ranked, validated programs with probabilities; and why a question has none."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any

from detectors.errors import InputError
from gqa_reasoner.program.parsing.builders import Draft
from gqa_reasoner.program.parsing.clauses import Reading, read_question
from gqa_reasoner.program.parsing.lexicon import Lexicon
from gqa_reasoner.program.parsing.phrases import PhraseChart
from gqa_reasoner.program.parsing.tokens import (
    MAXIMUM_TOKENS,
    Tokenizer,
    plain_tokens,
    tokenize,
)
from gqa_reasoner.program.parsing.vocabulary import Vocabulary
from gqa_reasoner.program.steps import Program, Step, validate

__all__ = ["best_fragment", "rank", "readings_of", "refusal"]

_MAXIMUM_CHARACTERS = 600
_MAXIMUM_READINGS = 400


def refusal(question: str) -> str | None:
    """Why a question is outside the language before any reading is tried; None if it may be in."""
    if not question.strip():
        return "the question is empty"
    if len(question) > _MAXIMUM_CHARACTERS:
        return (
            f"the question has {len(question)} characters; at most {_MAXIMUM_CHARACTERS} are read"
        )
    tokens = tokenize(question)
    words = [token for token in tokens if token[0].isalnum()]
    if not words:
        return "the question has no words"
    if len(tokens) > MAXIMUM_TOKENS:
        return f"the question has {len(tokens)} words and marks; at most {MAXIMUM_TOKENS} are read"
    foreign = [word for word in words if not word.isascii()]
    if foreign:
        return f"the question is not English: {foreign[0]!r}"
    return None


def readings_of(
    question: str,
    lexicon: Lexicon,
    weights: Mapping[str, float],
    vocabulary: Vocabulary,
    tokenizer: Tokenizer = plain_tokens,
    memory: dict[Any, Any] | None = None,
) -> tuple[PhraseChart, list[Reading]]:
    """The chart and all readings of a question, best first; `memory` as in `Chart`."""
    tokens, lemmas = tokenizer(question)
    chart = PhraseChart(tokens, lexicon, weights, vocabulary, lemmas=lemmas, memory=memory)
    return chart, read_question(chart)


def rank(readings: list[Reading], top_k: int) -> list[tuple[Program, float]]:
    """Distinct valid programs with their probabilities, best first.

    A program's probability is the share of `exp(score)` of all its readings.
    """
    readings = readings[:_MAXIMUM_READINGS]
    if not readings:
        return []
    top = readings[0].score
    masses: dict[Draft, float] = {}
    for reading in readings:
        masses[reading.draft] = masses.get(reading.draft, 0.0) + exp(reading.score - top)
    whole = sum(masses.values())
    ranked: list[tuple[Program, float]] = []
    for draft in sorted(masses, key=masses.__getitem__, reverse=True):
        program = Program(tuple([Step(*step) for step in draft]))
        try:
            validate(program)
        except InputError:
            continue
        ranked.append((program, masses[draft] / whole))
        if len(ranked) == top_k:
            break
    return ranked


def best_fragment(chart: PhraseChart) -> Program | None:
    """The program of the longest noun phrase that can be read, None if there is none."""
    best: tuple[int, float, Program] | None = None
    for start in range(chart.size):
        for end, items in chart.phrases(start).items():
            for item in items:
                chain = item.value.chain
                program = Program(
                    tuple(
                        Step(operation, argument, (place - 1,) if place else ())
                        for place, (operation, argument) in enumerate(chain)
                    )
                )
                key = (end - start, item.score)
                if best is None or key > best[:2]:
                    try:
                        validate(program)
                    except InputError:
                        continue
                    best = (*key, program)
    return best[2] if best else None
