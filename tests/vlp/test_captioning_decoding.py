"""Decoding against an exhaustive reference on toy languages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.beam import BeamSettings, beam_search
from gqa_reasoner.vlp.captioning.rules import Rules
from gqa_reasoner.vlp.captioning.sampling import NucleusSettings, greedy, sample
from gqa_reasoner.vlp.captioning.steps import survivors
from tests.vlp.toy_steps import ToySteps, all_captions, allowed, log_probabilities

WORDS = 5
START, END = 0, 1


@some.composite
def rules(draw) -> Rules:
    longest = draw(some.integers(1, 4))
    return Rules(
        START,
        END,
        forbidden=draw(some.sampled_from([(), (START,), (START, 2)])),
        min_length=draw(some.integers(0, longest)),
        max_length=longest,
        no_repeat=draw(some.integers(0, 3)),
    )


def best_by_enumeration(
    name: int, rule: Rules, alpha: float
) -> list[tuple[float, tuple[int, ...]]]:
    ranked = []
    for words in all_captions(rule, WORDS):
        total = math.fsum(log_probabilities(name, words, rule, WORDS))
        ranked.append((total / (len(words) + 1) ** alpha, words))
    return sorted(ranked, reverse=True)


@settings(deadline=None, max_examples=40)
@given(rules(), some.sampled_from([0.0, 0.6, 1.0, 2.0]), some.integers(1, 4), some.integers(0, 99))
def test_a_wide_beam_finds_what_enumeration_finds(rule, alpha, count, name):
    wide = BeamSettings(beams=700, length_penalty=alpha, count=count)
    names = [name, name + 100, name + 200]
    found = beam_search(ToySteps(names, WORDS), rule, wide)
    for each, captions in zip(names, found, strict=True):
        expected = best_by_enumeration(each, rule, alpha)[:count]
        assert [one.tokens for one in captions] == [words for _, words in expected]
        for one, (score, _) in zip(captions, expected, strict=True):
            assert one.score == pytest.approx(score, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(rules(), some.integers(1, 6), some.sampled_from(["bound", "likely"]), some.integers(0, 99))
def test_batched_beams_equal_one_by_one_and_report_the_models_own_scores(rule, beams, stop, name):
    setting = BeamSettings(beams=beams, count=1 + (beams > 2), stop=stop)
    names = list(range(name, name + 5))
    together = beam_search(ToySteps(names, WORDS), rule, setting)
    for each, captions in zip(names, together, strict=True):
        assert captions == beam_search(ToySteps([each], WORDS), rule, setting)[0]
        for one in captions:
            expected = log_probabilities(each, one.tokens, rule, WORDS)
            assert one.log_probabilities == pytest.approx(expected, abs=1e-5)
            assert one.total == pytest.approx(sum(expected), abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(rules(), some.integers(0, 999), some.integers(1, 3))
def test_everything_said_keeps_the_rules(rule, name, count):
    names = [name, name + 1]
    found = [
        *beam_search(ToySteps(names, WORDS), rule, BeamSettings(beams=3, count=count)),
        *greedy(ToySteps(names, WORDS), rule),
        *sample(ToySteps(names, WORDS), rule, NucleusSettings(count=count, seed=name)),
    ]
    for captions in found:
        assert captions
        for one in captions:
            said = (*one.tokens, END)
            for place, word in enumerate(said):
                assert word in allowed(one.tokens[:place], rule, WORDS)


@settings(deadline=None, max_examples=30)
@given(rules(), some.integers(0, 999))
def test_greedy_takes_the_likeliest_allowed_word(rule, name):
    toy = ToySteps([name, name + 7], WORDS)
    for each, (one,) in zip([name, name + 7], greedy(toy, rule), strict=True):
        history: tuple[int, ...] = ()
        for word in (*one.tokens, END):
            logits = toy.logits(each, (START, *history))
            assert word == max(allowed(history, rule, WORDS), key=lambda w: logits[w])
            history = (*history, word)
        expected = log_probabilities(each, one.tokens, rule, WORDS)
        assert one.log_probabilities == pytest.approx(expected, abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(rules(), some.integers(1, 3), some.integers(0, 99))
def test_samples_do_not_depend_on_the_batch(rule, count, seed):
    setting = NucleusSettings(count=count, seed=seed, mass=0.8)
    together = sample(ToySteps([4, 5, 6], WORDS), rule, setting, [40, 50, 60])
    for name, captions in zip([4, 5, 6], together, strict=True):
        alone = sample(ToySteps([name], WORDS), rule, setting, [name * 10])[0]
        assert [one.tokens for one in alone] == [one.tokens for one in captions]


def test_samples_follow_the_nucleus_distribution():
    rule = Rules(START, END, forbidden=(START,), max_length=1, min_length=1)
    toy = ToySteps([3], WORDS, sharpness=1.0)
    chance = np.exp(toy.logits(3, (START,)))
    chance[[START, END]] = 0
    chance /= chance.sum()
    order = chance.argsort()[::-1]
    inside = order[: int((chance[order].cumsum() < 0.7).sum()) + 1]
    setting = NucleusSettings(mass=0.7, count=4000)
    found = sample(ToySteps([3], WORDS, sharpness=1.0), rule, setting)[0]
    counts = np.bincount([one.tokens[0] for one in found], minlength=WORDS) / len(found)
    expected = np.zeros(WORDS)
    expected[inside] = chance[inside] / chance[inside].sum()
    assert counts == pytest.approx(expected, abs=0.03)
    assert set(np.flatnonzero(counts)) == set(inside)


def test_a_cold_or_narrow_nucleus_is_greedy():
    rule = Rules(START, END, max_length=4)
    for setting in (NucleusSettings(mass=1e-9), NucleusSettings(temperature=1e-4)):
        cold = sample(ToySteps([1, 2, 3], WORDS), rule, setting)
        plain = greedy(ToySteps([1, 2, 3], WORDS), rule)
        assert [c[0].tokens for c in cold] == [c[0].tokens for c in plain]


def test_equal_minimum_and_maximum_fix_the_length():
    rule = Rules(START, END, min_length=3, max_length=3)
    found = beam_search(ToySteps([1, 2, 3], WORDS), rule, BeamSettings(beams=4, count=4))
    assert {len(one.tokens) for captions in found for one in captions} == {3}


def test_likely_stopping_saves_steps():
    rule = Rules(START, END, max_length=40)
    likely, bound = ToySteps([1, 2], WORDS), ToySteps([1, 2], WORDS)
    beam_search(likely, rule, BeamSettings(beams=3, stop="likely"))
    beam_search(bound, rule, BeamSettings(beams=3, stop="bound"))
    assert likely.calls < bound.calls


def test_no_pictures_no_captions():
    empty = ToySteps([], WORDS)
    assert beam_search(empty, Rules(START, END), BeamSettings()) == []


def test_survivors_fill_holes_from_the_end():
    done = torch.tensor([False, True, False, True, False, True, False])
    assert survivors(done).tolist() == [0, 4, 2, 6]
    assert survivors(torch.tensor([True, True])).tolist() == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rules(START, END, min_length=5, max_length=4),
        lambda: Rules(START, END, max_length=0),
        lambda: Rules(START, END, no_repeat=-1),
        lambda: Rules(START, END, forbidden=(END,)),
        lambda: BeamSettings(beams=2, count=3),
        lambda: BeamSettings(length_penalty=-1),
        lambda: NucleusSettings(mass=0),
        lambda: NucleusSettings(mass=1.5),
        lambda: NucleusSettings(temperature=0),
        lambda: NucleusSettings(count=0),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(InputError):
        make()
