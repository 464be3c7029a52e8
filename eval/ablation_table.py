"""The table of an ablation: means with intervals, gains, significance, cost, per question type.

Legend: R rows (source and control), S seeds, Q balanced questions, P pictures.
Intervals resample pictures, since questions about one picture are not independent; a question's
value is its mean over the seeds. Gains are tested by flipping the sign of whole pictures at random
(two-sided), and the p-values of all rows are corrected together (Holm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.ablation import AblationConfig, Run, rows_of
from eval.errors import InputError
from eval.gqa import GQAScores, score_gqa
from eval.significance import Interval, McNemar, bootstrap_mean, mcnemar, paired_bootstrap

__all__ = ["AblationTable", "Focus", "Row", "ablation_table", "holm", "sign_flip_test"]


@dataclass(frozen=True)
class Row:
    """One row; percent and percent points."""

    label: str
    seeds: list[int]
    accuracy: Interval
    deviation: float | None
    """Standard deviation of accuracy over the seeds."""
    gain: Interval | None
    """Over `none`; None for `none` itself."""
    p_value: float | None
    p_corrected: float | None
    figures: dict[str, float | None]
    """Means over the seeds of the official figures."""
    by_type: dict[str, float]
    """Accuracy by structural type, mean over the seeds."""
    gain_by_type: dict[str, float]
    milliseconds: float
    """Per question, mean over the seeds."""
    tokens: float | None
    hashes: list[str]


@dataclass(frozen=True)
class Focus:
    """One row's figures on the questions of one family; percent and percent points."""

    label: str
    accuracy: Interval
    gain: Interval | None
    """Over `none`; None for `none` itself."""
    mcnemar: McNemar | None
    """Against `none`, a question counting as right where most seeds are right."""


@dataclass(frozen=True)
class AblationTable:
    """All rows, and what was left out."""

    name: str
    questions: int
    pictures: int
    rows: list[Row]
    against_controls: list[tuple[str, str, Interval, float, float]]
    """(row, its control, gain over the control, p, Holm-corrected p)."""
    types: dict[str, int]
    notes: list[str]
    focus: str | None = None
    focus_questions: int = 0
    focus_rows: tuple[Focus, ...] = ()


def ablation_table(config: AblationConfig, runs: Sequence[Run]) -> AblationTable:
    """Score every run and put the rows together.

    Raises:
        InputError: no finished run of `none`, or predictions that do not fit the questions.
    """
    rows, notes = rows_of(runs), []
    if "none" not in rows:
        raise InputError("ablation: no run of 'none' is finished, so nothing can be compared")
    scored = {label: [_score(config, run) for run in part] for label, part in rows.items()}
    first = scored["none"][0].table
    pictures, ids = first.image, first.ids()
    for label, part in scored.items():
        if len(part) < len(config.seeds):
            notes.append(f"{label}: {len(part)} of {len(config.seeds)} seeds are finished")
        if any(scores.table.ids() != ids for scores in part):
            raise InputError(f"ablation: {label} was scored on other questions")
    values = {
        label: np.mean([scores.table.correct() for scores in part], axis=0)
        for label, part in scored.items()
    }
    kinds = np.array([str(k[0]) for k in first.kinds], dtype=object)[first.kind]
    tests = {
        label: sign_flip_test(values[label] - values["none"], pictures, config.samples)
        for label in rows
        if label != "none"
    }
    corrected = holm(tests)
    made = [
        _row(label, rows[label], scored[label], values, kinds, pictures, config, tests, corrected)
        for label in rows
    ]
    counts = {name: int((kinds == name).sum()) for name in sorted(set(kinds.tolist()))}
    controls = _against_controls(values, pictures, config)
    chosen = np.zeros(len(ids), dtype=bool)
    if config.focus is not None:
        detailed = np.array([str(k[2]) for k in first.kinds], dtype=object)[first.kind]
        chosen = np.array([name.startswith(config.focus) for name in detailed.tolist()])
        if not chosen.any():
            raise InputError(
                f"ablation: focus: no question's detailed type begins with {config.focus!r}"
            )
    focus = tuple(_focus(label, values, chosen, pictures, config) for label in rows if chosen.any())
    return AblationTable(
        config.name, len(ids), len(first.images), made, controls, counts, notes,
        config.focus, int(chosen.sum()), focus,
    )  # fmt: skip


def _score(config: AblationConfig, run: Run) -> GQAScores:
    return score_gqa(
        config.questions, run.predictions, choices=config.choices, missing=config.missing
    )


