"""Keys and values that decoding keeps between steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from gqa_reasoner.model.plan import Stream

__all__ = ["Cache"]


@dataclass
class Cache:
    """Keys and values (B, length, I) of earlier positions, per row and stream, for decoding."""

    rows: dict[tuple[int, Stream], tuple[Tensor, Tensor]] = field(default_factory=dict)
    text_length: int = 0
    vision_length: int = 0
