"""Validity and plausibility: is the prediction among a question's possible answers?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.figures import Figure, share
from eval.gqa_table import QuestionTable, question_batches
from eval.problems import Problems, shown

__all__ = ["ChoiceScores", "score_choices"]

COMMON_ANSWERS = frozenset({"color", "material", "shape"})
"""The possible answers of "what do they have in common" questions, whatever the choices say."""
_NONE = "no balanced question"


@dataclass(frozen=True)
class ChoiceScores:
    """Shares of predictions that are possible (validity) and make sense (plausibility)."""

    validity: Figure
    plausibility: Figure
    valid: np.ndarray
    """(Q,) bool"""
    plausible: np.ndarray
    """(Q,) bool"""


def score_choices(table: QuestionTable, choices: Path | Mapping[str, Any]) -> ChoiceScores:
    """Read the choices once and look every prediction up.

    Raises:
        InputError: choices that are missing for a question or of another form.
    """
    problems = Problems()
    row = np.full(len(table.codes), -1, dtype=np.int32)
    row[table.code] = np.arange(len(table), dtype=np.int32)
    rows = row.tolist()
    common_kind = ["Common" in (kind[2] or "") for kind in table.kinds]
    common = [common_kind[kind] for kind in table.kind.tolist()]
    found = {name: bytearray(len(table)) for name in ("valid", "plausible")}
    seen = bytearray(common)
    for source, batch in question_batches(choices):
        _look_up(table, batch, source, rows, seen, found, problems)
    for index, is_common in enumerate(common):
        if is_common:
            answer = table.answers[table.code[index]]
            for column in found.values():
                column[index] = answer in COMMON_ANSWERS
    if 0 in seen:
        name = "choices" if isinstance(choices, Mapping) else choices
        for index, identifier in enumerate(table.ids()):
            if not seen[index]:
                problems.add(name, identifier, "", "no choices for this question")
    problems.raise_if_any()
    valid, plausible = (np.frombuffer(column, dtype=bool) for column in found.values())
    return ChoiceScores(share(valid, _NONE), share(plausible, _NONE), valid, plausible)


def _look_up(
    table: QuestionTable,
    batch: Mapping[str, Any],
    source: str,
    rows: list[int],
    seen: bytearray,
    found: dict[str, bytearray],
    problems: Problems,
) -> None:
    """Look the predictions of one batch of choices up."""
    valid, plausible = found.values()
    codes, answers = table.codes, table.answers
    for identifier, record in batch.items():
        code = codes.get(identifier)
        index = -1 if code is None else rows[code]
        if index < 0:
            continue
        seen[index] = 1
        try:
            first, second = record["valid"], record["plausible"]
            if type(first) is not list or type(second) is not list:
                raise TypeError
        except (KeyError, TypeError):
            what = 'expected the lists "valid" and "plausible"'
            problems.add(source, identifier, "", f"{what}, got {shown(record)}")
            continue
        answer = answers[code]  # type: ignore[index]
        valid[index] = answer in first
        plausible[index] = answer in second
