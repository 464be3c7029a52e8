"""Names that checkpoints and the trunk spell differently."""

from __future__ import annotations

from detectors.errors import InputError

__all__ = ["activation_name"]

_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "tanh_gelu",
    "gelu_pytorch_tanh": "tanh_gelu",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
}


def activation_name(theirs: str) -> str:
    """Our name of an activation.

    Raises:
        InputError: the trunk does not have it.
    """
    if theirs not in _ACTIVATIONS:
        raise InputError(
            f"checkpoint: activation: expected one of {', '.join(sorted(_ACTIVATIONS))}, "
            f"got {theirs!r}"
        )
    return _ACTIVATIONS[theirs]
