"""SOHO's visual dictionary."""

from __future__ import annotations

import torch

from gqa_reasoner.vlp.dictionary import VisualDictionary, moving_average, nearest


def test_nearest_is_the_least_distance() -> None:
    entries = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    values = torch.tensor([[0.9, 0.0], [1.1, 0.0], [0.0, 2.0]])
    assert nearest(values, entries).tolist() == [0, 1, 2]


def test_one_step_of_the_averages_by_hand() -> None:
    sums, counts = torch.tensor([[4.0], [10.0]]), torch.tensor([2.0, 5.0])
    values, codes = torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1])
    new_sums, new_counts = moving_average(sums, counts, values, codes, 0.9)
    assert torch.allclose(new_counts, torch.tensor([0.9 * 2 + 0.1 * 2, 0.9 * 5 + 0.1 * 1]))
    assert torch.allclose(new_sums, torch.tensor([[0.9 * 4 + 0.1 * 4], [0.9 * 10 + 0.1 * 7]]))


def test_entries_find_the_groups_and_the_gradient_passes_through() -> None:
    torch.manual_seed(0)
    centres = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]])
    dictionary = VisualDictionary(3, 2, decay=0.8)
    for _ in range(60):
        values = centres[torch.randint(3, (64,))] + 0.1 * torch.randn(64, 2)
        dictionary(values)
    dictionary.eval()
    found = dictionary(centres)
    assert sorted(found.codes.tolist()) == [0, 1, 2]
    assert torch.allclose(found.tokens, centres, atol=0.2)
    values = centres.clone().requires_grad_()
    dictionary(values).tokens.sum().backward()
    assert torch.equal(values.grad, torch.ones(3, 2))


def test_outside_training_nothing_moves() -> None:
    dictionary = VisualDictionary(4, 2).eval()
    before = dictionary.entries.clone()
    dictionary(torch.randn(9, 2))
    assert torch.equal(dictionary.entries, before)


def test_idle_entries_return_to_use() -> None:
    torch.manual_seed(0)
    dictionary = VisualDictionary(4, 2, decay=0.5)
    dictionary(torch.randn(8, 2))
    dictionary.entries[0] = 1e3
    dictionary.sums[0], dictionary.counts[0] = 1e3, 0.01
    dictionary(torch.randn(8, 2))
    assert dictionary.entries[0].abs().max() < 10
