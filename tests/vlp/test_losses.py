"""Losses against values worked out by hand or by a slow independent way."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.vlp.losses import (
    IGNORED,
    distillation,
    hard_negatives,
    image_text_match,
    masked_class,
    masked_code,
    masked_features,
    masked_ids,
    match_ranking,
    next_token,
    optimal_transport,
    symmetric_contrastive,
    word_patch_alignment,
)


def test_masked_words_count_only_where_a_label_is() -> None:
    logits = torch.tensor([[[0.0, 0.0], [math.log(3.0), 0.0], [9.0, 0.0]]])
    labels = torch.tensor([[1, 0, IGNORED]])
    # -log 1/2 and -log 3/4, averaged
    assert masked_ids(logits, labels).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    assert masked_ids(logits, torch.full((1, 3), IGNORED)).item() == 0


def test_masked_class_is_the_divergence_from_the_detector() -> None:
    logits = torch.tensor([[[0.0, 0.0], [5.0, 1.0]]])
    target = torch.tensor([[[0.75, 0.25], [1.0, 0.0]]])
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    mask = torch.tensor([[True, False]])
    assert masked_class(logits, target, mask).item() == pytest.approx(expected, abs=1e-6)


def test_masked_features_is_the_mean_square_of_hidden_cells() -> None:
    predicted = torch.tensor([[[1.0, 2.0], [7.0, 7.0]]])
    target = torch.tensor([[[0.0, 4.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, False]])
    assert masked_features(predicted, target, mask).item() == pytest.approx((1 + 4) / 2)


def test_masked_code_counts_hidden_cells_only() -> None:
    logits = torch.tensor([[[math.log(3.0), 0.0], [0.0, 8.0]]])
    codes = torch.tensor([[1, 0]])
    hidden = torch.tensor([[True, False]])
    assert masked_code(logits, codes, hidden).item() == pytest.approx(math.log(4))


def test_match_is_binary_cross_entropy() -> None:
    logits = torch.tensor([math.log(3.0), 0.0])
    found = image_text_match(logits, torch.tensor([True, False]))
    assert found.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_match_ranking_is_the_share_of_the_true_pair() -> None:
    scores = torch.tensor([[math.log(2.0), 0.0, 0.0], [0.0, 0.0, math.log(6.0)]])
    assert match_ranking(scores).item() == pytest.approx((math.log(2) + math.log(8)) / 2)


def test_next_token_smoothing_spreads_the_target() -> None:
    logits = torch.tensor([[[math.log(2.0), 0.0, 0.0]]])  # shares 1/2, 1/4, 1/4
    labels = torch.tensor([[0]])
    assert next_token(logits, labels).item() == pytest.approx(math.log(2))
    spread = (math.log(2) + 2 * math.log(4)) / 3
    expected = 0.9 * math.log(2) + 0.1 * spread
    assert next_token(logits, labels, 0.1).item() == pytest.approx(expected)


def test_distillation_is_zero_at_the_teacher_and_scaled_by_the_square() -> None:
    teacher = torch.tensor([[2.0 * math.log(3.0), 0.0]])  # at temperature 2: shares 3/4, 1/4
    assert distillation(teacher, teacher, 2.0).item() == pytest.approx(0, abs=1e-6)
    expected = 4 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    found = distillation(torch.zeros(1, 2), teacher, 2.0)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_contrastive_by_hand() -> None:
    images = torch.eye(2)
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    share = math.exp(2) / (math.exp(2) + 1)
    found = symmetric_contrastive(images, texts, 2.0)
    assert found.item() == pytest.approx(-math.log(share))


def test_contrastive_takes_all_texts_of_a_picture_as_its_own() -> None:
    torch.manual_seed(0)
    images = functional.normalize(torch.randn(3, 4), dim=1)
    texts = functional.normalize(torch.randn(5, 4), dim=1)
    owner = torch.tensor([0, 0, 1, 2, 2])
    logits = 3.0 * images @ texts.T
    to_image, to_text = 0.0, 0.0
    for text in range(5):
        to_image -= math.log(logits[:, text].softmax(0)[owner[text]].item()) / 5
    for image in range(3):
        own = [text for text in range(5) if owner[text] == image]
        share = logits[image].softmax(0)
        to_text -= sum(math.log(share[text].item()) for text in own) / len(own) / 3
    found = symmetric_contrastive(images, texts, torch.tensor(3.0), owner)
    assert found.item() == pytest.approx((to_image + to_text) / 2, abs=1e-5)


def test_contrastive_refuses_rows_that_are_not_pairs() -> None:
    with pytest.raises(InputError, match="expected pairs of rows"):
        symmetric_contrastive(torch.eye(2), torch.eye(3), 1.0)


def test_hard_negatives_follow_the_scores_and_never_the_true_pair() -> None:
    scores = torch.tensor([[9.0, 8.0, 0.0, 0.0]] * 400)
    positive = torch.tensor([[True, False, False, False]] * 400)
    generator = torch.Generator().manual_seed(0)
    drawn = hard_negatives(scores, positive, 1, generator)[:, 0]
    counts = torch.bincount(drawn, minlength=4)
    assert counts[0] == 0
    assert counts[1] > 390  # e^8 against 1 + 1
    both = hard_negatives(scores, positive, 3, generator)
    assert both.sort(dim=1).values.tolist() == [[1, 2, 3]] * 400


def test_hard_negatives_refuse_a_row_without_any() -> None:
    with pytest.raises(InputError, match="no negative"):
        hard_negatives(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), 1)


def test_transport_of_two_points_takes_the_cheap_way() -> None:
    cost = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    real = torch.ones(1, 2, dtype=torch.bool)
    plan = optimal_transport(cost, real, real)
    expected = torch.tensor([[[0.5, 0.0], [0.0, 0.5]]])
    assert torch.allclose(plan, expected, atol=1e-3)


def test_transport_keeps_the_masses_and_leaves_padding_out() -> None:
    torch.manual_seed(0)
    cost = torch.rand(2, 4, 5)
    rows = torch.tensor([[True] * 4, [True, True, False, False]])
    columns = torch.tensor([[True] * 5, [True, True, True, False, False]])
    plan = optimal_transport(cost, rows, columns, iterations=200)
    assert torch.allclose(plan.sum(2), rows / rows.sum(1, keepdim=True), atol=1e-3)
    assert torch.allclose(plan.sum(1), columns / columns.sum(1, keepdim=True), atol=1e-3)
    assert plan[1, 2:].abs().sum() == 0
    assert plan[1, :, 3:].abs().sum() == 0


def test_transport_reaches_the_linear_programme() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    torch.manual_seed(1)
    cost = torch.rand(1, 3, 4)
    real = [torch.ones(1, size, dtype=torch.bool) for size in (3, 4)]
    plan = optimal_transport(cost, *real, iterations=500)
    equal = []
    for row in range(3):
        equal.append([1.0 if i // 4 == row else 0.0 for i in range(12)])
    for column in range(4):
        equal.append([1.0 if i % 4 == column else 0.0 for i in range(12)])
    solved = optimize.linprog(
        cost[0].flatten().numpy(), A_eq=equal, b_eq=[1 / 3] * 3 + [1 / 4] * 4, method="highs"
    )
    assert float((plan * cost).sum()) == pytest.approx(solved.fun, abs=2e-3)


def test_alignment_is_small_for_equal_sides_and_counts_false_pairs_against() -> None:
    same = torch.eye(2)[None]
    real = torch.ones(1, 2, dtype=torch.bool)
    found = word_patch_alignment(same, same, real, real, torch.tensor([True]))
    assert found.item() == pytest.approx(0, abs=2e-3)
    turned = -same
    # every cost is 1 or 2; the cheap way costs 1
    false = word_patch_alignment(same, turned, real, real, torch.tensor([False]))
    assert false.item() == pytest.approx(-1, abs=2e-2)


def test_alignment_moves_words_towards_their_cells() -> None:
    torch.manual_seed(0)
    text = torch.randn(2, 3, 4, requires_grad=True)
    vision = torch.randn(2, 5, 4)
    masks = torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool)
    matched = torch.tensor([True, True])
    before = word_patch_alignment(text, vision, *masks, matched)
    (gradient,) = torch.autograd.grad(before, text)
    after = word_patch_alignment(text - gradient, vision, *masks, matched)
    assert after < before
