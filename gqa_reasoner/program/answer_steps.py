"""Steps that answer about one description: exist, verify, choose, query; and, or.

Legend: N objects, K values; a referent (N,) says which object a description means, sum 1.
"""

from __future__ import annotations

import numpy as np

from gqa_reasoner.program.arguments import (
    Alternatives,
    EmptyArgument,
    KnowledgeArgument,
    RelateArgument,
    RelationChoiceArgument,
    TypeArgument,
    ValueArgument,
)
from gqa_reasoner.program.evidence import POSITION_TYPES, SCENE_TYPES
from gqa_reasoner.program.execution import PRESUPPOSED, Run, StepResult, normalize, tempered
from gqa_reasoner.program.object_steps import fits, named, related
from gqa_reasoner.program.operations import Operation
from gqa_reasoner.program.predicates import answer_word, spatial_kind

__all__ = [
    "NAME_TYPES",
    "boolean",
    "choice",
    "choose",
    "choose_relation",
    "conjunction",
    "disjunction",
    "exist",
    "query",
    "verify",
    "verify_relation",
]

NAME_TYPES = frozenset({"name", "type", "kind", "species"})
"""Types whose values are the names of objects."""

DOING = frozenset({"activity", "pose", "sportActivity"})
"""Types of what somebody does."""
OTHER_DOING = 0.5
"""How far a value of another of these types counts beside the type that is asked."""

COUNT = "count"
"""The attribute type of "how many"."""
UNSEEN = 0.15
"""Weight of one more object that the detector may have missed, when things are counted."""


def boolean(truth: float) -> StepResult:
    """A yes-or-no result."""
    truth = min(max(truth, 0.0), 1.0)
    return StepResult(truth=truth, distribution={"yes": truth, "no": 1.0 - truth})


def exist(run: Run, row: Operation, argument: EmptyArgument, source: StepResult) -> StepResult:
    """Whether any object fits: the best fit decides, or what co-click queries presuppose."""
    if source.weights is None:
        return boolean(1.0)
    truth = float(source.weights.max()) if source.weights.size else 0.0
    if run.hard:
        return boolean(float(truth > 0))
    truth = tempered(truth, source.factors)
    return boolean(1.0 - (1.0 - truth) * (1.0 - _presupposed(run, source)))


def _presupposed(run: Run, source: StepResult) -> float:
    """P(a thing that a bare name describes is there) as the queries in the context take it.

    A description with filters or relations says more than the queries' name does; it gets none.
    """
    granted = getattr(run.context, "presupposed", None)
    if not granted or source.name is None or source.factors > 1:
        return 0.0
    lexicon = run.evidence.lexicon
    return max((p for name, p in granted.items() if lexicon.is_a(name, source.name)), default=0.0)


def verify(
    run: Run, row: Operation, argument: ValueArgument | KnowledgeArgument, source: StepResult
) -> StepResult:
    """Whether the object that is meant has the attribute."""
    if isinstance(argument, KnowledgeArgument):
        return _verify_knowledge(run, argument, source)
    if source.is_scene or source.referent is None:
        truth = _scene_truth(run, argument.value, row.attribute_type)
    else:
        holds = _holds(run, argument.value, row.attribute_type)
        truth = float(source.referent @ holds)
        if run.hard:
            truth = float(truth >= 0.5)
    if argument.negated:
        truth = 1.0 - truth
    if source.presence == 0.0:
        run.failed = True
    return boolean(truth * source.presence)


def _holds(run: Run, value: str, attribute_type: str | None) -> np.ndarray:
    """P(object has the value), (N,); soft mode weighs it against the best other value too."""
    evidence = run.evidence
    has = evidence.attribute(value, attribute_type)
    if run.hard or attribute_type is None or attribute_type in POSITION_TYPES:
        return has
    values, matrix = evidence.type_values(attribute_type)
    same = evidence.lexicon.same_attribute
    others = [column for column, word in enumerate(values) if not same(word, value)]
    if not others or len(others) == len(values):
        return has
    rival = matrix[:, others].max(axis=1)
    share = has / np.maximum(has + rival, 1e-6)
    for_it, against = np.sqrt(has * share), np.sqrt((1 - has) * (1 - share))
    return for_it / np.maximum(for_it + against, 1e-9)


def _verify_knowledge(run: Run, argument: KnowledgeArgument, source: StepResult) -> StepResult:
    if run.context is None and run.triples is None:
        run.note("no knowledge source was given", failed=True)
    if source.referent is None:
        return boolean(0.0)
    known = run.evidence.knowledge(argument.relation, argument.tail, run.context, run.triples)
    truth = float(source.referent @ known)
    return boolean((float(truth >= 0.5) if run.hard else truth) * source.presence)


