"""Learning the lexicon and the weights from (question, program) pairs.

Two things alternate. Alignment: with the record's own names, attributes and predicates offered
everywhere, the best reading that gives the record's program says which words stood for what; these
counts are the lexicon. Weights: the conditional log-likelihood of the record's program among all
readings (latent: any reading that gives it counts) is raised by AdaGrad, while the record's own
counts are left out of the lexicon.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import exp, sqrt
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.program.parsing.builders import Draft
from gqa_reasoner.program.parsing.chart import Features, Vocabulary, _number
from gqa_reasoner.program.parsing.clauses import Reading, read_question
from gqa_reasoner.program.parsing.lexicon import Entry, Lexicon
from gqa_reasoner.program.parsing.morphology import gerund, singular
from gqa_reasoner.program.parsing.phrases import PhraseChart
from gqa_reasoner.program.parsing.tokens import tokenize

__all__ = ["Example", "Learner", "canonical_draft", "loose_draft"]

_PRIOR = {
    "span:unknown2": -1.0,
    "span:unknown3": -2.0,
    "span:unknown4": -4.0,
    "attribute:rewritten": -2.0,
    "attribute:unseen1n": -1.0,
    "attribute:unseen2n": -2.5,
    "relation:rewritten": -2.0,
    "attribute:novel": -3.0,
    "relation:novel": -2.0,
    "agreement": 0.3,
    "relation:finite?:0": -2.0,
    "relation:finite?+prep:0": -2.0,
    "relation:base?:0": -2.0,
    "relation:base?+prep:0": -2.0,
    "name:unseen:canonical:0": -1.0,
    "name:unseen:canonical:1": -0.5,
    "name:unseen:other:0": -5.0,
    "name:unseen:other:1": -4.0,
    "name:seen:other": -1.0,
    "name:share1": 0.5,
    "name:share2": 0.7,
    "name:share3": 0.9,
    "number:share:x": 0.5,
    "number:share:d": 0.5,
    "number:s>p:d": -3.0,
    "number:s>p:x": -3.0,
    "number:s>p:o": -3.0,
    "number:s>p:c": -3.0,
    "number:p>s:d": -1.0,
    "number:p>p:x": -1.0,
    "number:p>p:o": -1.0,
    "number:p>p:c": -1.0,
    "attribute:share1": 0.5,
    "attribute:share2": 0.7,
    "attribute:share3": 0.9,
    "relation:share1": 0.5,
    "relation:share2": 0.7,
    "relation:share3": 0.9,
}


def loose_draft(draft: Iterable[tuple[str, str, tuple[int, ...]]]) -> Draft:
    """The canonical draft with the two halves of `and` / `or` / two-object programs in
    alphabetical order: which comes first cannot be told from the question."""
    steps = list(canonical_draft(draft))
    if len(steps[-1][2]) != 2:
        return tuple(steps)
    starts = [place for place, step in enumerate(steps) if step[0] == "select"]
    if len(starts) != 2:
        return tuple(steps)
    middle, end = starts[1], len(steps) - 1
    halves = []
    for first, last in ((0, middle), (middle, end)):
        halves.append(
            [(step[0], step[1], tuple(x - first for x in step[2])) for step in steps[first:last]]
        )
    halves.sort()
    return (*map(tuple, halves[0]), ("", "", ()), *map(tuple, halves[1]), (*steps[-1][:2], ()))


def canonical_draft(draft: Iterable[tuple[str, str, tuple[int, ...]]]) -> Draft:
    """The draft with the two alternatives of choose steps in alphabetical order."""
    steps = []
    for operation, argument, dependencies in draft:
        if operation == "choose rel":
            name, predicates, direction = argument.split(",")
            argument = f"{name},{'|'.join(sorted(predicates.split('|')))},{direction}"
        elif operation.startswith("choose") and "|" in argument:
            argument = "|".join(sorted(argument.split("|")))
        steps.append((operation, argument, tuple(dependencies)))
    return tuple(steps)


@dataclass
class Example:
    """One training pair.

    Args:
        question: the text.
        draft: (operation, argument without ids, dependencies) of each step.
        weight: how much the pair counts in the likelihood.
    """

    question: str
    draft: Draft
    weight: float = 1.0
    tokens: list[str] = field(init=False)
    target: Draft = field(init=False)
    loose: Draft = field(init=False)
    entries: tuple[Entry, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self.tokens = tokenize(self.question)
        self.target = canonical_draft(self.draft)
        self.loose = loose_draft(self.draft)

    def hints(self) -> dict[str, list[str]]:
        """The record's own names, attributes ("type|value") and predicates."""
        names: dict[str, None] = {}
        attributes: dict[str, None] = {}
        predicates: dict[str, None] = {}
        for operation, argument, _ in self.draft:
            family, _, kind = operation.partition(" ")
            if family == "select":
                names[argument] = None
            elif operation in ("relate", "verify rel", "choose rel"):
                name, predicate, _ = argument.split(",")
                names[name] = None
                predicates.update(dict.fromkeys(predicate.split("|")))
            elif operation == "choose name":
                names.update(dict.fromkeys(argument.split("|")))
            elif family in ("filter", "verify", "choose") and argument:
                value = re.sub(r"^not\((.*)\)$", r"\1", argument)
                attributes.update(dict.fromkeys(f"{kind}|{part}" for part in value.split("|")))
        return {
            "name": list(names),
            "attribute": list(attributes),
            "relation": list(predicates),
        }


