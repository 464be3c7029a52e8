"""Whether `torch.compile` can work here."""

from __future__ import annotations

import os
import shutil
import sys

from torch import nn

from detectors.errors import InputError

__all__ = ["check_compiler", "cpp_compiler"]


def cpp_compiler() -> str | None:
    """Path of the C++ compiler that torch's inductor calls (environment variable CXX first)."""
    usual = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(os.environ.get("CXX", usual))


def check_compiler(model: nn.Module) -> None:
    """Raise before the first pass does, if the processor's kernels cannot be built.

    Raises:
        InputError: weights are on the processor and no C++ compiler is found.
    """
    here = any(value.device.type == "cpu" for value in model.parameters())
    if here and cpp_compiler() is None:
        name = os.environ.get("CXX", "g++")
        raise InputError(
            f"compile: no C++ compiler: {name!r} is not on the path, and torch.compile builds the "
            "processor's kernels with it; install one, set CXX, or leave compile off"
        )
