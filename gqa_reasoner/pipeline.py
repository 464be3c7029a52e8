"""`Reasoner`: the whole path from a picture and a question to an answer with its reasons.

    picture -> Scene -> (question -> Program) -> Context -> execution -> mixture -> Answer
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.answer import Answer, best_candidates

if TYPE_CHECKING:
    from PIL import Image

    from detectors.protocol import Detector
    from detectors.scene import Scene
    from gqa_reasoner.model.reasoner import ReasonerModel
    from gqa_reasoner.program.executor import Execution
    from gqa_reasoner.program.parser import ParseResult, ProgramParser
    from gqa_reasoner.program.steps import Program
    from knowledge.coclick import CoClickLog
    from knowledge.context import Context
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["EXPANSION_MODES", "Reasoner", "WEIGHTS"]

WEIGHTS = Path(__file__).parent / "weights"
"""The shipped default weights: detector, parser and reasoner, each with its model card."""
EXPANSION_MODES = ("none", "triples", "coclick", "both", "random", "shuffled")


@dataclass
class Reasoner:
    """Answers questions about pictures; every part is loaded on first use.

    Args:
        weights: folder with `detector/`, `parser/` and `reasoner/`.
        detector_spec: `default`, `onnx:PATH`, `oracle:FILE`, `photo` or `hf:NAME`.
        expansion: default source of context, one of `EXPANSION_MODES`.
        store: triples to expand from; None takes the shipped ones.
        ontology: categories and attribute types; None takes the shipped ones.
        coclick: click log for the `coclick` and `both` modes.
        seed: of the random and shuffled controls.
    """

    weights: Path = WEIGHTS
    detector_spec: str = "default"
    expansion: str = "triples"
    store_path: Path | None = None
    ontology_path: Path | None = None
    coclick: CoClickLog | None = None
    seed: int = 0
    _parsed: dict[str, ParseResult] = field(default_factory=dict, repr=False)

    @classmethod
    def from_pretrained(cls, weights: str | Path | None = None, **options: Any) -> Reasoner:
        """A reasoner with the shipped default weights, or those in a folder.

        Raises:
            InputError: the folder lacks a part, or an option is unknown.
        """
        folder = Path(weights) if weights is not None else WEIGHTS
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of weights")
        unknown = sorted(set(options) - {item for item in cls.__dataclass_fields__ if item[0] != "_"})
        if unknown:
            raise InputError(f"unknown options: {', '.join(unknown)}")
        reasoner = cls(weights=folder, **options)
        _check_mode(reasoner.expansion)
        return reasoner

    @cached_property
    def detector(self) -> Detector:
        """The detector that `detector_spec` names."""
        from detectors.factory import create_detector

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
        scene = self.detect(image, image_id=image_id)
        return self.answer_scene(scene, question, expansion=expansion)

    def detect(self, image: Image.Image | str | Path, *, image_id: str | None = None) -> Scene:
        """The scene of one picture."""
        ids = [image_id] if image_id is not None else None
        return self.detector.detect([image], ids)[0]

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
            InputError: the question is empty.
        """
        text = " ".join(question.split())
        if not text:
            raise InputError("question: empty")
        mode = _check_mode(expansion or self.expansion)
        parse = self._parse(text, program)
        context = self._expand(scene, text, mode)
        execution = self._execute(parse, scene, context)
        result = self.model.answer_scene(scene, text, parse, execution, context)
        return self._assemble(scene, parse, context, execution, result)