class Learner:
    """Learns from examples; deterministic for a seed.

    Args:
        vocabulary: what is known beside the examples.
        rate: AdaGrad's step size.
        decay: pull of every weight towards its prior, per update of the weight.
    """

    def __init__(self, vocabulary: Vocabulary, rate: float = 0.3, decay: float = 1e-3) -> None:
        self.vocabulary = vocabulary
        self.lexicon = Lexicon()
        self.weights: dict[str, float] = dict(_PRIOR)
        self.rate, self.decay = rate, decay
        self._squares: dict[str, float] = {}

    def readings(self, example: Example, hints: bool = False) -> list[Reading]:
        """All readings of an example's question under the present weights."""
        offered = example.hints() if hints else None
        chart = PhraseChart(example.tokens, self.lexicon, self.weights, self.vocabulary, offered)
        return read_question(chart)

    def align(self, examples: Sequence[Example]) -> int:
        """Fill the lexicon afresh from the best reading of each example's own program.

        Returns:
            how many examples have a reading that gives their program.
        """
        found: list[tuple[Example, tuple[Entry, ...]]] = []
        for example in examples:
            for reading in self.readings(example, hints=True):
                if loose_draft(reading.draft) == example.loose:
                    found.append((example, tuple(_entries(reading.features))))
                    break
            else:
                found.append((example, ()))
        self.lexicon = Lexicon()
        for example, entries in found:
            example.entries = entries
            self.lexicon.add(entries)
        return sum(bool(entries) for _, entries in found)

    def epoch(self, examples: Sequence[Example], generator: np.random.Generator) -> float:
        """One pass over the examples in random order; mean negative log-likelihood of those whose
        program is among the readings."""
        total, count = 0.0, 0
        for place in generator.permutation(len(examples)):
            example = examples[int(place)]
            with self.lexicon.without(example.entries):
                loss = self._update(example)
            if loss is not None:
                total, count = total + loss, count + 1
        return total / max(count, 1)

    def averaged(self) -> dict[str, float]:
        """The weights to parse with: those that are not negligible, without alignment marks."""
        return {
            name: value
            for name, value in self.weights.items()
            if abs(value) >= 1e-4 and not name.startswith("@")
        }

    def save_state(self, path: Path, examples: Sequence[Example], epoch: int) -> None:
        """Write everything that `load_state` needs to go on after `epoch` epochs."""
        state = {
            "epoch": epoch,
            "weights": self.weights,
            "squares": self._squares,
            "entries": [example.entries for example in examples],
        }
        side = path.with_name(path.name + ".part")
        side.write_text(json.dumps(state))
        side.replace(path)

    def load_state(self, path: Path, examples: Sequence[Example]) -> int:
        """Read what `save_state` wrote; returns how many epochs were done.

        Raises:
            InputError: the state does not belong to these examples, or cannot be read.
        """
        try:
            state = json.loads(path.read_text())
            entries = state["entries"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: cannot read the training state: {error}") from error
        if len(entries) != len(examples):
            raise InputError(
                f"{path}: the state is of {len(entries)} pairs, the questions hold {len(examples)}"
            )
        self.weights, self._squares = state["weights"], state["squares"]
        self.lexicon = Lexicon()
        for example, found in zip(examples, entries, strict=True):
            example.entries = tuple((table, key, value) for table, key, value in found)
            self.lexicon.add(example.entries)
        return int(state["epoch"])

    def _update(self, example: Example) -> float | None:
        readings = self.readings(example)[:60]
        right = [loose_draft(reading.draft) == example.loose for reading in readings]
        if not any(right) or all(right):
            return 0.0 if right and all(right) else None
        top = readings[0].score
        masses = [exp(reading.score - top) for reading in readings]
        whole = sum(masses)
        share = sum(mass for mass, good in zip(masses, right, strict=True) if good)
        gradient: dict[str, float] = {}
        for reading, mass, good in zip(readings, masses, right, strict=True):
            pull = (mass / share if good else 0.0) - mass / whole
            if abs(pull) < 1e-4:
                continue
            for name, value in reading.features:
                gradient[name] = gradient.get(name, 0.0) + pull * value
        self._step(gradient, example.weight)
        return -float(np.log(max(share / whole, 1e-12)))

    def _step(self, gradient: dict[str, float], weight: float) -> None:
        for name, slope in gradient.items():
            if slope == 0.0:
                continue
            present = self.weights.get(name, 0.0)
            slope = slope * weight - self.decay * (present - _PRIOR.get(name, 0.0))
            square = self._squares.get(name, 0.0) + slope * slope
            self._squares[name] = square
            self.weights[name] = present + self.rate * slope / sqrt(square + 1.0)


def _entries(features: Features) -> Iterator[Entry]:
    """Lexicon entries of a reading's alignments."""
    for name, _ in features:
        if not name.startswith("@"):
            continue
        table, *parts = name[1:].split("\t")
        if table == "name":
            surface, value, group = parts
            own, stem = singular(surface), singular(value)
            yield ("name", own, stem)
            yield ("known", stem, "1")
            yield ("squeezed", stem.replace(" ", ""), stem)
            yield ("number", f"{own}|{_number(surface)}|{group}", _number(value))
            yield ("number", own, _number(value))
        elif table == "relation":
            surface, value = parts
            yield ("relation", surface, value)
            yield ("predicate", value, "1")
            yield ("verb", gerund(surface.split()[0]), "1")
        else:
            yield (table, parts[0], parts[1])
