"""Steps that compare descriptions: same, different, common, older, bigger, healthier, …

Legend: N objects, K values, M members; a referent (N,) says which object is meant, sum 1.
"""

from __future__ import annotations

import numpy as np

from gqa_reasoner.program.answer_steps import NAME_TYPES, boolean, choice
from gqa_reasoner.program.arguments import EmptyArgument, TypeArgument
from gqa_reasoner.program.comparisons import more_probability
from gqa_reasoner.program.execution import Run, StepResult, normalize
from gqa_reasoner.program.operations import COMPARISONS, Operation

__all__ = ["common", "compare", "different", "same"]

SINGLE_GROUP = 0.8
"""P(all alike) where a detector shows a group as one object: its one value is that of all."""
COMMON_TYPES = ("color", "material", "shape", "size", "pattern", "age", "gender", "pose")
"""What `common` may answer, the commonest in GQA first."""


def same(
    run: Run, row: Operation, argument: TypeArgument | EmptyArgument, *sources: StepResult
) -> StepResult:
    """Whether two descriptions, or all objects of one, share a value of a type."""
    if isinstance(argument, TypeArgument):
        return boolean(_same_within(run, argument.attribute_type, sources[0]))
    return boolean(_same_between(run, str(row.attribute_type), *sources))


def different(
    run: Run, row: Operation, argument: TypeArgument | EmptyArgument, *sources: StepResult
) -> StepResult:
    """The opposite of `same`."""
    return boolean(1.0 - (same(run, row, argument, *sources).truth or 0.0))


def _value_rows(run: Run, kind: str) -> np.ndarray:
    """P(object has value), (N, K)."""
    evidence = run.evidence
    if kind not in NAME_TYPES:
        return evidence.type_values(kind)[1]
    names, matrix = evidence.class_names(None)
    keys = [evidence.lexicon.key(name) for name in names]
    unique = list(dict.fromkeys(keys))
    merged = np.zeros((evidence.size, len(unique)))
    for column, key in enumerate(keys):
        merged[:, unique.index(key)] += matrix[:, column]
    return merged


def _same_between(
    run: Run, kind: str, one: StepResult, other: StepResult, *, quiet: bool = False
) -> float:
    if one.referent is None or other.referent is None:
        return 0.0
    rows = _value_rows(run, kind)
    left, right = one.referent @ rows, other.referent @ rows
    if not (left.any() and right.any()):
        if not quiet:
            lacking = one if not left.any() else other
            run.note(f"nothing tells the {kind} of {lacking.name!r}", failed=True)
        return 0.0
    if run.hard:
        return float(bool(((left > 0) & (right > 0)).any()))
    return _all_alike(np.stack([left, right]))


def _all_alike(rows: np.ndarray) -> float:
    """P(all rows have one value), from P(value) per row, (M, K).

    The likeliest shared value is weighed against the likeliest combination that is not shared.
    """
    alike = float(rows.prod(axis=0).max())
    best = rows.max(axis=1)
    if rows.shape[1] == 1:
        return alike
    unlike = float(best.prod())
    if (rows.argmax(axis=1) == rows[0].argmax()).all():
        second = np.sort(rows, axis=1)[:, -2]
        unlike *= float((second / np.maximum(best, 1e-9)).max())
    return alike / max(alike + unlike, 1e-12)


def _same_within(run: Run, kind: str, source: StepResult) -> float:
    if source.weights is None or not source.weights.any():
        return 0.0
    members = source.weights > (0 if run.hard else 0.5 * source.weights.max())
    rows = _value_rows(run, kind)[members]
    if rows.shape[1] == 0 or not rows.any(axis=1).all():
        run.note(f"nothing tells the {kind} of every {source.name!r}", failed=True)
        return 0.0
    if run.hard:
        return float(rows.min(axis=0).max())
    return _all_alike(rows) if len(rows) > 1 else SINGLE_GROUP


def _told(run: Run, kind: str, one: StepResult, other: StepResult) -> float:
    """How clearly both descriptions have some value of the type."""
    rows = _value_rows(run, kind)
    if run.hard or rows.shape[1] == 0 or one.referent is None or other.referent is None:
        return 1.0
    return float((one.referent @ rows).max() * (other.referent @ rows).max())


def common(
    run: Run, row: Operation, argument: EmptyArgument, one: StepResult, other: StepResult
) -> StepResult:
    """Which attribute type two descriptions share a value of."""
    scores = {
        kind: _same_between(run, kind, one, other, quiet=True) * _told(run, kind, one, other)
        for kind in COMMON_TYPES
    }
    if not any(scores.values()):
        run.note(f"{one.name!r} and {other.name!r} share no known value", failed=True)
        scores["color"] = 1.0
    if run.hard:  # the first shared type, as ties have no other order
        best = max(scores, key=lambda kind: scores[kind])
        scores = {kind: float(kind == best) for kind in scores}
    return StepResult(distribution=normalize(scores))


def compare(
    run: Run, row: Operation, argument: EmptyArgument, one: StepResult, other: StepResult
) -> StepResult:
    """Which of two objects is older, bigger, healthier, …; answered with its name."""
    comparison = COMPARISONS[row.name[len("choose ") :]]
    names = [_comparison_name(run, item) for item in (one, other)]
    if names[0] == names[1]:
        names = [_object_name(run, item) for item in (one, other)]
    if one.referent is None or other.referent is None:
        return choice(run, dict.fromkeys(names, 0.0), None)
    sums = ((one.name, one.referent.sum()), (other.name, other.referent.sum()))
    absent = [name for name, total in sums if total <= 0]
    told = False
    probability = 0.5
    if not absent:
        probability, told = more_probability(run.evidence, one.referent, other.referent, comparison)
    if not told:
        run.note(f"nothing tells which is {row.name[len('choose ') :]}", failed=True)
    scores = {names[0]: probability}
    scores[names[1]] = scores.get(names[1], 0.0) + 1 - probability
    if run.hard:
        scores = {name: float(score >= 0.5) for name, score in scores.items()}
    return StepResult(distribution=normalize(scores))


def _comparison_name(run: Run, source: StepResult) -> str:
    """The word of the question, or the object's own name where the question has only a category."""
    return source.name if source.name is not None else _object_name(run, source)


def _object_name(run: Run, source: StepResult) -> str:
    if source.referent is None or not source.referent.any():
        return source.name or "object"
    return run.evidence.scene.objects[int(source.referent.argmax())].name
