"""Parse, execute, expand and encode many questions, sharing what can be shared.

The same path serves `predict` and the reasoner's training, so that the model is trained on what
it will be given.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.model.encode import EncodedScene, encode_scene
from gqa_reasoner.model.expanded_graph import Sources, relation_edges
from gqa_reasoner.model.inference import Prepared, prepare_graph
from gqa_reasoner.model.vocabulary import ReasonerVocabulary

if TYPE_CHECKING:
    from gqa_reasoner.data.questions import Question
    from gqa_reasoner.pipeline import Reasoner
    from gqa_reasoner.program.executor import Execution
    from gqa_reasoner.program.parser import ParseResult
    from gqa_reasoner.program.steps import Program
    from knowledge.context import Context

__all__ = ["Preparer", "Tools"]

KEPT_PARSES = 50_000
LONGEST_QUESTION = 60
"""Words of a question that the reasoner reads."""


@dataclass
class Tools:
    """What turns a question and a scene into a program, an execution and a context."""

    parser: Any
    ontology: Any
    store: Any = None
    coclick: Any = None
    expansion: str = "triples"
    seed: int = 0
    _executors: dict[str, Any] = field(default_factory=dict, repr=False)
    _evidence: dict[int, Any] = field(default_factory=dict, repr=False)
    _expander: Any = field(default=None, repr=False)
    _parses: dict[str, ParseResult] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, reasoner: Reasoner, expansion: str | None = None) -> Tools:
        """The tools of a whole reasoner."""
        return cls(
            reasoner.parser,
            reasoner.ontology,
            reasoner.store,
            getattr(reasoner, "coclick", None),
            expansion or reasoner.expansion,
            reasoner.seed,
        )

    @classmethod
    def default(cls, expansion: str = "triples", seed: int = 0) -> Tools:
        """The shipped parser, ontology and triples."""
        from gqa_reasoner.program.parser import ProgramParser
        from knowledge.ontology import Ontology
        from knowledge.store import TripleStore

        return cls(
            ProgramParser.from_pretrained(),
            Ontology.default(),
            TripleStore.default(),
            expansion=expansion,
            seed=seed,
        )

    def parse(self, questions: Sequence[str]) -> list[ParseResult]:
        """The likeliest program of each, remembering the last ones."""
        new = [text for text in dict.fromkeys(questions) if text not in self._parses]
        if len(self._parses) + len(new) > KEPT_PARSES:
            self._parses.clear()
            new = list(dict.fromkeys(questions))
        if new:
            self._parses.update(zip(new, self.parser.parse_batch(new, top_k=1), strict=True))
        return [self._parses[text] for text in questions]

    def prepare(self) -> None:
        """Make what expansion needs, which `expand` does at its first call otherwise."""
        if self._expander is None and self.expansion != "none":
            from knowledge.expansion import Expander

            self._expander = Expander(self.store, self.ontology, coclick=self.coclick)

    def expand(self, scene: Scene, question: str, question_id: str | None = None) -> Context | None:
        """The context of one question, None when expansion is off."""
        if self.expansion == "none":
            return None
        self.prepare()
        return self._expander.expand(
            scene, question, mode=self.expansion, seed=self.seed, question_id=question_id
        )

    def execute(self, program: Program, scene: Scene, context: Context | None) -> Execution:
        """Execute a program: softly on a detector's probabilities, exactly on annotations.

        Raises:
            InputError: the program is malformed.
        """
        mode: Literal["hard", "soft"] = "hard" if scene.detector == "oracle" else "soft"
        executor = self._executors.get(mode)
        if executor is None:
            from gqa_reasoner.program.executor import Executor

            executor = Executor(self.ontology, mode=mode, object_ids=False)
            self._executors[mode] = executor
        evidence = self._evidence.get(id(scene))
        if evidence is None or evidence.scene is not scene:
            if len(self._evidence) >= 256:
                self._evidence.clear()
            evidence = self._evidence[id(scene)] = executor.index(scene)
        return executor.run(program, evidence, context=context)


class Preparer:
    """Prepares questions about known scenes; keeps the encodings of the last scenes."""

    def __init__(
        self,
        vocabulary: ReasonerVocabulary,
        tools: Tools,
        scenes: Mapping[str, Scene],
        *,
        sources: Sources | None = None,
        kept_scenes: int = 256,
    ) -> None:
        self.vocabulary, self.tools, self.scenes = vocabulary, tools, scenes
        self.sources = sources or Sources()
        self.kept_scenes = kept_scenes
        self._encoded: OrderedDict[str, EncodedScene] = OrderedDict()
        self._warned = False

    def prepare(
        self, questions: Sequence[Question], programs: Sequence[Program | None] | None = None
    ) -> list[Prepared]:
        """Prepare questions in order.

        Args:
            programs: one per question to use instead of parsing; None entries are parsed.

        Raises:
            InputError: a question's image has no scene.
        """
        given = list(programs) if programs is not None else [None] * len(questions)
        wanted = [q.question for q, p in zip(questions, given, strict=True) if p is None]
        parses = iter(self.tools.parse(wanted))
        return [
            self._prepare(question, program, None if program is not None else next(parses))
            for question, program in zip(questions, given, strict=True)
        ]

    def _prepare(
        self, question: Question, program: Program | None, parse: ParseResult | None
    ) -> Prepared:
        scene = self.scenes.get(question.image_id)
        if scene is None:
            raise InputError(
                f"question {question.id}: imageId {question.image_id!r}: no such scene; "
                "detect or extract this picture first"
            )
        score, failure = 1.0, None
        if parse is not None:
            best = parse.programs[0] if parse.programs else None
            program, score = (best.program, float(best.score)) if best else (None, 0.0)
            failure = None if best else str(getattr(parse.failure, "reason", "no program"))
        self._warn_if_long(question)
        context = self.tools.expand(scene, question.question, question.id)
        execution = None
        if program is not None:
            try:
                execution = self.tools.execute(program, scene, context)
            except InputError as error:
                program, failure = None, str(error)
        return prepare_graph(
            self.vocabulary,
            scene,
            question.question,
            program,
            execution,
            context,
            parse_score=score,
            parse_failure=failure,
            sources=self.sources,
            encoded_scene=self.encoded(scene),
        )

    def encoded(self, scene: Scene) -> EncodedScene:
        """The scene's part, from the cache of the last ones."""
        found = self._encoded.get(scene.image_id)
        if found is None:
            on = self.sources.relations and self.sources.edges
            relations = relation_edges(scene) if on else None
            found = encode_scene(scene, self.vocabulary, relations)
            self._encoded[scene.image_id] = found
            if len(self._encoded) > self.kept_scenes:
                self._encoded.popitem(last=False)
        return found

    def _warn_if_long(self, question: Question) -> None:
        """Say once that the end of long questions is not read by the neural side."""
        if not self._warned and question.question.count(" ") >= LONGEST_QUESTION:
            self._warned = True
            print(
                f"question {question.id}: longer than {LONGEST_QUESTION} words; the reasoner "
                "reads the first ones (said once)",
                file=sys.stderr,
            )
