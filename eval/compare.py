"""Two prediction files over the same questions: differences, and whether they are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.errors import InputError
from eval.gqa import BREAKDOWNS, FIGURES, GQAScores
from eval.significance import Interval, McNemar, bootstrap_mean, mcnemar, paired_bootstrap

__all__ = ["Comparison", "Difference", "accuracy_intervals", "compare"]


@dataclass(frozen=True)
class Difference:
    """One group of questions: accuracies in percent, and their difference with its interval."""

    name: str
    count: int
    first: float
    second: float
    gain: Interval
    test: McNemar


@dataclass(frozen=True)
class Comparison:
    """`first` is the file scored, `second` the one it is held against."""

    first: str
    second: str
    figures: dict[str, tuple[float | None, float | None]]
    overall: Difference
    by: dict[str, list[Difference]]

    def to_json(self) -> dict[str, Any]:
        """Plain figures; gains are first minus second in percent points."""
        return {
            "first": self.first,
            "second": self.second,
            "figures": {n: {"first": a, "second": b} for n, (a, b) in self.figures.items()},
            "accuracy": _plain(self.overall),
            "by": {kind: [_plain(d) for d in rows] for kind, rows in self.by.items()},
        }

    def text(self) -> str:
        """A table of the official figures, and the accuracies by structural type."""
        lines = ["", f"Against {self.second}:"]
        for name, (one, two) in self.figures.items():
            if one is not None and two is not None:
                lines.append(f"  {name:<13} {one:7.2f}  {two:7.2f}  {one - two:+7.2f}")
        for row in [self.overall, *self.by["structural"]]:
            lines.append(
                f"  {row.name}: {row.gain.mean:+.2f} points [{row.gain.low:+.2f}, "
                f"{row.gain.high:+.2f}], McNemar p = {row.test.p_value:.3g} "
                f"({row.test.only_first} only here, {row.test.only_second} only there)"
            )
        lines.append("  intervals: 95%, paired bootstrap over pictures")
        return "\n".join(lines)


def _plain(row: Difference) -> dict[str, Any]:
    return {
        "name": row.name,
        "count": row.count,
        "first": row.first,
        "second": row.second,
        "gain": row.gain.mean,
        "interval": [row.gain.low, row.gain.high],
        "p_value": row.test.p_value,
        "only_first": row.test.only_first,
        "only_second": row.test.only_second,
    }


def compare(
    first: GQAScores, second: GQAScores, *, samples: int = 2000, seed: int = 0
) -> Comparison:
    """Compare scores of the same questions.

    Raises:
        InputError: the scores are of different questions.
    """
    table = first.table
    if table.ids() != second.table.ids():
        raise InputError("compare: the two prediction files were scored on different questions")
    one, two, pictures = table.correct(), second.table.correct(), table.image

    def difference(name: str, rows: np.ndarray) -> Difference:
        a, b = one[rows], two[rows]
        gain = paired_bootstrap(a, b, clusters=pictures[rows], samples=samples, seed=seed)
        means = float(a.mean()) * 100, float(b.mean()) * 100
        return Difference(name, len(a), *means, gain.scaled(100), mcnemar(a, b))

    kinds = list(table.kinds)
    by: dict[str, list[Difference]] = {}
    for place, kind in enumerate(BREAKDOWNS):
        if kind in ("structural", "semantic"):
            names = np.array([str(k[place]) for k in kinds], dtype=object)[table.kind]
            by[kind] = [difference(name, names == name) for name in sorted(set(names.tolist()))]
    figures = {name: (first[name], second[name]) for name in FIGURES}
    sources = table.predictions.source, second.table.predictions.source
    return Comparison(*sources, figures, difference("accuracy", np.ones(len(one), bool)), by)


def accuracy_intervals(
    scores: GQAScores, *, samples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """95% intervals of accuracy, binary and open in percent; whole pictures are resampled."""
    table = scores.table
    correct = table.correct()
    structural = np.array([k[0] or "" for k in table.kinds], dtype=object)[table.kind]
    rows = {
        "accuracy": np.ones(len(correct), dtype=bool),
        "binary": (structural != "query") & (structural != ""),
        "open": structural == "query",
    }
    return {
        name: bootstrap_mean(
            correct[part], clusters=table.image[part], samples=samples, seed=seed
        ).scaled(100)
        for name, part in rows.items()
        if part.any()
    }
