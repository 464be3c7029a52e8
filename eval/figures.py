"""`Figure`: one number of a table, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Figure", "share"]


@dataclass(frozen=True)
class Figure:
    """A figure in its official unit (percent; raw for distribution), None with a reason."""

    value: float | None
    count: int
    """Over how many questions."""
    reason: str = ""

    def text(self) -> str:
        """Two decimals, or `n/a`."""
        return "n/a" if self.value is None else f"{self.value:.2f}"


def share(column: np.ndarray, reason: str) -> Figure:
    """Percent of a (Q,) bool column that is true; n/a with `reason` when it is empty."""
    if not len(column):
        return Figure(None, 0, reason)
    return Figure(float(np.count_nonzero(column)) / len(column) * 100, len(column))
