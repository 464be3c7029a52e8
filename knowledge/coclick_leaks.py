"""Which questions must never be shown as queries for a given question (leak rules)."""

from __future__ import annotations

from collections.abc import Iterable

from knowledge.lemmas import tokenize

__all__ = ["QuestionFamilies", "normalized_text"]


def normalized_text(text: str) -> str:
    """A text without case, punctuation and spacing, for comparison."""
    return " ".join(tokenize(text))


class QuestionFamilies:
    """The `equivalent` and `entailed` relations between questions, closed in both directions."""

    def __init__(self) -> None:
        self._equivalent: dict[str, set[str]] = {}
        self._entailed: dict[str, set[str]] = {}
        self._by_text: dict[tuple[str, str], set[str]] = {}

    def add(
        self,
        question_id: str,
        image_id: str,
        text: str,
        entailed: Iterable[str],
        equivalent: Iterable[str],
    ) -> None:
        """Note one question's relations."""
        for relation, others in ((self._equivalent, equivalent), (self._entailed, entailed)):
            for other in others:
                relation.setdefault(question_id, set()).add(str(other))
                relation.setdefault(str(other), set()).add(question_id)
        self._by_text.setdefault((image_id, normalized_text(text)), set()).add(question_id)

    def blocked(self, image_id: str, question: str, question_id: str | None) -> frozenset[str]:
        """Ids that would leak: the question, all its equivalents, and whatever one of these entails
        or is entailed by. Without an id the question is found by its text.
        """
        start = {question_id} if question_id is not None else set()
        start |= self._by_text.get((image_id, normalized_text(question)), set())
        same: set[str] = set()
        queue = [str(item) for item in start]
        while queue:
            current = queue.pop()
            if current not in same:
                same.add(current)
                queue.extend(self._equivalent.get(current, ()))
        entailed = {other for item in same for other in self._entailed.get(item, ())}
        return frozenset(same | entailed)
