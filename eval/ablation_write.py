"""An ablation table as Markdown, LaTeX, CSV, JSON and a plot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from eval.ablation import Run
from eval.ablation_table import AblationTable, Focus, Row, table_json
from eval.optional import optional

__all__ = ["as_csv", "as_latex", "as_markdown", "write_ablation"]

_HEAD = (
    "expansion",
    "accuracy",
    "± over seeds",
    "gain over none",
    "p (Holm)",
    "binary",
    "open",
    "consistency",
    "ms/question",
    "tokens",
)


def write_ablation(folder: Path, table: AblationTable, runs: Sequence[Run]) -> list[Path]:
    """Write table.md, table.tex, table.csv, table.json, runs.json and plot.svg / plot.png.

    Raises:
        InputError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "table.md": as_markdown(table),
        "table.tex": as_latex(table),
        "table.csv": as_csv(table),
        "table.json": json.dumps(table_json(table), indent=1, ensure_ascii=False) + "\n",
        "runs.json": json.dumps([dict(run.record) for run in runs], indent=1) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    _plot(folder, table)
    return [folder / name for name in (*texts, "plot.svg", "plot.png")]


def _number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    if value is None:
        return "n/a"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cells(row: Row) -> list[str]:
    accuracy = f"{row.accuracy.mean:.2f} [{row.accuracy.low:.2f}, {row.accuracy.high:.2f}]"
    gain = ""
    if row.gain is not None:
        gain = f"{row.gain.mean:+.2f} [{row.gain.low:+.2f}, {row.gain.high:+.2f}]"
    figures = [_number(row.figures.get(name)) for name in ("binary", "open", "consistency")]
    deviation = "" if row.deviation is None else f"{row.deviation:.2f}"
    tokens = "n/a" if row.tokens is None else f"{row.tokens:.1f}"
    cost = [f"{row.milliseconds:.2f}", tokens]
    return [row.label, accuracy, deviation, gain, _p(row.p_corrected), *figures, *cost]


def _focus_cells(row: Focus) -> list[str]:
    accuracy = f"{row.accuracy.mean:.2f} [{row.accuracy.low:.2f}, {row.accuracy.high:.2f}]"
    if row.gain is None or row.mcnemar is None:
        return [row.label, accuracy, "", "", ""]
    gain = f"{row.gain.mean:+.2f} [{row.gain.low:+.2f}, {row.gain.high:+.2f}]"
    differing = f"{row.mcnemar.only_first} / {row.mcnemar.only_second}"
    return [row.label, accuracy, gain, differing, _p(row.mcnemar.p_value)]


def _controls(table: AblationTable) -> list[list[str]]:
    return [
        [source, control, f"{g.mean:+.2f} [{g.low:+.2f}, {g.high:+.2f}]", _p(corrected)]
        for source, control, g, _, corrected in table.against_controls
    ]


def _types(table: AblationTable) -> tuple[list[str], list[list[str]]]:
    head = ["expansion", *(f"{name} ({count})" for name, count in table.types.items())]
    rows = []
    for row in table.rows:
        cells = [row.label]
        for name in table.types:
            gain = "" if row.gain is None else f" ({row.gain_by_type[name]:+.2f})"
            cells.append(f"{row.by_type[name]:.2f}{gain}")
        rows.append(cells)
    return head, rows


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _caption(table: AblationTable) -> str:
    seeds = max((len(row.seeds) for row in table.rows), default=0)
    return (
        f"{table.questions} questions about {table.pictures} pictures, {seeds} seeds. Brackets: "
        "95% bootstrap over pictures. p: sign-flip test over pictures, Holm-corrected."
    )


