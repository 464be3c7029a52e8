"""Drafts checked by executing their programs on their scenes.

The program runs without object ids, as a parsed one would: its answer must be the draft's, and
every definite description must come down to exactly one object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqa_reasoner.program.evidence import Evidence, TripleLookup
from gqa_reasoner.program.executor import Executor
from gqa_reasoner.program.steps import Program, Step
from gqa_reasoner.questions.draft import Draft

if TYPE_CHECKING:
    from detectors.scene import Scene
    from knowledge.ontology import Ontology

__all__ = ["ProgramCheck"]

_OBJECT_STEPS = ("select", "relate", "filter")
_GROUP_STEPS = frozenset(("exist", "same", "different"))
_POINTING = frozenset(("he", "she", "this", "it", "they"))


class ProgramCheck:
    """A `Check` for `Engine`; remembers the scene it saw last.

    Args:
        ontology: of the executor.
        triples: knowledge for the knowledge questions.
    """

    def __init__(self, ontology: Ontology, *, triples: TripleLookup | None = None) -> None:
        self.described = Executor(ontology, mode="hard", object_ids=False, triples=triples)
        self.pointed = Executor(ontology, mode="hard", object_ids=True, triples=triples)
        self._scene: Scene | None = None
        self._evidence: dict[bool, Evidence] = {}
        self.reason = ""
        """Why the last draft that was refused was refused."""

    def __call__(self, scene: Scene, draft: Draft) -> bool:
        """Whether the draft's program answers as the draft does, without ambiguity."""
        if self._scene is not scene:
            self._scene = scene
            self._evidence = {
                False: self.described.index(scene),
                True: self.pointed.index(scene),
            }
        program = Program(tuple(Step(*step) for step in draft.steps))
        pointing = any(
            step.operation == "select" and step.argument.split(" (")[0] in _POINTING
            for step in program.steps
        )
        executor = self.pointed if pointing else self.described
        execution = executor.run(program, self._evidence[pointing])
        if execution.answer != draft.answer:
            self.reason = f"answer {execution.answer!r} for {draft.answer!r}"
            return False
        if not pointing and not self._definite(program, execution.step_weights):
            self.reason = "ambiguous"
            return False
        return True

    @staticmethod
    def _definite(program: Program, weights: list) -> bool:
        """Whether each description that is finished at a step picks one object."""
        for step in program.steps:
            family = step.operation.split(" ")[0]
            counting = step.operation == "query" and step.argument == "count"
            grouped = family in _GROUP_STEPS and len(step.dependencies) == 1
            if family == "filter" or grouped or counting:
                continue
            for source in step.dependencies:
                before = program.steps[source]
                if before.operation.split(" ")[0] not in _OBJECT_STEPS:
                    continue
                if before.argument.strip() == "scene":
                    continue
                if (weights[source] > 0).sum() != 1:
                    return False
        return True
