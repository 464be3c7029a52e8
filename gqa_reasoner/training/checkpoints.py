"""Checkpoints that survive a kill at any moment, and the log of a run.

A checkpoint is written beside its final name and then moved there in one step, so that the file
of that name is always complete.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from detectors.errors import InputError

__all__ = ["MetricsLog", "load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path` atomically."""
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint (no pickled code is executed).

    Raises:
        InputError: missing or damaged file.
    """
    if not path.is_file():
        raise InputError(f"{path}: checkpoint: no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, EOFError, UnpicklingError, ...
        line = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: checkpoint: cannot be read ({line})") from error
    if not isinstance(state, dict):
        raise InputError(f"{path}: checkpoint: expected a dictionary, got {type(state).__name__}")
    return state


class MetricsLog:
    """JSON lines, one per logged step; on resuming, lines after the checkpoint are dropped.

    Args:
        board: folder for TensorBoard as well; None: not written.
        silent: write nothing at all (the other processes of a distributed run).

    Raises:
        InputError: `board` is given and TensorBoard is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        resume_step: int | None = None,
        board: Path | None = None,
        silent: bool = False,
    ) -> None:
        self.path, self.silent, self.board = path, silent, None
        if silent:
            return
        if board is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise InputError(
                    "training config: tensorboard: not installed; pip install tensorboard"
                ) from None
            self.board = SummaryWriter(str(board), purge_step=resume_step)
        kept = []
        if resume_step is not None and path.is_file():
            for line in path.read_text().splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if record.get("step", 0) <= resume_step:
                    kept.append(line + "\n")
        path.write_text("".join(kept))

    def write(self, record: dict[str, Any]) -> None:
        """Append one record and flush it to the file."""
        if self.silent:
            return
        if self.board is not None:
            for name, value in record.items():
                if name != "step" and isinstance(value, (int, float)):
                    self.board.add_scalar(name, value, record["step"])
            self.board.flush()
        with self.path.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