def _scene_truth(run: Run, value: str, attribute_type: str | None) -> float:
    """P(the whole picture is `value`)."""
    lexicon = run.evidence.lexicon
    kinds = (attribute_type,) if attribute_type in SCENE_TYPES else ("location", "place", "weather")
    found = 0.0
    for kind in kinds:
        weights = run.evidence.scene_values(str(kind))
        if weights:
            shares = normalize(weights)
            same = [share for word, share in shares.items() if lexicon.is_a(word, value)]
            found = max(found, sum(same))
    if found == 0.0 and run.evidence.size:
        found = float(run.evidence.name(value).max())
    return float(found >= 0.5) if run.hard else found


def verify_relation(
    run: Run, row: Operation, argument: RelateArgument, source: StepResult
) -> StepResult:
    """Whether some object of the name stands in the relation to the source."""
    names = named(run, argument.name, argument.object_ids)
    weights = fits(run, names, argument.predicate, argument.direction, source)
    truth = float(weights.max()) if weights.size else 0.0
    result = boolean(truth if run.hard else tempered(truth, source.factors + 2))
    result.weights = weights
    return result


def choose(run: Run, row: Operation, argument: Alternatives, source: StepResult) -> StepResult:
    """Which of two attributes (or names) the object has."""
    scores = {}
    for option in argument.options:
        if source.is_scene or source.referent is None:
            scores[option] = _scene_score(run, option, row.attribute_type)
        elif row.attribute_type == "name":
            scores[option] = float(source.referent @ run.evidence.name(option))
        else:
            has = run.evidence.attribute(option, row.attribute_type)
            scores[option] = float(source.referent @ has)
    if not any(scores.values()) and row.attribute_type == "name" and run.evidence.size:
        scores = {option: float(run.evidence.name(option).max()) for option in scores}
    return choice(run, scores, source.name)


def _scene_score(run: Run, option: str, attribute_type: str | None) -> float:
    lexicon = run.evidence.lexicon
    weights = run.evidence.scene_values(attribute_type or "location")
    return sum(weight for word, weight in weights.items() if lexicon.is_a(word, option))


def choice(run: Run, scores: dict[str, float], name: str | None) -> StepResult:
    """The likelier of two answers; a note where nothing speaks for either."""
    if not any(score > 0 for score in scores.values()):
        options = " or ".join(repr(option) for option in scores)
        run.note(f"nothing tells whether {name or 'it'!r} is {options}", failed=True)
    return StepResult(distribution=normalize(scores))


def choose_relation(
    run: Run, row: Operation, argument: RelationChoiceArgument, source: StepResult
) -> StepResult:
    """In which of two relations an object stands to the source."""
    names = named(run, argument.name, argument.object_ids)
    referent = source.referent
    total = float(names.sum())
    if referent is None or total <= 0 or referent.sum() <= 0:
        scores = dict.fromkeys(map(answer_word, argument.predicates), 0.0)
        run.note(f"no {argument.name!r} found in the picture")
        return choice(run, scores, argument.name)
    names = names / total
    for broad in (False, True):
        weights = [
            related(run, predicate, argument.direction, referent, broad=broad)
            for predicate in argument.predicates
        ]
        if any(float(names @ item) > 0 for item in weights):
            break
    else:
        weights = [
            _by_boxes(run, predicate, argument.direction, referent)
            for predicate in argument.predicates
        ]
    scores = {
        answer_word(predicate): float(names @ item)
        for predicate, item in zip(argument.predicates, weights, strict=True)
    }
    result = choice(run, scores, argument.name)
    result.weights = names
    return result


def _by_boxes(run: Run, predicate: str, direction: str, referent: np.ndarray) -> np.ndarray:
    kind = spatial_kind(predicate)
    if kind is None:
        return np.zeros(run.evidence.size)
    pairs = run.evidence.pairs(kind)
    return referent @ pairs if direction == "o" else pairs @ referent


def query(run: Run, row: Operation, argument: TypeArgument, source: StepResult) -> StepResult:
    """The name, or the value of an attribute type, of what is meant."""
    kind = argument.attribute_type
    if kind == COUNT and source.weights is not None:
        if run.hard:
            return StepResult(distribution=count_distribution(source.weights))
        return StepResult(distribution=presupposed_count(source.weights))
    scores: dict[str, float] = {}
    if source.referent is not None and source.presence > 0:
        scores = (
            _name_scores(run, source) if kind in NAME_TYPES else _type_scores(run, kind, source)
        )
    if not any(scores.values()) and (source.is_scene or kind in SCENE_TYPES):
        scores = run.evidence.scene_values(kind)
    if any(score > 0 for score in scores.values()):
        return StepResult(distribution=normalize(scores))
    run.note(f"nothing tells the {kind} of {source.name or 'it'!r}", failed=True)
    guesses = _guesses(run, kind, source)
    return StepResult(distribution=normalize(dict.fromkeys(guesses, 1.0)))


