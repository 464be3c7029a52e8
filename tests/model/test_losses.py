from __future__ import annotations

import math

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.model import losses


def test_masked_ids_counts_only_labelled_positions() -> None:
    logits = torch.tensor([[[math.log(3), 0.0], [5.0, -5.0]]])
    labels = torch.tensor([[0, losses.IGNORED]])
    assert losses.masked_ids(logits, labels).item() == pytest.approx(-math.log(0.75), abs=1e-6)
    nothing = torch.full((1, 2), losses.IGNORED)
    assert losses.masked_ids(logits, nothing).item() == 0


def test_masked_class_is_zero_at_the_target_and_positive_elsewhere() -> None:
    target = torch.tensor([[[0.25, 0.75]]])
    mask = torch.ones(1, 1, dtype=torch.bool)
    assert losses.masked_class(target.log(), target, mask).item() == pytest.approx(0, abs=1e-6)
    flat = losses.masked_class(torch.zeros(1, 1, 2), target, mask).item()
    assert flat == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-6)


def test_masked_features_looks_at_masked_positions_only() -> None:
    predicted, target = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    mask = torch.tensor([[True, False]])
    target[:, 1] = 100
    assert losses.masked_features(predicted, target, mask).item() == 1


def test_contrastive_by_hand() -> None:
    same = torch.eye(2)
    expected = math.log(1 + math.exp(-1))
    assert losses.contrastive(same, same, scale=1.0).item() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(InputError, match="one shape"):
        losses.contrastive(same, torch.ones(3, 2))


def test_masked_nce_prefers_the_own_target() -> None:
    mask = torch.ones(1, 2, dtype=torch.bool)
    views = torch.eye(2)[None]
    right = losses.masked_nce(views, views, mask)
    wrong = losses.masked_nce(views, views.flip(1), mask)
    assert right.item() < 1e-4 < wrong.item()


def test_next_token_shifts_by_one_and_respects_the_mask() -> None:
    tokens = torch.tensor([[0, 1, 0]])
    logits = torch.tensor([[[0.0, 9.0], [0.0, 9.0], [0.0, 0.0]]])
    masked = losses.next_token(logits, tokens, torch.tensor([[True, True, False]]))
    assert masked.item() == pytest.approx(math.log(1 + math.exp(-9)), abs=1e-6)
    assert losses.next_token(logits, tokens).item() > 4


def test_image_text_match_by_hand() -> None:
    loss = losses.image_text_match(torch.zeros(2), torch.tensor([True, False]))
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)


def test_distillation_is_zero_for_equal_distributions() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    assert losses.distillation(logits + 7, logits, 2.0).item() == pytest.approx(0, abs=1e-6)
    assert losses.distillation(-logits, logits, 2.0).item() > 0.1


def test_attention_guidance_prefers_the_pointed_object() -> None:
    target = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    good = losses.attention_guidance(torch.tensor([[[0.3, 0.1], [0.0, 0.5]]]), target)
    bad = losses.attention_guidance(torch.tensor([[[0.1, 0.3], [0.0, 0.5]]]), target)
    assert good.item() == pytest.approx(-math.log(0.75), abs=1e-4)
    assert bad.item() == pytest.approx(-math.log(0.25), abs=1e-4)
    assert losses.attention_guidance(torch.ones(1, 2, 2), target * 0).item() == 0
