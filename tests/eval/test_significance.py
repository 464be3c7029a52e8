"""Bootstrap, McNemar, calibration, OOD and confusion on numbers known by hand or by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from eval.calibration import calibration
from eval.confusion import group_confusions
from eval.errors import InputError
from eval.gqa_ood import score_gqa_ood
from eval.gqa_table import read_table
from eval.predictions import Predictions
from eval.significance import bootstrap_mean, mcnemar, paired_bootstrap


def test_bootstrap_of_rights_matches_the_binomial_interval() -> None:
    values = np.array([1.0] * 300 + [0.0] * 100)
    interval = bootstrap_mean(values, samples=20000, seed=3)
    low, high = stats.binom.ppf([0.025, 0.975], 400, 0.75) / 400
    assert interval.mean == 0.75
    assert interval.low == pytest.approx(low, abs=0.004)
    assert interval.high == pytest.approx(high, abs=0.004)


def test_bootstrap_of_many_values_matches_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(size=500)
    interval = bootstrap_mean(values, samples=4000, seed=1)
    error = values.std() / np.sqrt(500)
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error * 2)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error * 2)


def test_clusters_widen_the_interval_of_repeated_answers() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.integers(0, 2, 100), 10)
    clusters = np.repeat(np.arange(100), 10)
    plain = bootstrap_mean(values, seed=0)
    clustered = bootstrap_mean(values, clusters=clusters, seed=0)
    assert clustered.high - clustered.low > 2 * (plain.high - plain.low)


def test_same_seed_same_interval() -> None:
    values = np.arange(100.0)
    assert bootstrap_mean(values, seed=5) == bootstrap_mean(values, seed=5)


def test_paired_bootstrap_sees_a_difference_that_two_intervals_hide() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 1000).astype(bool)
    second = first.copy()
    second[np.flatnonzero(first)[:20]] = False
    gain = paired_bootstrap(first, second)
    assert gain.mean == pytest.approx(0.02)
    assert gain.low > 0
    with pytest.raises(InputError):
        paired_bootstrap(first, second[:-1])


@pytest.mark.parametrize(("one", "two"), [(0, 0), (5, 0), (10, 12), (300, 350)])
def test_mcnemar_equals_the_exact_binomial_test(one: int, two: int) -> None:
    first = np.array([1] * one + [0] * two + [1] * 50, dtype=bool)
    second = np.array([0] * one + [1] * two + [1] * 50, dtype=bool)
    result = mcnemar(first, second)
    assert (result.only_first, result.only_second, result.exact) == (one, two, True)
    expected = stats.binomtest(one, one + two).pvalue if one + two else 1.0
    assert result.p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_questions_uses_the_corrected_chi_square() -> None:
    first = np.array([1] * 6000 + [0] * 6200, dtype=bool)
    result = mcnemar(first, ~first)
    expected = stats.chi2.sf((200 - 1) ** 2 / 12200, 1)
    assert not result.exact
    assert result.p_value == pytest.approx(expected, rel=1e-9)


def test_calibration_of_known_bins() -> None:
    confidence = np.array([0.95, 0.95, 0.25, 0.25])
    result = calibration(confidence, np.array([1, 1, 1, 0]), bins=10)
    assert result.error == pytest.approx((0.05 + 0.25) / 2)
    assert result.maximum == pytest.approx(0.25)
    assert result.count.sum() == 4
    with pytest.raises(InputError, match="between 0 and 1"):
        calibration(np.array([np.nan]), np.array([1]))


def test_out_of_distribution_scores() -> None:
    head = {str(n): {"answer": "yes"} for n in range(4)}
    tail = {str(n): {"answer": "no"} for n in range(4, 8)}
    predictions = dict.fromkeys("01234", "yes") | {"3": "no", "4": "no", "5": "no"}
    predictions |= dict.fromkeys("67", "yes")
    scores = score_gqa_ood(head, tail, predictions)
    assert (scores.head.value, scores.tail.value, scores.all.value) == (75, 50, 62.5)
    assert scores.delta.value == 50
    with pytest.raises(InputError, match="occurs twice"):
        score_gqa_ood(head, head, predictions)


def test_confusions_name_the_commonest_mistakes() -> None:
    def record(gold: str, group: str | None) -> dict:
        return {"answer": gold, "isBalanced": True, "groups": {"global": group}}

    questions = {str(n): record("red", "color") for n in range(5)} | {"9": record("yes", None)}
    answers = Predictions(
        {"0": "red", "1": "pink", "2": "pink", "3": "dog", "4": "red", "9": "yes"}
    )
    first, second = group_confusions(read_table(questions, answers))
    assert (first.group, first.count, first.right, first.outside) == ("color", 5, 2, 3)
    assert first.pairs == [("red", "pink", 2), ("red", "dog", 1)]
    assert (second.group, second.accuracy) == ("(no group)", 100)
