"""TensorBoard, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["Board"]


class Board:
    """Scalars in a folder; nothing where TensorBoard is not installed."""

    def __init__(self, folder: Path, step: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=step or None)

    def write(self, record: dict[str, Any], step: int) -> None:
        """All numbers of a record but its step."""
        if self._writer is not None:
            for name, value in record.items():
                if name != "step":
                    self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the files."""
        if self._writer is not None:
            self._writer.close()
