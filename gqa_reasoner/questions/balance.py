"""Answer balance: yes and no alike, and open answers smoothed as GQA smooths them.

Both are done by keeping a draft with a probability that depends on its answer only, estimated on
a sample of the corpus: so a scene's questions do not depend on the scenes before it.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable

from gqa_reasoner.questions.draft import Draft

__all__ = ["SMOOTHING", "Balance", "balance_group"]

SMOOTHING = 0.6
"""Open answers are kept so that their counts become about (count ** SMOOTHING)."""
_FLOOR = 0.08
_SAME_QUESTION = {
    "relVerifyCo": "relVerify",
    "relVerifyCr": "relVerify",
    "existRelSC": "existRelS",
    "existRelSRC": "existRelS",
    "verifyAttrCThis": "verifyAttrThis",
}
"""Detailed types that the wording does not tell apart, by that of their "yes"."""


def balance_group(draft: Draft) -> tuple[str, str]:
    """Drafts whose answers are balanced against each other."""
    if draft.answer in ("yes", "no"):
        name = _SAME_QUESTION.get(draft.detailed, draft.detailed.removesuffix("C"))
        return draft.structural, name
    return draft.structural, draft.global_group or draft.detailed


class Balance:
    """Keep probabilities by group and answer."""

    def __init__(self, drafts: Iterable[Draft] = ()) -> None:
        self.counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for draft in drafts:
            self.counts[balance_group(draft)][draft.answer] += 1
        self._keep = {group: self._rates(table) for group, table in self.counts.items()}

    @staticmethod
    def _rates(table: Counter[str]) -> dict[str, float]:
        """Keep rates for one group; the rarest answers are kept always."""
        if set(table) <= {"yes", "no"}:
            low = min(table.get("yes", 0), table.get("no", 0))
            if low == 0:
                return dict.fromkeys(table, 1.0)
            return {answer: max(low / count, _FLOOR) for answer, count in table.items()}
        rates = {answer: count ** (SMOOTHING - 1) for answer, count in table.items()}
        top = max(rates.values())
        return {answer: max(rate / top, _FLOOR) for answer, rate in rates.items()}

    def keep(self, draft: Draft, rng: random.Random) -> bool:
        """Whether to keep a draft."""
        rate = self._keep.get(balance_group(draft), {}).get(draft.answer, 1.0)
        return rate >= 1.0 or rng.random() < rate
