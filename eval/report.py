"""One self-contained HTML page about a scored prediction file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from eval.compare import Comparison, accuracy_intervals
from eval.confusion import GroupConfusion, group_confusions
from eval.gqa import FIGURES, GQAScores
from eval.gqa_text import TITLES, in_order
from eval.report_examples import ReportSources, choose_examples, example_html, read_examples
from eval.report_plots import accuracy_bars, calibration_plot, distribution_bars, gain_plot

__all__ = ["ReportSources", "report_html", "write_report"]

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; margin: 0 auto; max-width: 1120px;
  padding: 24px; background: #fff; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 10px;
  border-bottom: 1px solid #d9dee4; padding-bottom: 4px; }
h3 { font-size: 15px; margin: 0 0 2px; } h4 { font-size: 12.5px; margin: 8px 0 2px; }
.meta { color: #52606d; font-size: 13px; margin: 0 0 8px; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: 10px; }
.tile { border: 1px solid #d9dee4; border-radius: 8px; padding: 10px 12px; }
.tile b { display: block; font-size: 23px; line-height: 1.25; }
.tile span { font-size: 12.5px; color: #52606d; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid #e8ecf0;
  vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-x: auto; } .plots { display: grid; gap: 18px;
  grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); }
.plots svg { width: 100%; max-width: 620px; height: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 16px; }
.card { border: 1px solid #d9dee4; border-left-width: 5px; border-radius: 8px; padding: 12px; }
.card.right { border-left-color: #5b8c3e; } .card.wrong { border-left-color: #c2542d; }
.card ol, .card ul { margin: 0; padding-left: 22px; font: 12px/1.45 ui-monospace, monospace;
  overflow-wrap: anywhere; }
.answers { margin: 8px 0 0; } .verdict { font-weight: 600; margin-right: 6px; }
.right .verdict { color: #41692a; } .wrong .verdict { color: #a8431f; }
.picture { width: 100%; height: auto; border-radius: 4px; display: block; }
.label { fill: #fff; font: 600 12px system-ui, sans-serif; }
details { margin: 8px 0; } summary { cursor: pointer; font-weight: 600; }
"""


