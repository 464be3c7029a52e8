"""The report's plots as inline SVG, drawn with matplotlib without its global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.calibration import Calibration
from eval.figures import Figure
from eval.optional import optional

__all__ = ["accuracy_bars", "calibration_plot", "distribution_bars", "gain_plot"]

INK, GRID, BAR, SECOND, WARN = "#1f2933", "#d9dee4", "#2f6f9f", "#b9c7d3", "#c2542d"


def _axes(width: float, height: float) -> tuple[Any, Any]:
    figure = optional("matplotlib.figure", "the report").Figure(
        figsize=(width, height), layout="constrained"
    )
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    return figure, axes


def _svg(figure: Any) -> str:
    """The drawing as an `<svg>` element, the same bytes every time."""
    matplotlib = optional("matplotlib", "the report")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "gqa-reasoner", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def accuracy_bars(groups: Mapping[str, Figure], overall: float | None, title: str) -> str:
    """Accuracy per group as horizontal bars, with a line at the overall accuracy."""
    names = list(groups)
    figure, axes = _axes(6.4, 0.7 + 0.27 * len(names))
    values = [group.value or 0.0 for group in groups.values()]
    places = np.arange(len(names))[::-1]
    axes.barh(places, values, color=BAR, height=0.68)
    for place, group, value in zip(places, groups.values(), values, strict=True):
        label = f"{value:.1f}  ({group.count:,})"
        backing = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        axes.text(value + 1, place, label, va="center", fontsize=8.5, color=INK, bbox=backing)
    if overall is not None:
        axes.axvline(overall, color=WARN, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_yticks(places, names)
    axes.set_xlim(0, 122)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_title(title, fontsize=10.5, loc="left", color=INK)
    axes.set_xlabel("accuracy in %  (questions); dashed: overall", fontsize=8.5, color=INK)
    return _svg(figure)


def calibration_plot(result: Calibration) -> str:
    """Accuracy against confidence per bin."""
    figure, axes = _axes(4.4, 3.6)
    filled = result.count > 0
    width = np.diff(result.edges)[filled]
    left = result.edges[:-1][filled]
    axes.bar(left, result.accuracy[filled], width=width * 0.94, align="edge", color=BAR)
    axes.plot([0, 1], [0, 1], color=WARN, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence", fontsize=9, color=INK)
    axes.set_ylabel("accuracy", fontsize=9, color=INK)
    axes.set_title(f"Calibration (ECE {result.error * 100:.2f}%)", fontsize=10.5, loc="left")
    return _svg(figure)


def distribution_bars(group: str, rows: Sequence[tuple[str, int, int]], top: int = 12) -> str:
    """Gold against predicted counts of a group's commonest answers."""
    rows = sorted(rows, key=lambda row: (-max(row[1], row[2]), row[0]))[:top]
    figure, axes = _axes(6.4, 0.8 + 0.34 * len(rows))
    places = np.arange(len(rows))[::-1]
    axes.barh(places + 0.19, [r[1] for r in rows], height=0.36, color=SECOND, label="gold")
    axes.barh(places - 0.19, [r[2] for r in rows], height=0.36, color=BAR, label="predicted")
    axes.set_yticks(places, [r[0] for r in rows])
    axes.set_title(f"Answers of the group “{group}”", fontsize=10.5, loc="left", color=INK)
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    axes.set_xlabel("questions", fontsize=8.5, color=INK)
    return _svg(figure)


def gain_plot(rows: Sequence[tuple[str, float, float, float]], title: str, axis: str) -> str:
    """Differences with their intervals: (name, mean, low, high)."""
    figure, axes = _axes(6.4, 0.9 + 0.32 * len(rows))
    places = np.arange(len(rows))[::-1]
    for place, (_, mean, low, high) in zip(places, rows, strict=True):
        clear = low > 0 or high < 0
        colour = BAR if clear else "#7b8794"
        axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(mean, place, "o", color=colour, markersize=5)
    axes.axvline(0, color=WARN, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_yticks(places, [row[0] for row in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_title(title, fontsize=10.5, loc="left", color=INK)
    axes.set_xlabel(axis, fontsize=8.5, color=INK)
    return _svg(figure)
