"""Steps that describe objects: select, relate, filter; and the relations that others ask about.

Legend: N objects; `source` is the result of the step this one depends on.
"""

from __future__ import annotations

import numpy as np

from gqa_reasoner.program.arguments import (
    KnowledgeArgument,
    ObjectArgument,
    RelateArgument,
    ValueArgument,
)
from gqa_reasoner.program.evidence import Evidence
from gqa_reasoner.program.execution import Run, StepResult
from gqa_reasoner.program.lexicon import opposite
from gqa_reasoner.program.operations import Operation
from gqa_reasoner.program.predicates import spatial_kind

__all__ = ["filter_objects", "named", "relate", "related", "select"]


def select(run: Run, row: Operation, argument: ObjectArgument) -> StepResult:
    """All objects of a name, or the whole picture."""
    if argument.is_scene:
        return StepResult(is_scene=True, name="scene")
    weights = named(run, argument.name, argument.object_ids)
    return run.objects(weights, argument.name, f"no {argument.name!r} found in the picture")


def named(run: Run, name: str, object_ids: tuple[str, ...]) -> np.ndarray:
    """P(object is meant by the name), (N,): by id where the program knows it, `_` means any."""
    if run.use_ids and object_ids:
        weights = run.evidence.by_ids(object_ids)
        if weights is not None:
            return weights
    if name == "_":
        return np.ones(run.evidence.size)
    return run.evidence.name(name)


def related(
    run: Run, predicate: str, direction: str, source: np.ndarray, *, broad: bool
) -> np.ndarray:
    """P(object stands in the relation to the source), (N,).

    Direction `s`: the object is the subject; `o`: it is the object; `_`: "same color" and such.
    """
    evidence = run.evidence
    if direction == "_" and predicate.startswith("same "):
        matrix = _same_matrix(evidence, predicate[len("same ") :])
    else:
        matrix = evidence.broad_relation(predicate) if broad else evidence.relation(predicate)
    if direction == "o":
        return source @ matrix
    if direction == "_":
        return np.maximum(matrix @ source, source @ matrix)
    return matrix @ source


def _same_matrix(evidence: Evidence, attribute_type: str) -> np.ndarray:
    """P(two objects share a value of the type), (N, N), zero diagonal."""
    values, matrix = evidence.type_values(attribute_type)
    if not values:
        return np.zeros((evidence.size, evidence.size))
    if evidence.hard:
        shared = (matrix @ matrix.T > 0).astype(float)
    else:
        rows = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 0.05)
        shared = rows @ rows.T
    np.fill_diagonal(shared, 0.0)
    return shared


def fits(
    run: Run, names: np.ndarray, predicate: str, direction: str, source: StepResult
) -> np.ndarray:
    """P(object has the name and stands in the relation to the source), (N,)."""
    referent = source.referent
    if referent is None:
        return np.zeros(run.evidence.size)
    weights = names * related(run, predicate, direction, referent, broad=False)
    if run.hard:
        if not weights.any():
            weights = names * related(run, predicate, direction, referent, broad=True)
        return (weights > 0).astype(float)
    return weights * source.presence


def relate(run: Run, row: Operation, argument: RelateArgument, source: StepResult) -> StepResult:
    """The objects of a name that stand in a relation to the source."""
    names = named(run, argument.name, argument.object_ids)
    weights = fits(run, names, argument.predicate, argument.direction, source)
    name = None if argument.name == "_" else argument.name
    missing = f"no {argument.name!r} {argument.predicate!r} {source.name!r} found"
    if run.hard and weights.any():
        return run.objects(weights, name, missing)
    factors = source.factors + (1 if name is None else 2)
    fallback = _relate_fallback(run, names, argument, source)
    total = float(fallback.sum())
    if total <= 0:
        return run.objects(weights, name, missing, factors=factors)
    presence = 1.0 if run.hard else 0.5 * float(min(names.max(), 1.0))
    return run.objects(weights, name, missing, fallback / total, presence, factors)


def _relate_fallback(
    run: Run, names: np.ndarray, argument: RelateArgument, source: StepResult
) -> np.ndarray:
    """What the description may mean although the relation is not known to hold, (N,).

    The boxes of the named objects decide first, then the name, then the relation alone.
    """
    evidence = run.evidence
    if source.referent is None or evidence.size == 0:
        return np.zeros(evidence.size)
    others = names * (source.referent <= 0) if argument.name != "_" else np.zeros(evidence.size)
    kind = spatial_kind(argument.predicate) or "contact"
    pairs = evidence.pairs(kind)
    towards = source.referent @ pairs if argument.direction == "o" else pairs @ source.referent
    if (others * towards).sum() > 1e-3:
        return others * towards
    if others.any():
        return others
    return related(run, argument.predicate, argument.direction, source.referent, broad=True)


def filter_objects(
    run: Run, row: Operation, argument: ValueArgument | KnowledgeArgument, source: StepResult
) -> StepResult:
    """The objects of the source that have (or have not) an attribute, or that a triple names."""
    if source.weights is None or source.referent is None:
        return source
    if isinstance(argument, KnowledgeArgument):
        return _filter_knowledge(run, argument, source)
    has = run.evidence.attribute(argument.value, row.attribute_type)
    weights = source.weights * ((1.0 - has) if argument.negated else has)
    if argument.negated and run.hard:
        weights = _with_opposite(run, argument.value, row.attribute_type, weights)
    missing = f"no {source.name or 'object'!r} is known to be {str(argument)!r}"
    fallback = source.referent
    if not source.weights.any():  # the description went on from a fallback; filter that
        kept = source.referent * ((1.0 - has) if argument.negated else has)
        if kept.sum() > 0:
            fallback = kept / kept.sum()
    factors = source.factors + 1
    return run.objects(weights, source.name, missing, fallback, source.presence, factors)


def _with_opposite(
    run: Run, value: str, attribute_type: str | None, weights: np.ndarray
) -> np.ndarray:
    """Of several objects that lack a value, those annotated with its opposite, where there are.

    `the cow that is not not-healthy` is said of a cow that is annotated as healthy; cows without
    any annotation of the kind lack the value as well, but nothing is known of them.
    """
    other = opposite(value)
    if other is None or (weights > 0).sum() < 2:
        return weights
    stated = weights * run.evidence.attribute(other, attribute_type)
    return stated if stated.any() else weights


def _filter_knowledge(run: Run, argument: KnowledgeArgument, source: StepResult) -> StepResult:
    known = run.evidence.knowledge(argument.relation, argument.tail, run.context, run.triples)
    missing = f"no triple says that {source.name or 'object'!r} {argument.relation} {argument.tail}"
    weights = source.weights * known
    if run.context is None and run.triples is None:
        run.note("no knowledge source was given", failed=True)
    elif not weights.any():
        run.note(missing, failed=True)
    factors = source.factors + 1
    return run.objects(weights, source.name, missing, source.referent, source.presence, factors)
