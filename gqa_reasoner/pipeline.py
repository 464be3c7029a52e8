"""`Reasoner`: the whole path from a picture and a question to an answer with its reasons.

picture → Scene → (question → Program) → Context → execution → mixture → Answer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.answer import Answer, best_candidates
from knowledge.context import MODES

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
EXPANSION_MODES = MODES


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

    @cached_property
    def _mode_tools(self) -> dict[str, Tools]:
        """Tools of the expansion modes that single questions asked for."""
        return {}

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
        reasons = self._reasons(scene, _clean(question), expansion, program)
        result = self.model.answer_scene(
            scene, reasons.question, reasons.parse, reasons.execution, reasons.context
        )
        return _assemble(reasons, result)

    def answer_scenes(
        self, scenes: Sequence[Scene], questions: Sequence[str], expansions: Sequence[str]
    ) -> list[Answer | InputError]:
        """Answer one question per scene with one pass of the model.

        Args:
            scenes, questions, expansions: of equal length.

        Returns:
            Per question its answer, or the error of that question alone.
        """
        from gqa_reasoner.model.inference import answer_prepared, prepare

        found: list[Answer | InputError] = []
        ready: list[tuple[int, _Reasons]] = []
        for scene, question, mode in zip(scenes, questions, expansions, strict=True):
            try:
                ready.append((len(found), self._reasons(scene, _clean(question), mode, None)))
                found.append(InputError("not answered"))
            except InputError as error:
                found.append(error)
        prepared = [
            prepare(
                self.model.vocabulary,
                item.scene,
                item.question,
                item.parse,
                item.execution,
                item.context,
            )
            for _, item in ready
        ]
        results = answer_prepared(self.model, prepared)
        for (place, item), result in zip(ready, results, strict=True):
            found[place] = _assemble(item, result)
        return found

    def use_coclick(self, log: CoClickLog) -> None:
        """Take this click log from now on."""
        self.__dict__["coclick"] = log
        self._mode_tools.clear()
        self.__dict__.pop("_tools", None)

    def _reasons(
        self, scene: Scene, text: str, expansion: str | None, program: Program | None
    ) -> _Reasons:
        tools = self._tools
        if expansion is not None and expansion != tools.expansion:
            if expansion not in self._mode_tools:
                self._mode_tools[expansion] = replace(
                    tools, expansion=_check_mode(expansion), _expander=None
                )
            tools = self._mode_tools[expansion]
        parse = self.parser.parse(text) if program is None else _given(program)
        context = tools.expand(scene, text)
        reasons = _Reasons(scene, text, parse, context)
        if parse.programs:
            try:
                reasons.execution = tools.execute(parse.programs[0].program, scene, context)
            except InputError as error:
                if program is not None:
                    raise
                reasons.notes.append(f"the program could not be run: {error}")
        return reasons


@dataclass
class _Reasons:
    """What the transformer is given beside the scene."""

    scene: Scene
    question: str
    parse: ParseResult
    context: Context | None
    execution: Execution | None = None
    notes: list[str] = field(default_factory=list)


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


def _assemble(reasons: _Reasons, result: AnswerDistribution) -> Answer:
    """The answer with its reasons from the parts' results."""
    from gqa_reasoner.program.trace import build_trace

    parse, execution, notes = reasons.parse, reasons.execution, reasons.notes
    program = parse.programs[0].program if parse.programs else None
    trace = []
    if program is not None and execution is not None:
        trace = build_trace(program, execution, reasons.scene)
        notes = [*execution.notes, *notes]
    return Answer(
        text=result.answer,
        score=result.score,
        candidates=best_candidates(result.distribution),
        program=program,
        trace=trace,
        context=reasons.context,
        notes=[*notes, *result.notes],
        method=result.method,
        executor_weight=result.executor_weight,
        scene=reasons.scene,
    )
