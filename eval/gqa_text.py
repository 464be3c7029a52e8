"""The printed table of GQA's figures."""

from __future__ import annotations

from eval.figures import Figure
from eval.gqa import FIGURES, GQAScores

__all__ = ["TITLES", "in_order", "scores_text"]

_UNITS = {"distribution": " (lower is better)"}
TITLES = {
    "structural": "structural type",
    "semantic": "semantic type",
    "detailed": "detailed type",
    "steps": "steps number",
    "words": "words number",
}
"""Breakdown to its heading."""


def scores_text(scores: GQAScores, intervals: dict[str, tuple[float, float]] | None = None) -> str:
    """The official table, the breakdowns, and the notes."""
    lines = []
    for name in FIGURES:
        lines.append(_line(name, scores.figures[name], intervals))
    lines.extend(_line(name, figure, intervals) for name, figure in scores.extra.items())
    for kind, groups in scores.by.items():
        lines += ["", f"Accuracy / {TITLES[kind]}:"]
        if not groups:
            lines.append("  n/a (the questions do not say)")
        width = max((len(name) for name in groups), default=0)
        for name, figure in in_order(groups):
            lines.append(f"  {name:<{width}}  {figure.text():>6}%  ({figure.count} questions)")
    if scores.notes:
        lines += ["", "Notes:", *(f"  {note}" for note in scores.notes)]
    return "\n".join(lines)


def in_order(groups: dict[str, Figure]) -> list[tuple[str, Figure]]:
    """Groups by name; numbers as numbers."""
    numeric = all(name.isdigit() for name in groups)
    return sorted(groups.items(), key=lambda item: (int(item[0]) if numeric else 0, item[0]))


def _line(name: str, figure: Figure, intervals: dict[str, tuple[float, float]] | None) -> str:
    title = name[0].upper() + name[1:]
    if figure.value is None:
        return f"{title}: n/a ({figure.reason})"
    unit = _UNITS.get(name, "%")
    interval = (intervals or {}).get(name)
    span = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    return f"{title}: {figure.value:.2f}{unit}{span} ({figure.count} questions)"