def write_report(
    path: Path,
    scores: GQAScores,
    sources: ReportSources,
    *,
    comparison: Comparison | None = None,
    examples: int = 24,
    seed: int = 0,
) -> None:
    """Write the page; see `report_html`."""
    text = report_html(scores, sources, comparison=comparison, examples=examples, seed=seed)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def report_html(
    scores: GQAScores,
    sources: ReportSources,
    *,
    comparison: Comparison | None = None,
    examples: int = 24,
    seed: int = 0,
) -> str:
    """The page as text; pictures and plots are inside, nothing is loaded from elsewhere.

    Raises:
        InputError: matplotlib is not installed, or a source has another form.
    """
    groups = group_confusions(scores.table)
    chosen = choose_examples(scores, examples, seed)
    cards = [example_html(example) for example in read_examples(scores, chosen, sources)]
    questions = ", ".join(scores.table.sources)
    parts = [
        "<h1>GQA evaluation</h1>",
        f'<p class="meta">predictions {escape(scores.table.predictions.source)} · questions '
        f"{escape(questions)} · {len(scores.table):,} balanced questions</p>",
        _tiles(scores),
        _notes(scores),
        *(_comparison(comparison) if comparison is not None else ()),
        "<h2>Accuracy by kind of question</h2>",
        _plots(scores),
        *_breakdown_tables(scores),
        "<h2>Groups with the most wrong answers</h2>",
        _group_table(groups[:15]),
        _group_plots(scores, groups),
        f"<h2>Examples</h2><p class='meta'>{len(cards)} questions, two of three wrong, spread over "
        f"the structural types, drawn with seed {seed}.</p>",
        f'<div class="cards">{"".join(cards)}</div>',
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>GQA evaluation</title><style>{_STYLE}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _tiles(scores: GQAScores) -> str:
    intervals = accuracy_intervals(scores)
    tiles = []
    for name, figure in [*((n, scores.figures[n]) for n in FIGURES), *scores.extra.items()]:
        unit = "" if figure.value is None or name == "distribution" else "%"
        detail = f"{figure.count:,} questions" if figure.value is not None else figure.reason
        if name in intervals:
            interval = intervals[name]
            detail = f"95%: {interval.low:.2f} – {interval.high:.2f} · {detail}"
        if name == "distribution" and figure.value is not None:
            detail = f"lower is better · {detail}"
        title = escape(name[0].upper() + name[1:])
        tiles.append(
            f'<div class="tile"><span>{title}</span><b>{figure.text()}{unit}</b>'
            f"<span>{escape(detail)}</span></div>"
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _notes(scores: GQAScores) -> str:
    if not scores.notes:
        return ""
    rows = "".join(f"<li>{escape(note)}</li>" for note in scores.notes)
    title = "1 note" if len(scores.notes) == 1 else f"{len(scores.notes)} notes"
    return f"<details open><summary>{title}</summary><ul>{rows}</ul></details>"


def _plots(scores: GQAScores) -> str:
    overall = scores["accuracy"]
    drawings = [
        accuracy_bars(dict(in_order(scores.by[kind])), overall, f"By {TITLES[kind]}")
        for kind in ("structural", "semantic", "steps", "words")
        if scores.by[kind]
    ]
    if scores.calibration is not None:
        drawings.append(calibration_plot(scores.calibration))
    return f'<div class="plots">{"".join(f"<div>{svg}</div>" for svg in drawings)}</div>'


def _breakdown_tables(scores: GQAScores) -> Iterable[str]:
    for kind, groups in scores.by.items():
        worst = sorted(groups.items(), key=lambda item: item[1].value or 0.0)
        rows = worst if kind == "detailed" else in_order(groups)
        note = ", worst first" if kind == "detailed" else ""
        table = _table(
            (TITLES[kind], "accuracy %", "questions"),
            [(name, figure.text(), f"{figure.count:,}") for name, figure in rows],
        )
        yield (
            f"<details><summary>Accuracy by {TITLES[kind]} ({len(groups)}{note})</summary>"
            f"{table}</details>"
        )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 1) -> str:
    """A table whose columns from `numbers` on are numbers."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if place >= numbers else ''}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _group_table(groups: Sequence[GroupConfusion]) -> str:
    rows = [
        (
            group.group,
            ", ".join(f"{gold} → {said} ({n})" for gold, said, n in group.pairs[:4]),
            f"{group.accuracy:.2f}",
            f"{group.wrong:,}",
            f"{group.count:,}",
            f"{group.outside:,}",
        )
        for group in groups
    ]
    head = (
        "group",
        "commonest mistakes (gold → predicted)",
        "accuracy %",
        "wrong",
        "questions",
        "outside",
    )
    note = "<p class='meta'>“outside”: predictions that are no gold answer of the group.</p>"
    return _table(head, rows, numbers=2) + note


def _group_plots(scores: GQAScores, groups: Sequence[GroupConfusion]) -> str:
    """Gold and predicted answers of the two groups with the most mistakes."""
    named = [group.group for group in groups if group.group not in ("(no group)", "(empty)")][:2]
    number = np.bincount(scores.table.cell, minlength=len(scores.table.cells)).tolist()
    drawings = []
    for name in named:
        counts: dict[str, list[int]] = {}
        for (group, gold, predicted), count in zip(scores.table.cells, number, strict=True):
            if (group or "(empty)") == name:
                counts.setdefault(gold, [0, 0])[0] += count
                if predicted is not None:
                    counts.setdefault(predicted, [0, 0])[1] += count
        rows = [(answer, gold, said) for answer, (gold, said) in counts.items()]
        drawings.append(f"<div>{distribution_bars(name, rows)}</div>")
    return f'<div class="plots">{"".join(drawings)}</div>'


def _comparison(comparison: Comparison) -> Iterable[str]:
    yield f"<h2>Against {escape(comparison.second)}</h2>"
    figures = [
        (name, f"{a:.2f}", f"{b:.2f}", f"{a - b:+.2f}")
        for name, (a, b) in comparison.figures.items()
        if a is not None and b is not None
    ]
    yield _table(("figure", "this file", "the other", "difference"), figures)
    rows = [comparison.overall, *comparison.by["structural"], *comparison.by["semantic"]]
    plot = gain_plot(
        [(row.name, row.gain.mean, row.gain.low, row.gain.high) for row in rows],
        "Difference in accuracy",
        "percent points, 95% paired bootstrap over pictures",
    )
    yield f'<div class="plots"><div>{plot}</div></div>'
    yield _table(
        ("questions", "difference", "95% interval", "McNemar p", "only this", "only the other"),
        [
            (
                row.name,
                f"{row.gain.mean:+.2f}",
                f"{row.gain.low:+.2f} to {row.gain.high:+.2f}",
                f"{row.test.p_value:.3g}",
                f"{row.test.only_first:,}",
                f"{row.test.only_second:,}",
            )
            for row in rows
        ],
    )