def count_distribution(weights: np.ndarray) -> dict[str, float]:
    """P(number of objects that fit) for independent weights (N,): the Poisson binomial.

    Counting is not in GQA's language; `query: count` is this project's extension of it.
    """
    shares = np.array([1.0])
    for weight in np.clip(weights, 0.0, 1.0):
        shares = np.append(shares, 0.0) * (1 - weight) + np.insert(shares, 0, 0.0) * weight
    return {str(number): float(share) for number, share in enumerate(shares) if share > 1e-6}


def presupposed_count(weights: np.ndarray) -> dict[str, float]:
    """The count when a detector may have missed one, and asking presupposes that some are there."""
    shares = {int(k): v for k, v in count_distribution(np.append(weights, UNSEEN)).items()}
    trust = {number: 1 - PRESUPPOSED if number == 0 else PRESUPPOSED for number in shares}
    return normalize({str(number): share * trust[number] for number, share in shares.items()})


def _name_scores(run: Run, source: StepResult) -> dict[str, float]:
    category = None if run.hard else source.name
    names, matrix = run.evidence.class_names(category)
    weights = source.referent @ matrix
    if category is not None and weights.sum() <= 1e-9:
        names, matrix = run.evidence.class_names(None)
        weights = source.referent @ matrix
    return {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight > 0}


def _type_scores(run: Run, kind: str, source: StepResult) -> dict[str, float]:
    values, matrix = _values_asked(run, kind)
    if source.referent is None:
        return {}
    if not values or (run.hard and not (source.referent @ matrix).any()):
        return _untyped_scores(run, source.referent)
    sums = matrix.sum(axis=1, keepdims=True)
    rows = matrix / np.maximum(sums, 1e-9) if run.hard else matrix / (sums + 0.05)
    weights = source.referent @ rows
    return {value: float(weight) for value, weight in zip(values, weights, strict=True) if weight}


def _values_asked(run: Run, kind: str) -> tuple[list[str], np.ndarray]:
    """Values that answer a question for the type, and P(object has them), (N, K).

    What somebody is doing may be an activity, a pose or a sport, whichever type the question's
    program names: with a detector's doubts the other two stand beside it at a discount. (In a
    graph, `type_values` goes to them only where an object has nothing of the type.)
    """
    values, matrix = run.evidence.type_values(kind)
    if run.hard or kind not in DOING:
        return values, matrix
    for related_type in sorted(DOING - {kind}):
        others, columns = run.evidence.type_values(related_type)
        fresh = [place for place, value in enumerate(others) if value not in values]
        if fresh:
            values = [*values, *(others[place] for place in fresh)]
            matrix = np.concatenate([matrix, OTHER_DOING * columns[:, fresh]], axis=1)
    return values, matrix


def _untyped_scores(run: Run, referent: np.ndarray) -> dict[str, float]:
    """Attributes of the referent whose type the ontology does not know: one of them may be it."""
    types = run.evidence.lexicon.types
    scores: dict[str, float] = {}
    for place in np.flatnonzero(referent > 0):
        for word, score in run.evidence.scene.objects[int(place)].attributes.items():
            if not types(word):
                scores[word] = scores.get(word, 0.0) + float(referent[place]) * score
    return scores


def _guesses(run: Run, kind: str, source: StepResult) -> list[str]:
    """What to guess among when the scene says nothing: the type's own values, never nothing."""
    lexicon = run.evidence.lexicon
    if kind in NAME_TYPES:
        members = lexicon.ontology.members(source.name) if source.name else ()
        return list(members) or [source.name or "object"]
    return list(lexicon.values(kind)) or ["unknown"]


def conjunction(
    run: Run, row: Operation, argument: EmptyArgument, one: StepResult, other: StepResult
) -> StepResult:
    """Both hold: between independence (the product) and full dependence (the smaller)."""
    return boolean(_both(one.truth or 0.0, other.truth or 0.0))


def disjunction(
    run: Run, row: Operation, argument: EmptyArgument, one: StepResult, other: StepResult
) -> StepResult:
    """At least one holds: not both fail."""
    return boolean(1.0 - _both(1.0 - (one.truth or 0.0), 1.0 - (other.truth or 0.0)))


def _both(one: float, other: float) -> float:
    return (one * other + min(one, other)) / 2