def as_markdown(table: AblationTable) -> str:
    """The whole table, the controls, and the question types."""
    parts = [
        f"# {table.name}",
        _caption(table),
        _markdown(_HEAD, [_cells(row) for row in table.rows]),
    ]
    if table.against_controls:
        head = ["expansion", "against", "gain", "p (Holm)"]
        parts += ["## Against the controls", _markdown(head, _controls(table))]
    if table.focus_rows:
        title = f"## The {table.focus_questions} questions of detailed type {table.focus}…"
        head = ["expansion", "accuracy", "gain over none", "only this / only none", "p (McNemar)"]
        parts += [title, _markdown(head, [_focus_cells(row) for row in table.focus_rows])]
    parts += ["## Accuracy by structural type (gain over none)", _markdown(*_types(table))]
    parts += ["## Runs", _markdown(["expansion", "seed", "hash"], _hashes(table))]
    parts += [f"- {note}" for note in table.notes]
    return "\n\n".join(parts) + "\n"


def _hashes(table: AblationTable) -> list[list[str]]:
    return [
        [row.label, str(seed), f"`{digest}`"]
        for row in table.rows
        for seed, digest in zip(row.seeds, row.hashes, strict=True)
    ]


_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"} | {"±": "$\\pm$", "<": "$<$", "~": "\\textasciitilde{}"}
)


def as_latex(table: AblationTable) -> str:
    """A `table` environment with booktabs rules."""
    rows = [
        " & ".join(cell.translate(_LATEX) for cell in _cells(row)) + r" \\" for row in table.rows
    ]
    head = " & ".join(name.translate(_LATEX) for name in _HEAD) + r" \\"
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(_HEAD) - 1)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{table.name.translate(_LATEX)}: {_caption(table).translate(_LATEX)}}}",
            r"\end{table}",
            "",
        ]
    )


def as_csv(table: AblationTable) -> str:
    """One line per row, numbers unrounded."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = list(table.types)
    figures = ["binary", "open", "consistency", "validity", "plausibility", "distribution"]
    writer.writerow(
        ["expansion", "seeds", "accuracy", "accuracy_low", "accuracy_high", "seed_deviation"]
        + ["gain", "gain_low", "gain_high", "p", "p_holm", *figures, "ms_per_question", "tokens"]
        + [f"accuracy_{name}" for name in names]
    )
    for row in table.rows:
        gain = (None,) * 3 if row.gain is None else (row.gain.mean, row.gain.low, row.gain.high)
        accuracy = row.accuracy
        writer.writerow(
            [row.label, len(row.seeds), accuracy.mean, accuracy.low, accuracy.high, row.deviation]
            + [*gain, row.p_value, row.p_corrected]
            + [row.figures.get(name) for name in figures]
            + [row.milliseconds, row.tokens, *(row.by_type[name] for name in names)]
        )
    return buffer.getvalue()


def _plot(folder: Path, table: AblationTable) -> None:
    """Accuracy with intervals per row, and the gain over none beside it."""
    matplotlib = optional("matplotlib", "the plot")
    figure = optional("matplotlib.figure", "the plot").Figure(
        figsize=(9.6, 1.3 + 0.42 * len(table.rows)), layout="constrained"
    )
    left, right = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(reversed(table.rows)):
        control = "(" in row.label
        colour = "#7b8794" if control or row.gain is None else "#2f6f9f"
        for axes, interval in ((left, row.accuracy), (right, row.gain)):
            if interval is not None:
                axes.plot([interval.low, interval.high], [place, place], color=colour, lw=2.2)
                axes.plot(interval.mean, place, "o", color=colour, ms=6)
    base = next(row for row in table.rows if row.gain is None)
    left.axvline(base.accuracy.mean, color="#c2542d", lw=1.1, ls=(0, (4, 3)))
    right.axvline(0, color="#c2542d", lw=1.1, ls=(0, (4, 3)))
    left.set_yticks(range(len(table.rows)), [row.label for row in reversed(table.rows)])
    left.set_ylim(-0.6, len(table.rows) - 0.4)
    left.set_xlabel("accuracy in %")
    right.set_xlabel("gain over none in percent points")
    for axes in (left, right):
        axes.grid(axis="x", color="#e8ecf0")
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.suptitle(f"{table.name}: 95% intervals over pictures", x=0.01, ha="left", fontsize=11)
    with matplotlib.rc_context({"svg.hashsalt": table.name, "svg.fonttype": "none"}):
        figure.savefig(folder / "plot.svg", metadata={"Date": None})
    figure.savefig(folder / "plot.png", dpi=150)
