"""Towers of `transformers` folders, against the classes of `transformers` that wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.vlp.tower import open_tower

transformers = pytest.importorskip("transformers")

SIDE = 32
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 40,
    "max_position_embeddings": 12,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
KINDS = ("clip", "siglip", "blip")


def _models(kind: str) -> list[Any]:
    """The whole model of a kind, its vision part alone, and for BLIP the captioner."""
    found = _untrained(kind)
    for model in found:  # BLIP's weights are made so small that any would give the same features
        for value in model.parameters():
            value.data.add_(0.2 * torch.randn_like(value))
    return found


def _untrained(kind: str) -> list[Any]:
    parts = {"vision_config": VISION, "text_config": dict(TEXT)}
    if kind == "clip":
        whole = transformers.CLIPModel(transformers.CLIPConfig(**parts, projection_dim=8))
        alone = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION))
        return [whole, alone]
    if kind == "siglip":
        whole = transformers.SiglipModel(transformers.SiglipConfig(**parts))
        alone = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**VISION))
        return [whole, alone]
    parts["text_config"] |= {"encoder_hidden_size": 16, "sep_token_id": 3}
    config = transformers.BlipConfig(**parts, projection_dim=8)
    alone = transformers.BlipVisionModel(transformers.BlipVisionConfig(**VISION))
    return [
        transformers.BlipModel(config),
        alone,
        transformers.BlipForConditionalGeneration(config),
    ]


def _processor(kind: str) -> Any:
    name = {"clip": "CLIP", "siglip": "Siglip", "blip": "Blip"}[kind] + "ImageProcessorPil"
    if not hasattr(transformers, name):
        name = name.removesuffix("Pil")
    square = {"height": SIDE, "width": SIDE}
    if kind == "clip":
        return getattr(transformers, name)(size={"shortest_edge": SIDE}, crop_size=square)
    return getattr(transformers, name)(size=square)


def _write(model: Any, kind: str, folder: Path) -> Path:
    model.save_pretrained(folder)
    _processor(kind).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Per kind a folder with the whole model, and the model."""
    found = {}
    for kind in KINDS:
        torch.manual_seed(KINDS.index(kind))
        model = _models(kind)[0].eval()
        found[kind] = (_write(model, kind, tmp_path_factory.mktemp(kind)), model)
    return found


def _pictures() -> list[PIL.Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    return [PIL.Image.fromarray(one) for one in noise]


def _expected(model: Any, kind: str, pixels: torch.Tensor) -> torch.Tensor:
    """Features of the class of `transformers` itself, the class token taken away."""
    part = getattr(model, "vision_model", model)
    with torch.inference_mode():
        hidden = part(pixel_values=pixels).last_hidden_state
    return hidden if kind == "siglip" else hidden[:, 1:]


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    pictures = _pictures()
    ours = torch.stack([torch.from_numpy(np.asarray(one).copy()) for one in pictures])
    pixels = _processor(kind)(pictures, return_tensors="pt")["pixel_values"]
    fingerprints = set()
    for number, model in enumerate(_models(kind)):
        model = model.eval()
        tower = open_tower(f"{kind}:{_write(model, kind, tmp_path / str(number))}")
        assert (tower.grid, tower.width, tower.image_size) == ((4, 4), 16, SIDE)
        found = tower(ours.permute(0, 3, 1, 2))
        assert torch.allclose(found, _expected(model, kind, pixels), atol=1e-5)
        fingerprints.add(tower.fingerprint)
    assert len(fingerprints) == number + 1


def test_the_scale_of_pixels_is_the_processors(
    folders: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    source, model = folders["clip"]
    folder = shutil.copytree(source, tmp_path / "copy")
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    images = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    settings["do_normalize"] = False
    path.write_text(json.dumps(settings))
    tower = open_tower(f"clip:{folder}")
    assert torch.allclose(tower(images), _expected(model, "clip", images / 255), atol=1e-5)
    path.write_text(json.dumps({**settings, "rescale_factor": 1 / 127.5}))
    other = open_tower(f"clip:{folder}")
    assert torch.allclose(other(images), _expected(model, "clip", images / 127.5), atol=1e-5)
    assert other.fingerprint != tower.fingerprint


@pytest.mark.parametrize("kind", [*KINDS, "mobilenet"])
@pytest.mark.parametrize("other", KINDS)
def test_another_architecture_is_refused(
    kind: str, other: str, folders: dict[str, tuple[Path, Any]]
) -> None:
    if kind == other:
        return
    with pytest.raises(InputError, match=f"tower {kind}: expected a model of type {kind}"):
        open_tower(f"{kind}:{folders[other][0]}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_or_damaged_file_is_one_line(
    kind: str, name: str, folders: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[kind][0], tmp_path / "copy")
    (folder / name).write_text("{ this is not it")
    with pytest.raises(InputError, match=f"tower {kind}") as caught:
        open_tower(f"{kind}:{folder}")
    assert "\n" not in str(caught.value)
    (folder / name).unlink()
    with pytest.raises(InputError, match=name) as caught:
        open_tower(f"{kind}:{folder}")
    assert "\n" not in str(caught.value)


def test_weights_without_the_vision_part_are_refused(
    folders: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders["clip"][0], tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("vision_model")}
    assert 0 < len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="weights are not there"):
        open_tower(f"clip:{folder}")


@pytest.mark.parametrize("given", [None, [0.5, 0.5], ["a", "b", "c"], "grey"])
def test_colours_that_are_none_are_refused(
    given: object, folders: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["blip"][0], tmp_path / "copy")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "image_mean": given}))
    with pytest.raises(InputError, match="image_mean: expected three numbers"):
        open_tower(f"blip:{folder}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_features_command_reads_such_a_folder(
    kind: str,
    folders: dict[str, tuple[Path, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache

    (tmp_path / "images").mkdir()
    for number, one in enumerate(_pictures()):
        one.save(tmp_path / "images" / f"{number}.png")
    words = ["vlp", "features", "--images", str(tmp_path / "images"), "--output"]
    good = [*words, str(tmp_path / "cache"), "--tower", f"{kind}:{folders[kind][0]}"]
    assert main(good) == 0
    assert FeatureCache.open(tmp_path / "cache").rows(["0.png"]).shape == (1, 16, 16)
    other = folders[KINDS[KINDS.index(kind) - 1]][0]
    capsys.readouterr()
    assert main([*words, str(tmp_path / "none"), "--tower", f"{kind}:{other}"]) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0
