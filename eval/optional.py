"""Optional dependencies, imported where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from eval.errors import InputError

__all__ = ["optional"]


def optional(name: str, what_for: str) -> ModuleType:
    """Import a module of the `evaluation` extra.

    Raises:
        InputError: it is not installed; the line says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(
            f"{what_for} needs {package}: pip install gqa-reasoner[evaluation]"
        ) from error
