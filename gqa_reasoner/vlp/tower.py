"""Image towers: pictures in, a grid of feature vectors out.

B: pictures, H W: pixels, R C: rows and columns of the grid, F: width of a feature vector.
"""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from detectors.errors import InputError

__all__ = ["ConvTower", "HubTower", "ImageTower", "PatchTower", "open_tower"]


class ImageTower(Protocol):
    """What every tower offers."""

    name: str
    """Its specification, as `open_tower` reads it."""
    fingerprint: str
    """Changes when the tower's weights or its preprocessing do."""
    grid: tuple[int, int]
    width: int
    image_size: int

    def __call__(self, images: Tensor) -> Tensor:
        """Features of pictures.

        Args:
            images: (B, 3, H, W) uint8, H = W = `image_size`.

        Returns:
            (B, R * C, F) float32, row by row.
        """
        ...


def open_tower(spec: str) -> ImageTower:
    """A tower by its description.

    Args:
        spec: `mobilenet:DIR`, `clip:DIR`, `siglip:DIR`, `blip:DIR` (frozen, weights of
            `transformers` in the folder), `reduced:DIR` (see `reduction`),
            `patches[:SIZE]` (raw 32-pixel patches of a SIZE
            picture, default 224), or `conv[:WIDTH]` (small, trainable, not pre-trained).

    Raises:
        InputError: a kind not known, no such folder, `transformers` not installed.
    """
    kind, _, rest = spec.partition(":")
    if kind == "patches":
        return PatchTower(_number(spec, rest, 224))
    if kind == "conv":
        return ConvTower(_number(spec, rest, 256))
    if kind == "reduced":
        from gqa_reasoner.vlp.reduction import ReducedTower, Reduction

        reduction = Reduction.load(rest)
        return ReducedTower(open_tower(reduction.inner), reduction, spec)
    if kind in ("mobilenet", "clip", "siglip", "blip"):
        if not rest or not Path(rest).is_dir():
            raise InputError(f"tower {spec!r}: expected {kind}:FOLDER with weights")
        return HubTower(kind, Path(rest))
    raise InputError(
        f"tower {spec!r}: expected mobilenet:DIR, clip:DIR, siglip:DIR, blip:DIR, reduced:DIR, "
        "patches or conv"
    )


def _number(spec: str, text: str, default: int) -> int:
    if not text:
        return default
    if not text.isdigit() or int(text) < 32 or int(text) % 32:
        raise InputError(f"tower {spec!r}: expected a multiple of 32, got {text!r}")
    return int(text)


class PatchTower(nn.Module):
    """Raw pixels of 32 × 32 patches, scaled to [-1, 1] (ViLT, https://arxiv.org/abs/2102.03334)."""

    patch = 32

    def __init__(self, image_size: int = 224) -> None:
        super().__init__()
        side = image_size // self.patch
        self.name = f"patches:{image_size}"
        self.image_size = image_size
        self.grid = (side, side)
        self.width = 3 * self.patch * self.patch
        self.fingerprint = f"patches{self.patch}-{image_size}-v1"

    def forward(self, images: Tensor) -> Tensor:
        """See `ImageTower`."""
        _check(images, self.image_size)
        scaled = images.float() / 127.5 - 1
        return functional.unfold(scaled, self.patch, stride=self.patch).transpose(1, 2)


class ConvTower(nn.Module):
    """Five strided convolutions, trainable; for recipes that learn from pixels (Pixel-BERT)."""

    def __init__(self, width: int = 256, image_size: int = 224) -> None:
        super().__init__()
        widths = (3, width // 8, width // 4, width // 2, width, width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(min(8, after), after),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.name = f"conv:{width}"
        self.image_size = image_size
        self.grid = (image_size // 32, image_size // 32)
        self.width = width
        self.fingerprint = f"conv-{width}-{image_size}-v1"

    def forward(self, images: Tensor) -> Tensor:
        """See `ImageTower`."""
        _check(images, self.image_size)
        return self.layers(images.float() / 127.5 - 1).flatten(2).transpose(1, 2)


class HubTower:
    """A frozen vision model of `transformers`, loaded from a local folder."""

    def __init__(self, kind: str, folder: Path) -> None:
        try:
            import transformers
        except ImportError as error:
            raise InputError(
                f"tower {kind}: needs transformers (pip install gqa-reasoner[transformers])"
            ) from error
        names = {
            "mobilenet": "MobileNetV2Model",
            "clip": "CLIPVisionModel",
            "siglip": "SiglipVisionModel",
            "blip": "BlipVisionModel",
        }
        loader = getattr(transformers, names[kind])
        log = transformers.utils.logging
        level = log.get_verbosity()
        log.set_verbosity_error()  # a classifier's unused head is no news
        log.disable_progress_bar()
        try:
            self.model: Any = loader.from_pretrained(folder, local_files_only=True).eval()
            settings = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
            mean, deviation = settings["image_mean"], settings["image_std"]
        except (OSError, ValueError, KeyError) as error:
            line = " ".join(str(error).split())[:160]
            raise InputError(f"{folder}: tower {kind}: {line}") from error
        finally:
            log.set_verbosity(level)
            log.enable_progress_bar()
        if kind == "mobilenet":
            _fold(self.model)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self.kind = kind
        self.name = f"{kind}:{folder}"
        self.mean = torch.tensor(mean).view(1, 3, 1, 1)
        self.deviation = torch.tensor(deviation).view(1, 3, 1, 1)
        self.image_size = int(getattr(self.model.config, "image_size", 224))
        with torch.inference_mode():
            probe = torch.zeros(1, 3, self.image_size, self.image_size, dtype=torch.uint8)
            cells, self.width = self(probe).shape[1:]
        side = round(cells**0.5)
        self.grid = (side, side)
        self.fingerprint = f"{kind}-{self.image_size}-{_digest(folder)}"

    def __call__(self, images: Tensor) -> Tensor:
        """See `ImageTower`."""
        _check(images, self.image_size)
        scaled = (images.float() / 255 - self.mean) / self.deviation
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            hidden = self.model(scaled).last_hidden_state
        if hidden.ndim == 4:
            return hidden.flatten(2).transpose(1, 2).contiguous()
        return hidden if self.kind == "siglip" else hidden[:, 1:]


def _fold(model: nn.Module) -> None:
    """Put batch normalisation into the convolutions and lay weights out channels last: faster."""
    for layer in list(model.modules()):
        normalisation = getattr(layer, "normalization", None)
        if isinstance(normalisation, nn.BatchNorm2d):
            convolution = cast(nn.Conv2d, layer.convolution)
            layer.convolution = fuse_conv_bn_eval(convolution.eval(), normalisation)
            setattr(layer, "normalization", None)  # noqa: B010 - Module's own type is narrower
        if isinstance(getattr(layer, "activation", None), nn.ReLU6):
            layer.activation = nn.ReLU6(inplace=True)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def _check(images: Tensor, size: int) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1:] != (3, size, size):
        raise InputError(
            f"tower: expected uint8 pictures (B, 3, {size}, {size}), "
            f"got {images.dtype} {tuple(images.shape)}"
        )
