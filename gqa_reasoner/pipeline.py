"""`Reasoner`: the whole path from a picture and a question to an answer with its reasons.

picture → Scene → (question → Program) → Context → execution → mixture → Answer
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.answer import Answer, best_candidates

if TYPE_CHECKING:
    from PIL import Image

    from detectors.protocol import Detector
    from detectors.scene import Scene
    from gqa_reasoner.model.inference import AnswerDistribution
    from gqa_reasoner.model.prepare_many import Tools
    from gqa_reasoner.model.reasoner import ReasonerModel
    from gqa_reasoner.program.executor import Execution
    from gqa_reasoner.program.parser import ParseResult, ProgramParser
    from gqa_reasoner.program.steps import Program
    from knowledge.coclick import CoClickLog
    from knowledge.context import Context
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["EXPANSION_MODES", "WEIGHTS", "Reasoner"]

WEIGHTS = Path(__file__).parent / "weights"
"""The shipped default weights: detector, parser and reasoner, each with its model card."""
EXPANSION_MODES = ("none", "triples", "coclick", "both", "random", "shuffled", "empty")


@dataclass
class Reasoner:
    """Answers questions about pictures; every part is loaded on first use.

    Args:
        weights: folder with `detector/`, `parser/` and `reasoner/`.
        detector_spec: `default`, `onnx:PATH`, `oracle:FILE`, `photo` or `hf:NAME`.
        expansion: source of context, one of `EXPANSION_MODES`.
        store_path: triples to expand from; None takes the shipped ones.
        ontology_path: categories and attribute types; None takes the shipped ones.
        coclick_path: click log for the `coclick` and `both` modes.
        seed: of the random and shuffled controls.
    """

    weights: Path = WEIGHTS
    detector_spec: str = "default"
    expansion: str = "triples"
    store_path: Path | None = None
    ontology_path: Path | None = None
    coclick_path: Path | None = None
    seed: int = 0

    @classmethod
    def from_pretrained(cls, weights: str | Path | None = None, **options: Any) -> Reasoner:
        """A reasoner with the shipped default weights, or with those in a folder.

        Raises:
            InputError: no such folder, or an option or mode that does not exist.
        """
        folder = Path(weights) if weights is not None else WEIGHTS
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of weights")
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            raise InputError(f"unknown options: {', '.join(unknown)}")
        reasoner = cls(weights=folder, **options)
        _check_mode(reasoner.expansion)
        return reasoner

    @cached_property
    def detector(self) -> Detector:
        """The detector that `detector_spec` names."""
        from detectors.factory import create_detector

        if self.detector_spec == "default":
            return create_detector(f"default:{self.weights / 'detector'}")
        return create_detector(self.detector_spec)

    @cached_property
    def parser(self) -> ProgramParser:
        """Question to programs."""
        from gqa_reasoner.program.parser import ProgramParser

        return ProgramParser.from_pretrained(self.weights / "parser")

    @cached_property
    def ontology(self) -> Ontology:
        """Categories, attribute types and synonyms."""
        from knowledge.ontology import Ontology

        return Ontology.load(self.ontology_path) if self.ontology_path else Ontology.default()

    @cached_property
    def store(self) -> TripleStore:
        """Commonsense triples."""
        from knowledge.store import TripleStore

        return TripleStore.open(self.store_path) if self.store_path else TripleStore.default()

    @cached_property
    def model(self) -> ReasonerModel:
        """The transformer over the expanded graph."""
        from gqa_reasoner.model.reasoner import ReasonerModel

        return ReasonerModel.from_pretrained(self.weights / "reasoner")

    @cached_property
    def coclick(self) -> CoClickLog | None:
        """The click log, if one was given."""
        if self.coclick_path is None:
            return None
        from knowledge.coclick import CoClickLog

        return CoClickLog.open(self.coclick_path)

    @cached_property
    def _tools(self) -> Tools:
        from gqa_reasoner.model.prepare_many import Tools

        return Tools.of(self)

    def answer(
        self,
        image: Image.Image | str | Path,
        question: str,
        *,
        expansion: str | None = None,
        image_id: str | None = None,
    ) -> Answer:
        """Answer one question about one picture.

        Args:
            image: a PIL picture or a path.
            question: one question.
            expansion: source of context for this question; the reasoner's own by default.
            image_id: id of the picture, for the oracle detector and the click log.

        Raises:
            InputError: the picture cannot be read, or the question is empty.
        """
        _clean(question)
        return self.answer_scene(
            self.detect(image, image_id=image_id), question, expansion=expansion
        )

    def detect(self, image: Image.Image | str | Path, *, image_id: str | None = None) -> Scene:
        """The scene of one picture.

        Raises:
            InputError: the picture cannot be read.
        """
        item = Path(image) if isinstance(image, str) else image
        return self.detector.detect([item], None if image_id is None else [image_id])[0]

    def answer_scene(
        self,
        scene: Scene,
        question: str,
        *,
        expansion: str | None = None,
        program: Program | None = None,
    ) -> Answer:
        """Answer one question about a scene; `program` replaces the parser's.

        Raises:
            InputError: the question is empty, or the given program is malformed.
        """
        text = _clean(question)
        tools = self._tools
        if expansion is not None:
            tools = replace(tools, expansion=_check_mode(expansion))
        parse = self.parser.parse(text) if program is None else _given(program)
        context = tools.expand(scene, text)
        execution, notes = None, []
        if parse.programs:
            try:
                execution = tools.execute(parse.programs[0].program, scene, context)
            except InputError as error:
                if program is not None:
                    raise
                notes.append(f"the program could not be run: {error}")
        result = self.model.answer_scene(scene, text, parse, execution, context)
        return _assemble(scene, parse, context, execution, result, notes)


def _clean(question: str) -> str:
    text = " ".join(question.split())
    if not text:
        raise InputError("question: empty")
    return text


def _check_mode(mode: str) -> str:
    if mode not in EXPANSION_MODES:
        raise InputError(f"expansion: expected one of {', '.join(EXPANSION_MODES)}, got {mode!r}")
    return mode


def _given(program: Program) -> ParseResult:
    from gqa_reasoner.program.parser import ParseResult, ScoredProgram

    return ParseResult([ScoredProgram(program, 1.0)], None)


def _assemble(
    scene: Scene,
    parse: ParseResult,
    context: Context | None,
    execution: Execution | None,
    result: AnswerDistribution,
    notes: list[str],
) -> Answer:
    """The answer with its reasons from the parts' results."""
    from gqa_reasoner.program.trace import build_trace

    program = parse.programs[0].program if parse.programs else None
    trace = []
    if program is not None and execution is not None:
        trace = build_trace(program, execution, scene)
        notes = [*execution.notes, *notes]
    return Answer(
        text=result.answer,
        score=result.score,
        candidates=best_candidates(result.distribution),
        program=program,
        trace=trace,
        context=context,
        notes=[*notes, *result.notes],
        method=result.method,
        executor_weight=result.executor_weight,
        scene=scene,
    )
