"""Which answers are taken for which, per global group of GQA's questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.gqa_table import QuestionTable

__all__ = ["GroupConfusion", "confusion_json", "confusion_text", "group_confusions"]


@dataclass(frozen=True)
class GroupConfusion:
    """The confusion inside one group; questions without a group come under their type."""

    group: str
    count: int
    right: int
    pairs: list[tuple[str, str, int]]
    """(gold, predicted, how often), wrong ones only, most frequent first."""
    outside: int
    """Predictions that are no gold answer of the group at all."""

    @property
    def accuracy(self) -> float:
        """Percent."""
        return self.right / self.count * 100

    @property
    def wrong(self) -> int:
        """Questions answered wrongly."""
        return self.count - self.right


def group_confusions(table: QuestionTable, top: int = 10) -> list[GroupConfusion]:
    """All groups, those with the most wrong answers first; `top` pairs kept in each."""
    number = np.bincount(table.cell, minlength=len(table.cells)).tolist()
    groups: dict[str, dict[tuple[str, str], int]] = {}
    for (group, gold, predicted), count in zip(table.cells, number, strict=True):
        pairs = groups.setdefault("(no group)" if group is None else group or "(empty)", {})
        key = (gold, "(no prediction)" if predicted is None else predicted)
        pairs[key] = pairs.get(key, 0) + count
    result = [_confusion(name, pairs, top) for name, pairs in groups.items()]
    return sorted(result, key=lambda group: (-group.wrong, group.group))


def _confusion(name: str, pairs: dict[tuple[str, str], int], top: int) -> GroupConfusion:
    golds = {gold for gold, _ in pairs}
    wrong = [(gold, said, n) for (gold, said), n in pairs.items() if gold != said]
    count = sum(pairs.values())
    return GroupConfusion(
        name,
        count,
        count - sum(n for _, _, n in wrong),
        sorted(wrong, key=lambda item: (-item[2], item[0], item[1]))[:top],
        sum(n for _, said, n in wrong if said not in golds),
    )


def confusion_json(groups: list[GroupConfusion]) -> list[dict[str, Any]]:
    """Plain figures of every group."""
    return [
        {
            "group": group.group,
            "count": group.count,
            "accuracy": group.accuracy,
            "outside": group.outside,
            "pairs": [{"gold": g, "predicted": p, "count": n} for g, p, n in group.pairs],
        }
        for group in groups
    ]


def confusion_text(groups: list[GroupConfusion], top: int = 10) -> str:
    """The groups with the most wrong answers, and the commonest mistakes in each."""
    lines = ["", "Most wrong answers, by group:"]
    for group in groups[:top]:
        lines.append(f"  {group.group}: {group.wrong} of {group.count} wrong")
        pairs = ", ".join(f"{gold} → {said} ({n})" for gold, said, n in group.pairs[:5])
        if pairs:
            lines.append(f"    {pairs}")
    return "\n".join(lines)
