"""Weights that must fit a module exactly: no name missing, none left over, every shape equal."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from detectors.errors import InputError

__all__ = ["load_exactly"]


def load_exactly(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load `tensors` into `model`, in the model's own number types.

    Args:
        where: file and kind of weights, with which the error begins.

    Raises:
        InputError: missing or unexpected names (listed), a shape that differs, or values that
            are not finite.
    """
    expected = model.state_dict()
    missing, surplus = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or surplus:
        raise InputError(f"{where}: missing {missing}, unexpected {surplus}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise InputError(
                f"{where}: {name}: expected shape {tuple(expected[name].shape)}, "
                f"got {tuple(tensor.shape)}"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"{where}: {name}: holds values that are not finite")
    model.load_state_dict({name: t.to(expected[name].dtype) for name, t in tensors.items()})
