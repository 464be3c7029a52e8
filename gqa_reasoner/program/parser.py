"""`ProgramParser`: a question in English → ranked programs with probabilities.

A typed grammar of GQA's question language proposes readings; a log-linear model, learned from
records, ranks them; names that were never seen are copied from the question. Needs neither torch
nor, unless it is asked for as the tokenizer, spaCy. See `gqa_reasoner.program.parsing` for the
parts, `docs/results/parser.md` for figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.program.parsing.decoding import best_fragment, rank, readings_of, refusal
from gqa_reasoner.program.parsing.lexicon import Lexicon
from gqa_reasoner.program.parsing.tokens import Tokenizer, plain_tokens
from gqa_reasoner.program.parsing.vocabulary import OntologyVocabulary
from gqa_reasoner.program.steps import Program

__all__ = ["ParseFailure", "ParseResult", "ProgramParser", "ScoredProgram"]

_DEFAULT = Path(__file__).resolve().parents[1] / "weights" / "parser"
_FORMAT = 1
_KEPT_READINGS = 200_000
"""Readings of words that are kept from one question to the next."""


@dataclass(frozen=True)
class ScoredProgram:
    """A program and its probability among all readings of the question."""

    program: Program
    score: float


class ParseFailure(Exception):
    """The question is outside the language.

    Args:
        reason: one line for the reader.
        partial: the steps of the longest noun phrase that could be read, if any.
    """

    def __init__(self, reason: str, partial: Program | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.partial = partial


@dataclass(frozen=True)
class ParseResult:
    """Ranked programs, best first; or none and the failure that says why."""

    programs: Sequence[ScoredProgram]
    failure: ParseFailure | None = None

    @property
    def best(self) -> ScoredProgram:
        """The likeliest program.

        Raises:
            ParseFailure: there is none.
        """
        if self.failure is not None:
            raise self.failure
        return self.programs[0]


class ProgramParser:
    """Parses questions; made by `from_pretrained` or by training (`gqa_reasoner.training.parser`).

    Args:
        lexicon: what words were seen to stand for.
        weights: feature name → weight.
        vocabulary: the ontology's names and attribute types; the default ontology if None.
        tokenizer: makes tokens and lemmas of a question; the parser's own if None.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        weights: dict[str, float],
        vocabulary: OntologyVocabulary | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.tokenizer = tokenizer or plain_tokens
        self.lexicon = lexicon
        self.weights = weights
        self.vocabulary = vocabulary or OntologyVocabulary()
        self._memory: dict[Any, Any] = {}

    def parse(self, question: str, top_k: int = 5) -> ParseResult:
        """Programs of a question.

        Args:
            question: any text.
            top_k: how many programs at most.

        Returns:
            programs without object ids, valid by `steps.validate`; or a failure with its reason.
            Never raises on a string.
        """
        if not isinstance(question, str):
            raise InputError(f"question: expected text, got {type(question).__name__}")
        reason = refusal(question)
        if reason is not None:
            return ParseResult((), ParseFailure(reason))
        chart, readings = readings_of(
            question, self.lexicon, self.weights, self.vocabulary, self.tokenizer, self._memory
        )
        if len(self._memory) > _KEPT_READINGS:
            self._memory.clear()
        ranked = rank(readings, top_k)
        if not ranked:
            reason = "no question form of the language covers these words"
            return ParseResult((), ParseFailure(reason, best_fragment(chart)))
        return ParseResult(tuple(ScoredProgram(*pair) for pair in ranked))

    def parse_batch(self, questions: Iterable[str], top_k: int = 5) -> list[ParseResult]:
        """`parse` of each question; equal questions are parsed once."""
        known: dict[str, ParseResult] = {}
        results = []
        for question in questions:
            if question not in known:
                known[question] = self.parse(question, top_k)
            results.append(known[question])
        return results

    def save(self, path: Path, config: dict[str, object] | None = None) -> None:
        """Write `model.safetensors`, `features.json`, `lexicon.json` and `config.json`."""
        from safetensors.numpy import save_file

        path.mkdir(parents=True, exist_ok=True)
        names = sorted(name for name, value in self.weights.items() if abs(value) >= 1e-4)
        values = np.array([self.weights[name] for name in names], dtype=np.float32)
        save_file({"weights": values}, str(path / "model.safetensors"))
        (path / "features.json").write_text(json.dumps(names, separators=(",", ":")) + "\n")
        self.lexicon.save(path / "lexicon.json")
        facts = {"format": _FORMAT, "features": len(names), "lexicon": len(self.lexicon)}
        (path / "config.json").write_text(json.dumps({**facts, **(config or {})}, indent=1) + "\n")

    @classmethod
    def from_pretrained(
        cls,
        path: Path | str | None = None,
        vocabulary: OntologyVocabulary | None = None,
        *,
        tokenizer: str = "plain",
        pipeline: str | None = None,
    ) -> ProgramParser:
        """The shipped parser, or one that `save` or `train --stage parser` wrote.

        Args:
            path: folder of the weights; the shipped ones if None.
            vocabulary: see the class.
            tokenizer: "plain" (the parser's own, nothing to import) or "spacy".
            pipeline: for "spacy": an installed pipeline to tokenize and lemmatize with; a blank
                English one with look-up lemmas, where `spacy-lookups-data` is installed, if None.

        Raises:
            InputError: a file is missing, unreadable or of another format; or spaCy or the
                pipeline is not installed.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(path) if path is not None else _DEFAULT
        try:
            config = json.loads((folder / "config.json").read_text())
            names = json.loads((folder / "features.json").read_text())
            values = load_file(str(folder / "model.safetensors"))["weights"]
            lexicon = Lexicon.load(folder / "lexicon.json")
        except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
            raise InputError(f"{folder}: cannot read the parser's weights: {error}") from error
        if config.get("format") != _FORMAT or len(names) != len(values):
            raise InputError(f"{folder}: expected parser weights of format {_FORMAT}")
        weights = dict(zip(names, values.tolist(), strict=True))
        return cls(lexicon, weights, vocabulary, _tokenizer(tokenizer, pipeline))


def _tokenizer(name: str, pipeline: str | None) -> Tokenizer | None:
    """A tokenizer by name.

    Raises:
        InputError: the name is unknown, or a pipeline is named without spaCy.
    """
    if name == "spacy":
        from gqa_reasoner.program.parsing.spacy_tokens import SpacyTokenizer

        return SpacyTokenizer(pipeline)
    if name != "plain":
        raise InputError(f"tokenizer: expected plain or spacy, got {name!r}")
    if pipeline is not None:
        raise InputError("pipeline: it needs the tokenizer spacy")
    return None
