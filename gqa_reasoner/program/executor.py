"""Running a program on a scene, with annotations as truth (hard) or with probabilities (soft).

`execute` does one; `Executor` keeps what it learnt about names and indexes a scene once for many
questions (10,000 and more a second on annotated scenes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.program import answer_steps, group_steps, object_steps
from gqa_reasoner.program.arguments import Argument, TypeArgument, parse_argument
from gqa_reasoner.program.evidence import Evidence, GraphEvidence, TripleLookup
from gqa_reasoner.program.execution import Execution, Run, StepResult
from gqa_reasoner.program.lexicon import Lexicon, lexicon_of
from gqa_reasoner.program.operations import OPERATIONS, Family, Operation
from gqa_reasoner.program.soft_evidence import SoftEvidence
from gqa_reasoner.program.steps import Program, validate

if TYPE_CHECKING:
    from knowledge.context import Context
    from knowledge.ontology import Ontology

__all__ = ["Execution", "Executor", "execute"]

Mode = Literal["hard", "soft"]
_Planned = tuple[Callable[..., StepResult], Operation, Argument, tuple[int, ...]]

_STEPS: dict[Family, Callable[..., StepResult]] = {
    Family.SELECT: object_steps.select,
    Family.RELATE: object_steps.relate,
    Family.FILTER: object_steps.filter_objects,
    Family.VERIFY: answer_steps.verify,
    Family.CHOOSE: answer_steps.choose,
    Family.COMPARE: group_steps.compare,
    Family.QUERY: answer_steps.query,
    Family.EXIST: answer_steps.exist,
    Family.AND: answer_steps.conjunction,
    Family.OR: answer_steps.disjunction,
    Family.SAME: group_steps.same,
    Family.DIFFERENT: group_steps.different,
    Family.COMMON: group_steps.common,
}


def _step_function(row: Operation) -> Callable[..., StepResult]:
    if row.attribute_type == "rel":
        verify = row.family is Family.VERIFY
        return answer_steps.verify_relation if verify else answer_steps.choose_relation
    return _STEPS[row.family]


@lru_cache(maxsize=65536)
def _plan(program: Program) -> tuple[_Planned, ...]:
    """The program checked and its arguments read.

    Raises:
        InputError: see `steps.validate`.
    """
    validate(program)
    return tuple(
        (
            _step_function(OPERATIONS[step.operation]),
            OPERATIONS[step.operation],
            parse_argument(step.operation, step.argument),
            step.dependencies,
        )
        for step in program.steps
    )


class Executor:
    """Executes programs with one ontology; holds no state but remembered look-ups.

    Args:
        ontology: categories and attribute types (or a `Lexicon` over one).
        mode: `hard` reads a scene's annotations as the whole truth, `soft` as probabilities.
        object_ids: whether "(id)" in arguments names objects of the scene; by default only in
            hard mode, since a detector's ids are not those of the annotation.
        triples: knowledge for `filter knowledge` where a run has no context.
    """

    def __init__(
        self,
        ontology: Ontology | Lexicon,
        *,
        mode: Mode = "hard",
        object_ids: bool | None = None,
        triples: TripleLookup | None = None,
    ) -> None:
        if mode not in ("hard", "soft"):
            raise InputError(f"mode: expected 'hard' or 'soft', got {mode!r}")
        self.lexicon = lexicon_of(ontology)
        self.mode = mode
        self.object_ids = (mode == "hard") if object_ids is None else object_ids
        self.triples = triples

    def index(self, scene: Scene) -> Evidence:
        """The scene prepared for many programs; it must not change afterwards."""
        kind = GraphEvidence if self.mode == "hard" else SoftEvidence
        return kind(scene, self.lexicon)

    def run(
        self, program: Program, scene: Scene | Evidence, *, context: Context | None = None
    ) -> Execution:
        """Execute one program; what the scene lacks is noted, never raised.

        Raises:
            InputError: the program is malformed; the step is named.
        """
        planned = _plan(program)
        evidence = scene if isinstance(scene, Evidence) else self.index(scene)
        run = Run(evidence, self.object_ids, context, self.triples)
        results = run.results
        for function, row, argument, dependencies in planned:
            sources = [results[place] for place in dependencies]
            results.append(function(run, row, argument, *sources))
        last = results[-1]
        if last.distribution is None:
            row = OPERATIONS["query"]
            last = answer_steps.query(run, row, TypeArgument("name"), last)
        distribution = last.distribution or {}
        answer = max(distribution, key=distribution.__getitem__)
        if evidence.hard and not run.failed and distribution[answer] < 1.0:
            others = [word for word, share in distribution.items() if share == distribution[answer]]
            if len(others) > 1:
                run.note(f"the annotation fits {' and '.join(map(repr, others[:4]))} equally")
        return Execution(answer, distribution, run.notes, run.failed, results, evidence.size)

    def run_many(
        self, items: Iterable[tuple[Program, Scene]], *, cached_scenes: int = 1024
    ) -> Iterator[Execution]:
        """Execute many; scenes (the same objects) are indexed once while they recur."""
        indexed: dict[int, Evidence] = {}
        for program, scene in items:
            evidence = indexed.get(id(scene))
            if evidence is None or evidence.scene is not scene:
                if len(indexed) >= cached_scenes:
                    indexed.clear()
                evidence = indexed[id(scene)] = self.index(scene)
            yield self.run(program, evidence)


def execute(
    program: Program,
    scene: Scene,
    ontology: Ontology | Lexicon,
    *,
    mode: Mode = "hard",
    context: Any = None,
    triples: TripleLookup | None = None,
    object_ids: bool | None = None,
) -> Execution:
    """Execute one program on one scene; see `Executor`.

    Raises:
        InputError: the program is malformed; the step is named.
    """
    executor = Executor(ontology, mode=mode, triples=triples, object_ids=object_ids)
    return executor.run(program, scene, context=context)
