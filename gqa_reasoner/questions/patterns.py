"""The wordings of every question family, as templates (see `templates`).

Written for this project after the conventions of GQA's language; a leading `~` marks a wording
with one of GQA's slips of grammar, used for parser training only. Slots: `{ref}` the reference,
`{is} {does} {has}` agreeing with it, `{pic}` an optional " in this picture",
`{inpic}` a certain one, others as their family fills them.
"""

from __future__ import annotations

from gqa_reasoner.questions.patterns_closed import CLOSED_PATTERNS
from gqa_reasoner.questions.patterns_open import OPEN_PATTERNS

__all__ = ["PATTERNS"]

PATTERNS: dict[str, tuple[str, ...]] = {**OPEN_PATTERNS, **CLOSED_PATTERNS}
