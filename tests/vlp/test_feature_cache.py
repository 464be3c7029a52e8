from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.vlp.data.feature_cache import FLIP, FeatureCache, picture_tensor
from gqa_reasoner.vlp.data.pictures import PictureSource
from gqa_reasoner.vlp.reduction import ReducedTower, Reduction, reduce_cache
from gqa_reasoner.vlp.tower import PatchTower, open_tower


@pytest.fixture
def source(tmp_path: Path) -> PictureSource:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(7):
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    return PictureSource.open(folder)


class TinyTower:
    """Mean colours of 16-pixel cells and their squares; may stop like a killed process."""

    name, fingerprint, grid, width, image_size = "tiny", "tiny-1", (4, 4), 6, 64

    def __init__(self, calls: int = 1000) -> None:
        self.calls = calls

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        means = torch.nn.functional.avg_pool2d(images.float() / 255, 16)
        return torch.cat((means, 4 * means**2), dim=1).flatten(2).transpose(1, 2)


def test_rows_are_the_towers_features(tmp_path: Path, source: PictureSource) -> None:
    tower = TinyTower()
    names = source.names()
    cache = FeatureCache.build(tmp_path / "c", source, names, tower, batch_size=3, flip=["2.png"])
    pixels = picture_tensor(source.read("2.png"), 64)
    for name, expected in (("2.png", pixels), ("2.png" + FLIP, pixels.flip(2))):
        assert torch.allclose(cache.rows([name])[0], tower(expected[None])[0], atol=1e-3)
    assert cache.rows(["3.png", "1.png"]).shape == (2, 16, 6)
    assert torch.equal(cache.rows(["3.png", "1.png"])[1], cache.rows(["1.png"])[0])
    assert len(cache) == 8 and cache.grid == (4, 4)
    with pytest.raises(InputError, match=r"9\.png"):
        cache.rows(["9.png"])


def test_a_stopped_build_goes_on_where_it_was(tmp_path: Path, source: PictureSource) -> None:
    names = source.names()
    with pytest.raises(KeyboardInterrupt):
        FeatureCache.build(tmp_path / "c", source, names, TinyTower(2), batch_size=2)
    assert len(FeatureCache.open(tmp_path / "c")) == 4
    second = TinyTower(2)
    FeatureCache.build(tmp_path / "c", source, names, second, batch_size=2)
    assert second.calls == 0  # three pictures were left: two batches
    whole = FeatureCache.build(tmp_path / "w", source, names, TinyTower())
    assert np.array_equal(whole.features, FeatureCache.open(tmp_path / "c").features)


def test_damaged_pictures_are_listed(tmp_path: Path, source: PictureSource) -> None:
    (source.path / "bad.png").write_bytes(b"x")
    source = PictureSource.open(source.path)
    cache = FeatureCache.build(tmp_path / "c", source, source.names(), TinyTower())
    assert [item["image"] for item in cache.failures] == ["bad.png"]
    assert "bad.png" not in cache and len(cache) == 7


def test_other_towers_and_lists_are_refused(tmp_path: Path, source: PictureSource) -> None:
    names = source.names()
    FeatureCache.build(tmp_path / "c", source, names, TinyTower())
    with pytest.raises(InputError, match="expected other"):
        FeatureCache.open(tmp_path / "c", "other")
    with pytest.raises(InputError, match="tiny-1"):
        FeatureCache.build(tmp_path / "c", source, names, PatchTower(128))
    with pytest.raises(InputError, match="other pictures"):
        FeatureCache.build(tmp_path / "c", source, names[:3], TinyTower())
    with pytest.raises(InputError, match=r"1 pictures are not there: z\.png"):
        FeatureCache.build(tmp_path / "d", source, ["z.png"], TinyTower())
    with pytest.raises(InputError, match="no feature cache"):
        FeatureCache.open(tmp_path)


def test_a_reduced_cache_is_what_the_reduced_tower_gives(
    tmp_path: Path, source: PictureSource
) -> None:
    tower = TinyTower()
    names = source.names()
    cache = FeatureCache.build(tmp_path / "c", source, names, tower)
    reduction = Reduction.fit(cache, names, grid=(2, 2), width=5, inner="tiny")
    reduction.save(tmp_path / "r")
    small = reduce_cache(cache, reduction, tmp_path / "r", f"reduced:{tmp_path / 'r'}")
    opened = ReducedTower(tower, Reduction.load(tmp_path / "r"), small.tower)
    assert opened.fingerprint == small.fingerprint and opened.grid == small.grid
    with pytest.raises(InputError, match="fitted"):
        ReducedTower(PatchTower(64), reduction)
    pixels = torch.stack([picture_tensor(source.read(name), 64) for name in names])
    assert torch.allclose(opened(pixels), small.rows(names), atol=0.05, rtol=0.01)
    # Centred, uncorrelated, variance to the power of one half.
    rows = opened(pixels).flatten(0, 1)
    assert rows.mean(0).abs().max() < 0.02
    covariance = rows.T @ rows / len(rows)
    assert (covariance - covariance.diag().diag()).abs().max() < 0.05 * covariance.max()


def test_the_same_fit_has_the_same_fingerprint(tmp_path: Path, source: PictureSource) -> None:
    cache = FeatureCache.build(tmp_path / "c", source, source.names(), TinyTower())
    fits = [Reduction.fit(cache, source.names(), grid=(1, 1), width=3) for _ in range(2)]
    assert fits[0].fingerprint == fits[1].fingerprint
    other = Reduction.fit(cache, source.names()[:5], grid=(1, 1), width=3)
    assert other.fingerprint != fits[0].fingerprint
    with pytest.raises(InputError, match="width"):
        Reduction.fit(cache, source.names(), grid=(1, 1), width=7)


@pytest.mark.parametrize("spec", ["resnet", "mobilenet:", "clip:/absent", "patches:50", "conv:x"])
def test_unknown_towers_are_refused(spec: str) -> None:
    with pytest.raises(InputError, match="tower"):
        open_tower(spec)


def test_mobilenet_features(shared: Path) -> None:
    pytest.importorskip("transformers")
    tower = open_tower(f"mobilenet:{shared / 'models' / 'mobilenet_v2'}")
    pixels = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    features = tower(pixels)
    assert features.shape == (1, 49, 1280) and tower.grid == (7, 7)
    assert features.min() >= 0 and features.max() <= 6
    with pytest.raises(InputError, match="uint8"):
        tower(pixels.float())
