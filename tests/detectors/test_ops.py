from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import ops, region_pooling
from detectors.ops import batched_nms, nms, roi_align, roi_align_grouped
from detectors.region_pooling import roi_pool
from tests.detectors import reference_ops as reference


def random_boxes(rng: np.random.Generator, count: int, spread: float = 60.0) -> np.ndarray:
    corner = rng.uniform(0, spread, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], axis=1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 150),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
)
def test_nms_equals_the_greedy_definition(seed: int, count: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, count), rng.permutation(count).astype(float)
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold, backend="torch")
    assert kept.tolist() == reference.nms(boxes, scores, threshold)


def test_nms_over_several_blocks_equals_the_greedy_definition() -> None:
    rng = np.random.default_rng(5)
    boxes, scores = random_boxes(rng, 900, 300.0), rng.random(900)
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5, backend="torch")
    assert kept.tolist() == reference.nms(boxes, scores, 0.5)


def test_nms_breaks_ties_by_index_and_follows_chains() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10], [0, 0, 10, 10]])
    scores = torch.tensor([0.9, 0.9, 0.9, 0.9])
    assert nms(boxes, scores, 0.5, backend="torch").tolist() == [0, 2]


def test_batched_nms_keeps_groups_apart() -> None:
    rng = np.random.default_rng(0)
    boxes, scores = random_boxes(rng, 200), rng.random(200)
    groups = rng.integers(0, 4, 200)
    expected = sorted(
        (
            int(np.flatnonzero(groups == group)[index])
            for group in range(4)
            for index in reference.nms(boxes[groups == group], scores[groups == group], 0.4)
        ),
        key=lambda i: -scores[i],
    )
    kept = batched_nms(*map(torch.from_numpy, (boxes, scores, groups)), 0.4, backend="torch")
    assert kept.tolist() == expected


def test_batched_nms_stays_exact_with_many_groups() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 3.4, 10, 13.4], [0, 3.3, 10, 13.3]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    for group in (0, 5_000_000):
        groups = torch.full((3,), group)
        assert batched_nms(boxes, scores, groups, 0.4963).tolist() == [0, 1]


def test_empty_input_gives_empty_output() -> None:
    none = torch.zeros(0, 4)
    assert nms(none, torch.zeros(0), 0.5).shape == (0,)
    assert batched_nms(none, torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5).shape == (0,)
    assert roi_align(torch.zeros(1, 3, 5, 5), torch.zeros(0, 5), (7, 7)).shape == (0, 3, 7, 7)


REGIONS = [
    [0, 2.2, 3.1, 17.5, 21.0],
    [1, -9.0, -6.0, 8.0, 7.0],
    [1, 25.0, 20.0, 60.0, 52.0],
    [0, 5.0, 5.0, 5.4, 5.2],
    [0, 100.0, 100.0, 120.0, 130.0],
    [1, 0.0, 0.0, 47.0, 31.0],
]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("together", [True, False])
def test_roi_align_equals_its_definition(
    aligned: bool, ratio: int, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_pooling, "_CACHE_BYTES", 10**9 if together else 1)
    rng = np.random.default_rng(1)
    features, regions = rng.normal(size=(2, 3, 8, 12)), np.array(REGIONS)
    expected = reference.roi_align(features, regions, (3, 4), 0.25, ratio, aligned)
    given_ = torch.from_numpy(features), torch.from_numpy(regions)
    result = roi_align(
        *given_, (3, 4), spatial_scale=0.25, sampling_ratio=ratio, aligned=aligned, backend="torch"
    )
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("together", [True, False])
def test_roi_align_gradient_is_the_transposed_sampling(
    together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_pooling, "_CACHE_BYTES", 10**9 if together else 1)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 2, 8, 12, generator=generator, requires_grad=True)
    regions = torch.tensor(REGIONS)
    output = roi_align(features, regions, (3, 4), spatial_scale=0.25, backend="torch")
    weight = torch.randn(output.shape, generator=generator)
    (output * weight).sum().backward()
    direction = torch.randn(features.shape, generator=generator)
    moved = roi_align(features + direction, regions, (3, 4), spatial_scale=0.25, backend="torch")
    change = ((moved - output) * weight).sum()
    assert features.grad is not None
    assert torch.allclose((features.grad * direction).sum(), change, rtol=1e-3, atol=1e-3)


def test_roi_align_accepts_regions_outside_the_map_only() -> None:
    features = torch.ones(1, 1, 4, 4)
    regions = torch.tensor([[0, 50.0, 50.0, 60.0, 60.0], [0, -60.0, -60.0, -50.0, -50.0]])
    assert not roi_align(features, regions, (2, 2), backend="torch").any()


def test_grouped_roi_align_equals_the_plain_one() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 8, 12, generator=generator)
    boxes = torch.from_numpy(random_boxes(np.random.default_rng(3), 6)).float().view(2, 3, 4)
    grouped = roi_align_grouped(features, boxes, (7, 7), spatial_scale=0.2, sampling_ratio=2)
    picture = torch.tensor([0.0, 0, 0, 1, 1, 1])[:, None]
    plain = roi_align(
        features,
        torch.cat([picture, boxes.view(-1, 4)], dim=1),
        (7, 7),
        spatial_scale=0.2,
        sampling_ratio=2,
        backend="torch",
    )
    assert torch.allclose(grouped.flatten(0, 1).permute(0, 3, 1, 2), plain, atol=1e-5)


def test_a_broken_torchvision_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    ops._torchvision_ops.cache_clear()
    monkeypatch.setattr(ops.importlib, "import_module", broken)
    assert nms(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1.0]), 0.5).tolist() == [0]
    ops._torchvision_ops.cache_clear()


@pytest.mark.parametrize("scale", [0.25, 0.5])
def test_roi_pool_equals_its_definition(scale: float) -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(2, 3, 8, 12)).astype(np.float32)
    regions = np.array([*REGIONS, [0, 0.0, 0.0, 47.0, 31.0], [1, 2.0, 2.0, 4.0, 30.0]])
    expected = reference.roi_pool(features, regions, (3, 4), scale)
    result = roi_pool(
        torch.from_numpy(features), torch.from_numpy(regions), (3, 4), spatial_scale=scale
    )
    np.testing.assert_array_equal(result.numpy(), expected.astype(np.float32))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("most_pairs", [10**7, 100])
def test_many_boxes_are_suppressed_as_by_the_reference(
    threshold: float, most_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detectors.suppression._MOST_PAIRS", most_pairs)
    rng = np.random.default_rng(5)
    corner = rng.integers(0, 60, (700, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 25, (700, 2))], axis=1)
    boxes = boxes.astype(np.float32)  # whole numbers: many overlaps of exactly the threshold
    scores = rng.integers(0, 300, 700).astype(np.float32)
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold, backend="torch")
    assert kept.tolist() == reference.nms(boxes, scores, threshold)
