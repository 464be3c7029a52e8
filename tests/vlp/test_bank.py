"""Hubs lose what they have in common with everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.errors import InputError
from gqa_reasoner.vlp.retrieval.bank import FILE, QueryBank
from gqa_reasoner.vlp.retrieval.evaluation import SecondStage, Shares


def rows(count: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 6))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def test_hubness_equals_the_formula() -> None:
    bank = QueryBank(rows(5, 0), rows(7, 1), sharpness=4.0)
    images, texts = rows(3, 2), rows(1100, 3)
    expected = np.log(np.exp(4 * images @ bank.texts.T).mean(axis=1)) / 4
    assert np.allclose(bank.of_images(images), expected)
    expected = np.log(np.exp(4 * texts @ bank.images.T).mean(axis=1)) / 4
    assert np.allclose(bank.of_texts(texts), expected)


def test_a_bank_is_kept_beside_its_model(tmp_path: Path) -> None:
    assert QueryBank.of_model(tmp_path) is None
    bank = QueryBank(rows(5, 0), rows(7, 1))
    bank.save(tmp_path)
    found = QueryBank.of_model(tmp_path)
    assert found is not None
    assert np.allclose(found.of_texts(bank.texts), bank.of_texts(bank.texts), atol=2e-3)
    (tmp_path / FILE).write_bytes(b"no bank")
    with pytest.raises(InputError, match="not a bank"):
        QueryBank.of_model(tmp_path)


def test_an_item_near_to_the_whole_bank_is_the_hub() -> None:
    bank = QueryBank(rows(5, 0), rows(50, 1) + np.array([3, 0, 0, 0, 0, 0]))
    hubness = bank.of_images(np.eye(6)[:2])
    assert hubness[0] > hubness[1] + 1


def test_a_hub_gives_way_where_its_hubness_is_taken_off() -> None:
    similarity = np.array([[0.5, 0.5], [0.3, 0.45]])  # picture 0 is found by both captions
    every = np.tile(np.arange(2), (2, 1))
    stage = SecondStage(
        similarity, np.arange(2), every, np.zeros((2, 2)), every, np.zeros((2, 2)),
        image_hubness=np.array([0.3, 0.1]), text_hubness=np.zeros(2),
    )  # fmt: skip
    assert stage.scores(Shares(1.0)).text_to_image.r1 == pytest.approx(50)
    assert stage.scores(Shares(1.0, hubness=2.0)).text_to_image.r1 == pytest.approx(50)
    assert stage.scores(Shares(1.0, hubness=0.6)).text_to_image.r1 == pytest.approx(100)


def test_a_reader_without_a_share_changes_nothing() -> None:
    similarity = np.random.default_rng(0).normal(size=(6, 6))
    every = np.tile(np.arange(6), (6, 1))
    noise = np.random.default_rng(1).normal(size=(6, 6))
    stage = SecondStage(similarity, np.arange(6), every, noise, every, noise)
    quiet = SecondStage(similarity, np.arange(6), every, 0 * noise, every, 0 * noise)
    assert stage.scores(Shares(1.0, reader=0.0)) == quiet.scores(Shares(1.0))
