"""Reading weight files of others without running code that they may hold.

`.pkl` files of the detectron2 model zoo are pickles. They are read by an unpickler that knows
nothing but NumPy arrays and plain containers: any other name in the file is an error.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError

__all__ = ["read_state_dict"]

_WRAPPERS = ("model", "state_dict", "model_state_dict")


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a `.pkl`, `.pth`, `.bin`, `.pt` or `.safetensors` file, as float32.

    Half-precision floats become float32; integer tensors keep their type.

    Raises:
        InputError: the file is missing, truncated, of another kind, holds anything besides
            tensors by name, or a tensor with a value that is not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: weights: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: weights: the file is empty (0 bytes)")
    if path.suffix == ".safetensors":
        record: Any = _read_safetensors(path)
    elif path.suffix == ".pkl":
        record = _read_pickle(path)
    else:
        record = _read_torch(path)
    for name in _WRAPPERS:
        if isinstance(record, dict) and isinstance(record.get(name), dict):
            record = record[name]
            break
    if not isinstance(record, dict) or not record:
        raise InputError(f"{path}: weights: expected tensors by name, got {type(record).__name__}")
    tensors = {}
    for name, value in record.items():
        tensors[str(name)] = _tensor(value, f"{path}: {name}")
    return tensors


def _tensor(value: Any, where: str) -> Tensor:
    if isinstance(value, (np.ndarray, np.generic)):
        value = np.asarray(value)
        if value.dtype.kind not in "fiub":
            raise InputError(f"{where}: expected numbers, got an array of {value.dtype}")
        native = value.dtype.newbyteorder("=")
        value = torch.from_numpy(np.array(value, dtype=native, order="C", copy=True))
    if not isinstance(value, Tensor):
        raise InputError(f"{where}: expected a tensor, got {type(value).__name__}")
    if value.is_floating_point():
        value = value.float()
        if not torch.isfinite(value).all():
            raise InputError(f"{where}: holds values that are not finite")
    return value


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except Exception as error:  # safetensors raises its own error type
        raise InputError(f"{path}: weights: cannot be read ({_line(error)})") from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, EOFError, UnpicklingError, ...
        raise InputError(
            f"{path}: weights: truncated, or not a file of tensors alone ({_line(error)})"
        ) from error


def _read_pickle(path: Path) -> Any:
    data = path.read_bytes()
    try:
        return _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{path}: weights: truncated or damaged ({_line(error)})") from error


class _ArrayType:
    """Stands for `numpy.ndarray`, which the file may name but not call."""


def _reconstruct(kind: type, shape: tuple[int, ...], code: Any) -> np.ndarray:
    """`numpy.core.multiarray._reconstruct` for plain arrays only."""
    if kind is not _ArrayType:
        raise InputError(f"weights: expected plain arrays, got {kind!r}")
    return np.ndarray(shape, dtype=code)


def _scalar(kind: np.dtype, value: bytes | str = b"") -> Any:
    """`numpy.core.multiarray.scalar` for numbers only."""
    if kind.kind not in "fiub":
        raise InputError(f"weights: expected a number, got a scalar of {kind}")
    raw = value.encode("latin1") if isinstance(value, str) else value
    return np.frombuffer(raw, dtype=kind, count=1)[0]


def _from_buffer(
    data: bytes, kind: np.dtype, shape: tuple[int, ...], order: str, axes: Any = None
) -> np.ndarray:
    """`numpy._core.numeric._frombuffer` for plain arrays of numbers only."""
    if kind.kind not in "fiub" or axes is not None:
        raise InputError(f"weights: expected a plain array of numbers, got {kind}")
    return np.frombuffer(data, dtype=kind).reshape(shape, order="F" if order == "F" else "C")


def _dtype(code: Any, *options: Any) -> np.dtype:
    """`numpy.dtype` for numbers only: an object array could hold anything."""
    kind = np.dtype(code, copy=True)
    if kind.kind not in "fiub":
        raise InputError(f"weights: expected arrays of numbers, got {kind}")
    return kind


def _latin1(text: Any, encoding: Any) -> bytes:
    """`codecs.encode` as pickles of byte strings use it."""
    if not isinstance(text, str) or encoding != "latin1":
        raise InputError("weights: the pickle encodes something that is not a byte string")
    return text.encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    """Admits NumPy arrays of numbers, ordered dictionaries and byte strings, nothing else."""

    _allowed: dict[tuple[str, str], Callable[..., Any]] = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy._core.multiarray", "scalar"): _scalar,
        ("numpy.core.numeric", "_frombuffer"): _from_buffer,
        ("numpy._core.numeric", "_frombuffer"): _from_buffer,
        ("numpy", "ndarray"): _ArrayType,
        ("numpy", "dtype"): _dtype,
        ("collections", "OrderedDict"): OrderedDict,
        ("_codecs", "encode"): _latin1,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The admitted constructor of this name.

        Raises:
            InputError: the file asks for anything else.
        """
        try:
            return self._allowed[module, name]
        except KeyError:
            raise InputError(
                f"weights: the pickle asks for {module}.{name}; only NumPy arrays are read"
            ) from None

    def persistent_load(self, identifier: Any) -> Any:
        """Refuse references to things outside the file."""
        raise InputError(f"weights: the pickle refers to something outside it ({identifier!r})")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
