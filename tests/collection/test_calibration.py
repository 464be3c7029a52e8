"""Scores as probabilities: the fit, and the set that is returned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("duckdb")

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.collection.answers import best_set
from gqa_reasoner.collection.calibration import calibrate_index, fit_calibration
from gqa_reasoner.collection.compile import calibration_of
from tests.collection.helpers import make_collection, thing


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def simulated(slope: float, offset: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs whose objects are there independently with the calibrated probabilities."""
    rng = np.random.default_rng(2)
    sizes = rng.integers(1, 4, 4000)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    scores = rng.uniform(0.05, 0.95, sizes.sum())
    there = rng.random(sizes.sum()) < sigmoid(slope * np.log(scores / (1 - scores)) + offset)
    return scores, starts, np.add.reduceat(there.astype(int), starts) > 0


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (1.6, 0.8), (0.6, -0.7)])
def test_a_known_calibration_is_found_again(slope: float, offset: float) -> None:
    found = fit_calibration(*simulated(slope, offset))
    assert found == (pytest.approx(slope, abs=0.12), pytest.approx(offset, abs=0.12))


def test_too_few_or_one_sided_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="at least 50 pairs"):
        fit_calibration(np.array([0.5]), np.array([0]), np.array([True]))
    with pytest.raises(InputError, match="some of them wrong"):
        fit_calibration(np.full(60, 0.5), np.arange(60), np.ones(60, bool))


def test_an_index_keeps_and_uses_its_calibration(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"p{number:03d}" for number in range(120)]
    scenes = [Scene(name, 9, 9, [thing(0, "dog", 0.4)]) for name in names]
    truth = {name: {"dog"} if rng.random() < 0.8 else set() for name in names}
    before = make_collection(tmp_path, scenes)
    assert before.find("pictures of a dog").images[0]["score"] == pytest.approx(0.4)
    found = calibrate_index(tmp_path, truth)
    after = type(before)(tmp_path, parser=before.parser, ontology=before.ontology)
    assert calibration_of(after.settings) == found
    share = np.mean([bool(shown) for shown in truth.values()])
    assert after.find("pictures of a dog").images[0]["score"] == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(
    ("scores", "size"),
    [
        ([], 0),
        ([0.1, 0.05], 0),
        ([1.0, 1.0, 0.0], 2),
        ([0.9, 0.9, 0.3], 2),
        ([0.6, 0.4, 0.3, 0.3], 4),
        ([0.99, 0.98, 0.1, 0.1], 2),
        ([0.4], 1),
    ],
)
def test_the_returned_set_has_the_best_expected_f1(scores: list[float], size: int) -> None:
    assert best_set(np.array(scores)) == size


def test_expected_f1_is_that_of_sampled_worlds() -> None:
    rng = np.random.default_rng(1)
    p = np.sort(rng.beta(0.6, 1.2, 60))[::-1]
    worlds = rng.random((4000, 60)) < p
    totals = np.maximum(worlds.sum(axis=1), 1)
    means = [np.mean(2 * worlds[:, :size].sum(axis=1) / (size + totals)) for size in range(1, 61)]
    chosen = best_set(p)
    assert means[chosen - 1] >= max(means) - 0.01
