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


_HUB = {
    "mobilenet": ("MobileNetV2Model", ("mobilenet_v2",)),
    "clip": ("CLIPVisionModel", ("clip", "clip_vision_model")),
    "siglip": ("SiglipVisionModel", ("siglip", "siglip_vision_model")),
    "blip": ("BlipVisionModel", ("blip", "blip_vision_model")),
}
"""The class of `transformers` and the model types whose vision part it can be."""


_RENAMED = {"blip": {r"^vision_model\.": ""}}
"""Unlike the others, BLIP's vision class does not find its weights inside a whole model's."""


class HubTower:
    """A frozen vision model of `transformers`, loaded from a local folder.

    Of the image processor's settings those on the scale of pixels are followed; every tower gets
    pictures that were resized whole to its size (`picture_tensor`).
    """

    def __init__(self, kind: str, folder: Path) -> None:
        try:
            import transformers
        except ImportError as error:
            raise InputError(
                f"tower {kind}: needs transformers (pip install gqa-reasoner[transformers])"
            ) from error
        wanted, types = _HUB[kind]
        found = _record(kind, folder, "config.json").get("model_type")
        if found not in types:
            raise InputError(
                f"{folder}: tower {kind}: expected a model of type {types[0]}, its config.json "
                f"says {found!r}"
            )
        self.range, self.mean, self.deviation = _scaling(kind, folder)
        self.model: Any = _load(transformers, wanted, kind, folder)
        if kind == "mobilenet":
            _fold(self.model)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self.kind = kind
        self.name = f"{kind}:{folder}"
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
        scaled = (images.float() / self.range - self.mean) / self.deviation
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


def _record(kind: str, folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a model folder."""
    path = folder / name
    if not path.is_file():
        raise InputError(f"{path}: tower {kind}: no such file")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: tower {kind}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: tower {kind}: expected an object")
    return found


def _scaling(kind: str, folder: Path) -> tuple[float, Tensor, Tensor]:
    """What pixels are divided by, then the mean and deviation (1, 3, 1, 1) of colours."""
    settings = _record(kind, folder, "preprocessor_config.json")
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    plain = not settings.get("do_normalize", True)
    colours = []
    for name, value in (("image_mean", 0.0), ("image_std", 1.0)):
        given: Any = [value] * 3 if plain else settings.get(name)
        numbers = isinstance(given, list) and all(isinstance(one, int | float) for one in given)
        if not numbers or len(given) != 3 or (name == "image_std" and min(given) <= 0):
            raise InputError(
                f"{folder / 'preprocessor_config.json'}: tower {kind}: {name}: expected three "
                f"numbers, got {given!r}"
            )
        colours.append(torch.tensor(given, dtype=torch.float32).view(1, 3, 1, 1))
    if not isinstance(factor, int | float) or not factor > 0:
        raise InputError(
            f"{folder / 'preprocessor_config.json'}: tower {kind}: rescale_factor: expected more "
            f"than 0, got {factor!r}"
        )
    return 1 / factor, colours[0], colours[1]


def _load(transformers: Any, wanted: str, kind: str, folder: Path) -> Any:
    """The vision model with every weight from the folder; none may be left as it was made."""
    log = transformers.utils.logging
    level = log.get_verbosity()
    log.set_verbosity_error()  # a classifier's unused head is no news
    log.disable_progress_bar()
    try:
        model, report = getattr(transformers, wanted).from_pretrained(
            folder, local_files_only=True, output_loading_info=True, key_mapping=_RENAMED.get(kind)
        )
    except Exception as error:  # OSError, RuntimeError, SafetensorError, ...
        line = " ".join(str(error).split())[:160]
        raise InputError(f"{folder}: tower {kind}: {line}") from error
    finally:
        log.set_verbosity(level)
        log.enable_progress_bar()
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"{folder}: tower {kind}: {len(missing)} weights are not there: "
            f"{', '.join(missing[:3])}"
        )
    return model.eval()


def _digest(folder: Path) -> str:
    weights = [folder / "model.safetensors"]
    if not weights[0].is_file():
        weights = [*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.bin"))]
    digest = hashlib.sha256()
    for path in (folder / "config.json", folder / "preprocessor_config.json", *weights):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _check(images: Tensor, size: int) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1:] != (3, size, size):
        raise InputError(
            f"tower: expected uint8 pictures (B, 3, {size}, {size}), "
            f"got {images.dtype} {tuple(images.shape)}"
        )
