from __future__ import annotations

import torch

from detectors.matching import match_boxes, sample_balanced

TRUE = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 40, 40], [0, 0, 0, 0]]])
MASK = torch.tensor([[True, True, False]])


def test_thresholds_split_references_into_positive_ignored_and_negative() -> None:
    references = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 5], [0, 0, 10, 2], [20, 20, 40, 38]])
    matches = match_boxes(references, TRUE, MASK, low=0.3, high=0.7)
    assert matches.positive[0].tolist() == [True, False, False, True]
    assert matches.negative[0].tolist() == [False, False, True, False]
    assert matches.true_index[0].tolist() == [0, 0, 0, 1]


def test_low_quality_matches_give_every_true_box_its_best_references() -> None:
    references = torch.tensor([[0.0, 0, 10, 2], [0, 8, 10, 10], [60, 60, 70, 70]])
    matches = match_boxes(references, TRUE, MASK, low=0.3, high=0.7, allow_low_quality=True)
    assert matches.positive[0].tolist() == [True, True, False]
    assert matches.negative[0].tolist() == [False, False, True]


def test_a_true_box_without_any_overlap_rescues_nothing() -> None:
    matches = match_boxes(
        torch.tensor([[60.0, 60, 70, 70]]), TRUE, MASK, low=0.3, high=0.7, allow_low_quality=True
    )
    assert not matches.positive.any()
    assert matches.negative.all()


def test_pictures_without_objects_are_all_background() -> None:
    matches = match_boxes(
        torch.rand(4, 4),
        torch.zeros(2, 0, 4),
        torch.zeros(2, 0, dtype=torch.bool),
        low=0.3,
        high=0.7,
    )
    assert matches.negative.shape == (2, 4)
    assert matches.negative.all()


def test_sampling_keeps_the_share_of_positives_and_fills_with_negatives() -> None:
    positive = torch.zeros(2, 100, dtype=torch.bool)
    positive[0, :60] = True
    positive[1, :3] = True
    negative = ~positive
    negative[:, 90:] = False
    generator = torch.Generator().manual_seed(0)
    index, drawn = sample_balanced(
        positive, negative, count=32, positive_fraction=0.25, generator=generator
    )
    assert drawn.all()
    assert positive.gather(1, index).sum(dim=1).tolist() == [8, 3]
    assert (index < 90).all()
    assert all(len(set(row)) == 32 for row in index.tolist())


def test_sampling_with_too_few_references_marks_the_rest() -> None:
    positive = torch.tensor([[True, False, False, False]])
    negative = torch.tensor([[False, True, False, False]])
    index, drawn = sample_balanced(positive, negative, count=4, positive_fraction=0.5)
    assert drawn.sum() == 2
    assert set(index[drawn].tolist()) == {0, 1}


def test_sampling_repeats_with_the_same_seed() -> None:
    positive = torch.rand(3, 50, generator=torch.Generator().manual_seed(1)) > 0.5
    draws = [
        sample_balanced(
            positive,
            ~positive,
            count=10,
            positive_fraction=0.5,
            generator=torch.Generator().manual_seed(4),
        )[0]
        for _ in range(2)
    ]
    assert torch.equal(*draws)
