from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.errors import InputError
from detectors.weights_files import read_state_dict


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/should-never-exist-gqa-reasoner",)


def write(path: Path, record: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(record, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_model_zoo_pickles_are_read(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([1.5], dtype=np.float16),
        "c": np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3)),
        "d": np.int64(3) * np.ones((), dtype=np.int64),
    }
    record = {"model": OrderedDict(arrays), "__author__": "Detectron2 Model Zoo"}
    tensors = read_state_dict(write(tmp_path / "model.pkl", record, protocol))
    assert torch.equal(tensors["a"], torch.arange(6.0).view(2, 3))
    assert tensors["b"].dtype == torch.float32
    assert torch.equal(tensors["c"], torch.arange(6.0).view(2, 3))
    assert tensors["d"].shape == ()


@pytest.mark.parametrize(
    "record",
    [
        {"model": {"a": Evil()}},
        {"model": {"a": np.array([Evil()], dtype=object)}},
        {"model": {"a": torch.zeros(2)}},
        {"model": {"a": Path("x")}},
    ],
    ids=["system call", "object array", "torch tensor", "other class"],
)
def test_pickles_with_anything_but_arrays_are_refused_unexecuted(
    tmp_path: Path, record: object
) -> None:
    trap = Path("/tmp/should-never-exist-gqa-reasoner")
    with pytest.raises(InputError, match=r"model\.pkl"):
        read_state_dict(write(tmp_path / "model.pkl", record))
    assert not trap.exists()


@pytest.mark.parametrize("cut", [0, 1, 10, 200])
def test_truncated_files_are_refused(tmp_path: Path, cut: int) -> None:
    data = pickle.dumps({"model": {"a": np.zeros(100)}}, protocol=2)
    (tmp_path / "cut.pkl").write_bytes(data[:cut])
    with pytest.raises(InputError, match=r"cut\.pkl"):
        read_state_dict(tmp_path / "cut.pkl")
    torch.save({"a": torch.zeros(100)}, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:cut])
    with pytest.raises(InputError, match=r"cut\.pth"):
        read_state_dict(tmp_path / "cut.pth")


def test_torch_files_with_half_precision_become_float32(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(2).half(), "b": torch.ones(2).bfloat16(), "c": torch.tensor(3)}
    for name in ("model.bin", "model.pth"):
        torch.save({"state_dict": tensors}, tmp_path / name)
        read = read_state_dict(tmp_path / name)
        assert read["a"].dtype == read["b"].dtype == torch.float32
        assert read["c"].dtype == torch.int64


def test_values_that_are_not_finite_or_not_tensors_are_refused(tmp_path: Path) -> None:
    torch.save({"bad.weight": torch.tensor([1.0, float("nan")])}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"bad\.weight: holds values that are not finite"):
        read_state_dict(tmp_path / "a.pth")
    torch.save({"a": "text"}, tmp_path / "b.pth")
    with pytest.raises(InputError, match="expected a tensor, got str"):
        read_state_dict(tmp_path / "b.pth")
    torch.save([torch.zeros(1)], tmp_path / "c.pth")
    with pytest.raises(InputError, match="tensors by name"):
        read_state_dict(tmp_path / "c.pth")
    with pytest.raises(InputError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")
