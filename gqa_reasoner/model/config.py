"""Sizes and switches of a trunk, as data that is checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from detectors.errors import InputError
from gqa_reasoner.model.plan import Plan

__all__ = ["TrunkConfig"]


@dataclass(frozen=True)
class TrunkConfig:
    """What a `Trunk` is built from; `to_json` and `from_json` are exact inverses."""

    plan: Plan
    width: int = 768
    heads: int = 12
    hidden: int = 3072
    """Inner width of the feed-forward sublayers."""
    head_width: int | None = None
    """Width of one head; None: width / heads."""
    norm: Literal["layer", "rms"] = "layer"
    norm_position: Literal["pre", "post"] = "post"
    final_norm: bool = True
    """Under pre-norm: normalise each stream after its last change."""
    activation: str = "gelu"
    epsilon: float = 1e-12
    bias: bool = True
    scale: float | None = None
    """Factor on the attention logits; None: 1 / sqrt(head width)."""
    relative_buckets: int = 0
    relative_distance: int = 128
    edge_types: int = 0
    """Kinds of typed edges that bias attention, each with a weight per row and head."""
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        for name, legal in (("norm", ("layer", "rms")), ("norm_position", ("pre", "post"))):
            if getattr(self, name) not in legal:
                raise InputError(
                    f"trunk configuration: {name}: expected {' or '.join(legal)}, "
                    f"got {getattr(self, name)!r}"
                )
        for name in ("width", "heads", "hidden"):
            if getattr(self, name) < 1:
                raise InputError(f"trunk configuration: {name}: expected at least 1")
        if self.head_width is None and self.width % self.heads:
            raise InputError(
                f"trunk configuration: width {self.width} is not a multiple of {self.heads} heads"
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON record of every field."""
        return {**asdict(self), "plan": self.plan.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TrunkConfig:
        """Read `to_json`'s form.

        Raises:
            InputError: an unknown key, or a value out of range.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(record) - known)
        if unknown:
            raise InputError(
                f"trunk configuration: unknown key {unknown[0]!r}, "
                f"expected one of {', '.join(sorted(known))}"
            )
        if "plan" not in record:
            raise InputError("trunk configuration: field 'plan' is missing")
        return cls(**{**record, "plan": Plan.from_json(record["plan"])})
