"""Key maps: how a checkpoint's weights lie in ours. One map serves loading, saving, gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detectors.errors import InputError

__all__ = ["Rule", "attention_rules", "from_theirs", "pairs", "to_theirs"]


@dataclass(frozen=True)
class Rule:
    """`ours` is the concatenation of `theirs` along the first axis, each perhaps transposed."""

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False
    squeezed: int = 0
    """Leading axes of size 1 that only theirs has."""


def pairs(ours: str, theirs: str, names: Mapping[str, str]) -> list[Rule]:
    """Rules for modules below two prefixes; each has a weight and a bias."""
    return [
        Rule(f"{ours}{mine}.{part}", (f"{theirs}{other}.{part}",))
        for mine, other in names.items()
        for part in ("weight", "bias")
    ]


def attention_rules(ours: str, theirs: Sequence[str], *, bias: bool = True) -> list[Rule]:
    """The fused input projection from separate query, key and value modules."""
    return [
        Rule(f"{ours}.query_key_value.{part}", tuple(f"{name}.{part}" for name in theirs))
        for part in (("weight", "bias") if bias else ("weight",))
    ]


def from_theirs(
    rules: Iterable[Rule],
    state: Mapping[str, Tensor],
    source: str,
    *,
    ignored: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Our state from a checkpoint's.

    Args:
        source: named in errors.
        ignored: endings of the checkpoint's names that need no place.

    Raises:
        InputError: a weight is missing, or the checkpoint has one that the map does not know.
    """
    result: dict[str, Tensor] = {}
    used: set[str] = set()
    for rule in rules:
        parts = []
        for name in rule.theirs:
            if name not in state:
                raise InputError(
                    f"{source}: weight {name!r} is missing; is it a checkpoint of this family?"
                )
            value = state[name]
            for _ in range(rule.squeezed):
                value = value.squeeze(0)
            parts.append(value.T if rule.transposed else value)
        used.update(rule.theirs)
        result[rule.ours] = torch.cat(parts, dim=0) if len(parts) > 1 else parts[0].contiguous()
    left = [name for name in state if name not in used and not name.endswith(tuple(ignored))]
    if left:
        raise InputError(f"{source}: weight {left[0]!r} has no place in the trunk")
    return result


def to_theirs(rules: Iterable[Rule], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's state from ours; the exact inverse of `from_theirs`."""
    result: dict[str, Tensor] = {}
    for rule in rules:
        value = state[rule.ours]
        parts = value.chunk(len(rule.theirs), dim=0) if len(rule.theirs) > 1 else (value,)
        for name, part in zip(rule.theirs, parts, strict=True):
            value = part.T if rule.transposed else part
            for _ in range(rule.squeezed):
                value = value.unsqueeze(0)
            result[name] = value.contiguous().clone()
    return result
