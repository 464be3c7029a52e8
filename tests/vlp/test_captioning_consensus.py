"""Choosing captions by what people say of pictures like it."""

from __future__ import annotations

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.vlp.captioning.captioner import Caption
from gqa_reasoner.vlp.captioning.consensus import Consensus, _counts
from gqa_reasoner.vlp.data.records import CaptionRecord

PLACES = {
    "dog.jpg": torch.tensor([[1.0, 0.0, 0.0]]),
    "cat.jpg": torch.tensor([[0.0, 1.0, 0.0]]),
    "car.jpg": torch.tensor([[0.0, 0.0, 1.0]]),
}
RECORDS = [
    CaptionRecord("dog", "dog.jpg", ("a dog runs on grass", "the dog runs")),
    CaptionRecord("cat", "cat.jpg", ("a cat sleeps on a bed",)),
    CaptionRecord("car", "car.jpg", ("a red car",)),
]


def features(names) -> torch.Tensor:
    return torch.stack([PLACES[name] for name in names])


def caption(text: str, total: float = -5.0) -> Caption:
    words = tuple(text.split())
    return Caption(text, words, (total / (len(words) + 1),) * (len(words) + 1), total, total)


def test_captions_that_agree_with_the_neighbours_come_first():
    consensus = Consensus(RECORDS, features, neighbours=1, weight=0.0)
    said = [caption("a cat sleeps on a bed"), caption("a dog runs"), caption("a red car")]
    near = features(["dog.jpg", "cat.jpg"]) + 0.01
    first, second = consensus.choose(near, [said, said])
    assert [one[0].text for one in (first, second)] == ["a dog runs", "a cat sleeps on a bed"]
    assert sorted(one.text for one in first) == sorted(one.text for one in said)


def test_a_caption_agrees_fully_with_itself():
    consensus = Consensus(RECORDS, features, neighbours=1)
    own = consensus._vector(_counts("a dog runs on grass"))
    assert sum(value * value for value in own.values()) == pytest.approx(1.0)


def test_a_large_weight_follows_the_model():
    consensus = Consensus(RECORDS, features, neighbours=1, weight=100.0)
    said = [caption("a dog runs", -9.0), caption("a red car", -1.0)]
    assert consensus.choose(features(["dog.jpg"]), [said])[0][0].text == "a red car"


def test_nothing_to_ask_is_refused():
    with pytest.raises(InputError):
        Consensus([], features)
    with pytest.raises(InputError):
        Consensus(RECORDS, features, neighbours=0)
