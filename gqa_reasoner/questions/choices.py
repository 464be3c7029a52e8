"""Valid and plausible answers of a question, GQA's `choices`.

Valid: of the type that was asked for. Plausible: seen with such an object in the graphs.
"""

from __future__ import annotations

from collections import defaultdict

from gqa_reasoner.questions.draft import Draft
from gqa_reasoner.questions.statistics import Statistics

__all__ = ["ChoiceTables"]

_BINARY = ("yes", "no")


class ChoiceTables:
    """Answer sets read once from the statistics."""

    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics
        self._sorted: dict[tuple[str, ...], list[str]] = {}
        subjects: dict[str, set[str]] = defaultdict(set)
        objects: dict[str, set[str]] = defaultdict(set)
        for (_, predicate), table in statistics.subjects_of.items():
            subjects[predicate].update(table)
        for (_, predicate), table in statistics.objects_of.items():
            objects[predicate].update(table)
        self._subjects, self._objects = subjects, objects

    def _table(self, scope: tuple[str, ...], *, plausible: bool) -> set[str]:
        statistics, kind = self.statistics, scope[0]
        if kind == "attribute":
            _, name, attribute_type = scope
            if plausible:
                return set(statistics.values.get((name, attribute_type), ()))
            return set(statistics.type_values.get(attribute_type, ()))
        if kind == "name":
            return set(statistics.category_names.get(scope[1], ()))
        if kind == "scene":
            return set(statistics.scene_values.get(scope[1], ()))
        _, name, predicate = scope
        if kind == "subject":
            table = statistics.subjects_of.get((name, predicate), ())
            return set(table) if plausible else set(self._subjects.get(predicate, ()))
        table = statistics.objects_of.get((name, predicate), ())
        return set(table) if plausible else set(self._objects.get(predicate, ()))

    def choices(self, draft: Draft) -> dict[str, list[str]]:
        """`{"valid": [...], "plausible": [...]}`; both hold the answer."""
        if draft.answer in _BINARY:
            return {"valid": list(_BINARY), "plausible": list(_BINARY)}
        if draft.scope[0] in ("fixed", "alternatives"):
            both = sorted({draft.answer, *draft.valid})
            return {"valid": both, "plausible": list(both)}
        result = {}
        for key, plausible in (("valid", False), ("plausible", True)):
            cached = self._sorted.get((key, *draft.scope))
            if cached is None:
                cached = sorted(self._table(draft.scope, plausible=plausible))
                self._sorted[(key, *draft.scope)] = cached
            if draft.answer not in cached:
                cached = sorted({draft.answer, *cached})
            result[key] = cached
        return result