def _row(
    label: str,
    runs: Sequence[Run],
    scored: Sequence[GQAScores],
    values: Mapping[str, np.ndarray],
    kinds: np.ndarray,
    pictures: np.ndarray,
    config: AblationConfig,
    tests: Mapping[str, float],
    corrected: Mapping[str, float],
) -> Row:
    value, base = values[label], values["none"]
    single = [float(scores["accuracy"] or 0.0) for scores in scored]
    gain = None
    if label != "none":
        gain = paired_bootstrap(value, base, clusters=pictures, samples=config.samples).scaled(100)
    names = sorted(set(kinds.tolist()))
    tokens = [run.tokens for run in runs if run.tokens is not None]
    return Row(
        label,
        [run.configuration.seed for run in runs],
        bootstrap_mean(value, clusters=pictures, samples=config.samples).scaled(100),
        float(np.std(single, ddof=1)) if len(single) > 1 else None,
        gain,
        tests.get(label),
        corrected.get(label),
        {name: _mean([scores[name] for scores in scored]) for name in scored[0].figures},
        {name: float(value[kinds == name].mean()) * 100 for name in names},
        {name: float((value - base)[kinds == name].mean()) * 100 for name in names},
        float(np.mean([run.seconds_per_question for run in runs])) * 1000,
        float(np.mean(tokens)) if tokens else None,
        [run.digest for run in runs],
    )


def _focus(
    label: str,
    values: Mapping[str, np.ndarray],
    chosen: np.ndarray,
    pictures: np.ndarray,
    config: AblationConfig,
) -> Focus:
    """A row's figures on the chosen questions alone."""
    value, base, clusters = values[label][chosen], values["none"][chosen], pictures[chosen]
    gain = test = None
    if label != "none":
        gain = paired_bootstrap(value, base, clusters=clusters, samples=config.samples).scaled(100)
        test = mcnemar(value > 0.5, base > 0.5)
    accuracy = bootstrap_mean(value, clusters=clusters, samples=config.samples).scaled(100)
    return Focus(label, accuracy, gain, test)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _against_controls(
    values: Mapping[str, np.ndarray], pictures: np.ndarray, config: AblationConfig
) -> list[tuple[str, str, Interval, float, float]]:
    """Every source against its own controls: what its content is worth."""
    pairs = [
        (label.partition(" (")[0], label)
        for label in values
        if " (" in label and label.partition(" (")[0] in values
    ]
    tests = {
        pair[1]: sign_flip_test(values[pair[0]] - values[pair[1]], pictures, config.samples)
        for pair in pairs
    }
    corrected = holm(tests)
    return [
        (
            source,
            control,
            paired_bootstrap(
                values[source], values[control], clusters=pictures, samples=config.samples
            ).scaled(100),
            tests[control],
            corrected[control],
        )
        for source, control in pairs
    ]


def sign_flip_test(
    difference: np.ndarray, clusters: np.ndarray, samples: int = 2000, seed: int = 0
) -> float:
    """Two-sided permutation p-value of a mean difference under random signs of whole clusters.

    Args:
        difference: (Q,)
        clusters: (Q,) cluster number.
        samples: permutations; the smallest possible value is 1 / (samples + 1).
        seed: of the generator.
    """
    _, place = np.unique(clusters, return_inverse=True)
    total = np.bincount(place, np.asarray(difference, dtype=np.float64))
    total = total[total != 0]
    if not len(total):
        return 1.0
    rng, observed, extreme = np.random.default_rng(seed), abs(total.sum()), 0
    step = max(1, 4_000_000 // len(total))
    for start in range(0, samples, step):
        size = (min(step, samples - start), len(total))
        signs = rng.integers(0, 2, size=size, dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ total) >= observed - 1e-9).sum())
    return (extreme + 1) / (samples + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction for testing all of them together."""
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    result, largest = {}, 0.0
    for place, (name, p_value) in enumerate(ordered):
        largest = max(largest, min(1.0, p_value * (len(ordered) - place)))
        result[name] = largest
    return {name: result[name] for name in p_values}


def table_json(table: AblationTable) -> dict[str, Any]:
    """Plain figures."""

    def plain(interval: Interval | None) -> dict[str, float] | None:
        if interval is None:
            return None
        return {"mean": interval.mean, "low": interval.low, "high": interval.high}

    rows = [
        vars(row) | {"accuracy": plain(row.accuracy), "gain": plain(row.gain)} for row in table.rows
    ]
    controls = [
        {"source": s, "control": c, "gain": plain(g), "p_value": p, "p_corrected": q}
        for s, c, g, p, q in table.against_controls
    ]
    focus = [
        {
            "label": row.label,
            "accuracy": plain(row.accuracy),
            "gain": plain(row.gain),
            "mcnemar": None if row.mcnemar is None else vars(row.mcnemar),
        }
        for row in table.focus_rows
    ]
    return vars(table) | {"rows": rows, "against_controls": controls, "focus_rows": focus}
