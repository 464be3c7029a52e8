"""What masked losses hide."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gqa_reasoner.vlp.losses import IGNORED
from gqa_reasoner.vlp.masking import (
    drop_words,
    mask_codes,
    mask_regions,
    mask_words,
    thinned,
)
from gqa_reasoner.vlp.recipe import load_recipe

from . import small


def _texts(seed: int, count: int, length: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(7, 50, (count, length), generator=generator)
    ids[:, 0], ids[:, -1] = 2, 3
    return ids


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(3, 20))
def test_labels_are_the_hidden_words_and_nothing_special_is_hidden(
    seed: int, count: int, length: int
) -> None:
    ids = _texts(seed, count, length)
    generator = torch.Generator().manual_seed(seed)
    found = mask_words(ids, vocabulary=50, rate=0.15, generator=generator)
    counted = found.labels != IGNORED
    assert torch.equal(found.labels[counted], ids[counted])
    assert torch.equal(found.ids[~counted], ids[~counted])
    assert counted.any(dim=1).all()
    assert not counted[ids < 7].any()


def test_eight_of_ten_chosen_words_become_the_mask() -> None:
    ids = _texts(0, 200, 42)
    generator = torch.Generator().manual_seed(0)
    found = mask_words(ids, vocabulary=50, rate=0.5, generator=generator)
    chosen = found.labels != IGNORED
    share = (found.ids[chosen] == 4).float().mean().item()
    assert abs(share - 0.8) < 0.03
    assert abs(chosen[:, 1:-1].float().mean().item() - 0.5) < 0.03


def test_whole_words_are_hidden_together() -> None:
    ids = torch.tensor([[2, 10, 11, 12, 20, 30, 31, 3]])
    starts = torch.tensor([[True, True, False, False, True, True, False, True]])
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        found = mask_words(ids, vocabulary=50, rate=0.3, generator=generator, starts=starts)
        hidden = (found.labels != IGNORED)[0].tolist()
        assert hidden[1] == hidden[2] == hidden[3]
        assert hidden[5] == hidden[6]


def test_rows_left_out_hide_nothing() -> None:
    ids = _texts(1, 4, 9)
    rows = torch.tensor([True, False, True, False])
    generator = torch.Generator().manual_seed(0)
    found = mask_words(ids, vocabulary=50, rate=0.3, generator=generator, rows=rows)
    assert (found.labels != IGNORED).any(dim=1).tolist() == rows.tolist()
    assert mask_regions(4, 9, rate=0.2, generator=generator, rows=rows).any(1).tolist() == [
        True, False, True, False,
    ]  # fmt: skip


def test_a_code_is_hidden_wherever_it_appears() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 6, (20, 49), generator=generator)
    hidden = mask_codes(codes, rate=0.15, generator=generator)
    for row in range(20):
        inside = set(codes[row][hidden[row]].tolist())
        outside = set(codes[row][~hidden[row]].tolist())
        assert inside
        assert not inside & outside


def test_noise_drops_words_and_keeps_the_ends() -> None:
    ids = torch.tensor([[2, 10, 11, 12, 13, 14, 3, 0, 0]] * 50)
    generator = torch.Generator().manual_seed(0)
    noisy, mask = drop_words(ids, drop=0.3, shuffle=3.0, generator=generator)
    for row, real in zip(noisy.tolist(), mask.tolist(), strict=True):
        kept = [word for word, seen in zip(row, real, strict=True) if seen]
        assert kept[0] == 2
        assert kept[-1] == 3
        assert set(kept[1:-1]) <= {10, 11, 12, 13, 14}
    assert not mask.all(dim=0)[:7].all()
    same, _ = drop_words(ids, drop=0.0, shuffle=0.0, generator=generator)
    assert torch.equal(same, ids)


def test_thinning_hides_words_and_cells_and_nothing_else() -> None:
    corpus = small.corpus(load_recipe("clip"))
    batch = corpus.batch(list(range(16)), torch.Generator().manual_seed(0))
    thin = thinned(batch, 0.5, 0.25, torch.Generator().manual_seed(0))
    changed = thin.ids != batch.ids
    assert (thin.ids[changed] == 4).all()
    assert not changed[batch.ids < 7].any()
    assert 0.3 < changed[batch.ids >= 7].float().mean() < 0.7
    empty = (thin.features == 0).all(dim=2)
    assert 0.15 < empty.float().mean() < 0.35
    assert torch.equal(thin.features[~empty], batch.features[~empty])
    same = thinned(batch, 0.0, 0.0, torch.Generator())
    assert same is batch
