"""Configuration of a region detector: sizes and thresholds as data, unknown keys refused."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from detectors.errors import InputError

__all__ = ["DetectorConfig", "DetectorVocabulary", "from_mapping", "to_mapping"]

T = TypeVar("T")


@dataclass(frozen=True)
class DetectorVocabulary:
    """The names that the detector's outputs stand for; index = position."""

    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    predicates: tuple[str, ...] = ()
    scene_attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Facts of the whole picture, such as `location`, with their values."""


@dataclass(frozen=True)
class DetectorConfig:
    """Sizes of the default detector and the thresholds of its selection.

    Names follow the papers: Faster R-CNN (Ren et al. 2015), FPN (Lin et al. 2017).
    """

    architecture: str = "small-fpn"
    """`small-fpn`: the small residual backbone; `mobilenet_v2-fpn`: MobileNetV2, whose sizes are
    fixed, so that stem and stages below do not count."""
    image_size: tuple[int, int] = (240, 320)
    """Height and width in pixels of training pictures; others are scaled into this size."""
    pixel_mean: tuple[float, float, float] = (123.7, 116.3, 103.5)
    pixel_std: tuple[float, float, float] = (58.4, 57.1, 57.4)
    stem_channels: int = 16
    stage_channels: tuple[int, ...] = (32, 64, 128, 256)
    stage_blocks: tuple[int, ...] = (1, 2, 3, 1)
    """Residual blocks of the stages of stride 4, 8, 16 and 32; regions are pooled
    from all four levels of the pyramid, proposals come from the upper three."""
    pyramid_channels: int = 96
    anchor_sizes: tuple[tuple[float, ...], ...] = (
        (14.0, 22.0, 34.0),
        (48.0, 64.0, 88.0),
        (112.0, 144.0, 192.0),
    )
    """Of the levels of stride 8, 16 and 32."""
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals_before_nms: int = 120
    """Per pyramid level."""
    proposals_after_nms: int = 100
    proposal_nms_threshold: float = 0.7
    minimum_proposal_size: float = 4.0
    pooler_size: int = 7
    pooler_sampling_ratio: int = 2
    pooler_canonical_size: float = 96.0
    """Objects of this size (square root of the area, pixels) are pooled at stride 16."""
    feature_size: int = 256
    class_embedding_size: int = 64
    relation_size: int = 128
    score_threshold: float = 0.3
    box_nms_threshold: float = 0.5
    duplicate_nms_threshold: float = 0.8
    """Overlap above which the lower of two objects of different classes is dropped."""
    maximum_objects: int = 36
    attribute_threshold: float = 0.5
    relation_threshold: float = 0.5
    class_temperature: float = 1.0
    attribute_temperature: float = 1.0
    relation_temperature: float = 1.0
    """Logits are divided by these; fitted on validation pictures (Guo et al. 2017)."""
    detector_name: str = "tinygqa-faster-rcnn"
    vocabulary: DetectorVocabulary = field(default_factory=DetectorVocabulary)

    def __post_init__(self) -> None:
        """Raise `InputError` where values contradict one another."""
        if self.architecture not in ("small-fpn", "mobilenet_v2-fpn"):
            raise InputError(
                "detector config: architecture: expected 'small-fpn' or 'mobilenet_v2-fpn', "
                f"got {self.architecture!r}"
            )
        if len(self.stage_channels) != 4 or len(self.stage_blocks) != 4:
            raise InputError("detector config: stage_channels, stage_blocks: expected 4 values")
        if len(self.anchor_sizes) != 3:
            raise InputError(
                f"detector config: anchor_sizes: expected sizes for 3 pyramid levels, "
                f"got {len(self.anchor_sizes)}"
            )


def to_mapping(config: Any) -> dict[str, Any]:
    """A dataclass as plain dictionaries and lists, ready for JSON or YAML."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {
                item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)
            }
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    return plain(config)


def from_mapping(kind: type[T], record: Any, source: str) -> T:
    """Build the dataclass `kind` from plain data.

    Raises:
        InputError: an unknown key, a missing key or a value of the wrong type; the line names
            `source`, the key, what was expected and what was found.
    """
    if not isinstance(record, Mapping):
        raise InputError(f"{source}: expected a mapping, got {type(record).__name__}")
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in record if key not in fields)
    if unknown:
        raise InputError(f"{source}: unknown keys {unknown}; known keys: {sorted(fields)}")
    values: dict[str, Any] = {}
    for name, item in fields.items():
        if name in record:
            values[name] = _convert(hints[name], record[name], f"{source}: {name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise InputError(f"{source}: {name}: missing")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_mapping(hint, value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(kind for kind in arguments if kind is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where}: expected a list, got {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(arguments[0], item, where) for item in value)
        if len(value) != len(arguments):
            raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}")
        return tuple(
            _convert(kind, item, where) for kind, item in zip(arguments, value, strict=True)
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected a mapping, got {value!r}")
        return {str(key): _convert(arguments[1], item, where) for key, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value
