"""Learning the lexicon and the weights from (question, program) pairs.

Two things alternate. Alignment: with the record's own names, attributes and predicates offered
everywhere, the best reading that gives the record's program says which words stood for what; these
counts are the lexicon. Weights: the conditional log-likelihood of the record's program among all
readings (latent: any reading that gives it counts) is maximized, while the counts that the record's
picture gave are left out of the lexicon: a name met in no other picture is an unseen name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detectors.errors import InputError
from gqa_reasoner.program.parsing.builders import Draft
from gqa_reasoner.program.parsing.chart import Features, number_of
from gqa_reasoner.program.parsing.clauses import Reading, read_question
from gqa_reasoner.program.parsing.fitting import Candidates, fit
from gqa_reasoner.program.parsing.lexicon import Entry, Lexicon
from gqa_reasoner.program.parsing.morphology import gerund, singular
from gqa_reasoner.program.parsing.phrases import PhraseChart
from gqa_reasoner.program.parsing.tokens import tokenize
from gqa_reasoner.program.parsing.vocabulary import Vocabulary
from gqa_reasoner.program.parsing.words import PRONOUNS

__all__ = ["Example", "Learner", "canonical_draft", "loose_draft"]

_READINGS = 60
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
    "adjectives:and": -3.0,
    **{f"late:{kind}": -1.0 for kind in ("position", "that position", "material")},
    "ask:type:0": -1.0,
    "attribute:only:seen": 0.5,
    "attribute:only:new1": -0.5,
    "attribute:only:new2": -2.0,
    "attribute:only:new3": -4.0,
    "attribute:type:rank0": 0.5,
    "attribute:type:rank9": -0.5,
    "relation:finite?:0": -2.0,
    "relation:finite?+prep:0": -2.0,
    "relation:base?:0": -2.0,
    "relation:base?+prep:0": -2.0,
    "name:unseen:canonical:0": -1.0,
    "name:unseen:canonical:1": -0.5,
    "name:unseen:other:0": -5.0,
    "name:unseen:other:1": -4.0,
    "name:seen:other": -1.0,
    "place:1": 1.5,
    "place:0": -3.0,
    "relation:turned:00": -1.0,
    "relation:turned:01": -1.0,
    "relation:turned:10": 1.0,
    "relation:turned:11": -1.0,
    "thing:_": 1.0,
    "verified:drops:1": -1.0,
    "form:type-bare": -2.0,
    "form:name-or": -1.0,
    "form:exist-in": 2.0,
    "modifier:use": -1.0,
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
    if not steps or len(steps[-1][2]) != 2:
        return tuple(steps)
    starts = [place for place, step in enumerate(steps) if step[0] == "select"]
    if len(starts) != 2:
        return tuple(steps)
    middle, end = starts[1], len(steps) - 1
    halves: list[Draft] = []
    for first, last in ((0, middle), (middle, end)):
        halves.append(
            tuple(
                (step[0], step[1], tuple(x - first for x in step[2])) for step in steps[first:last]
            )
        )
    halves.sort()
    return (*halves[0], ("", "", ()), *halves[1], (*steps[-1][:2], ()))


def canonical_draft(draft: Iterable[tuple[str, str, tuple[int, ...]]]) -> Draft:
    """The draft with the two alternatives of choose steps in alphabetical order."""
    steps = []
    for operation, argument, dependencies in draft:
        if operation == "choose rel" and argument.count(",") == 2:
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
        group: the picture; what its other questions teach is left out as well.
        counted: whether its alignments enter the lexicon; rewordings of a counted pair do not.
    """

    question: str
    draft: Draft
    weight: float = 1.0
    group: str = ""
    counted: bool = True
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
    """Learns from examples in rounds of alignment and fitting; deterministic.

    Args:
        vocabulary: what is known beside the examples.
        penalty: pull of the weights towards their prior, see `fitting.fit`.
    """

    def __init__(self, vocabulary: Vocabulary, penalty: float = 0.3) -> None:
        self.vocabulary = vocabulary
        self.lexicon = Lexicon()
        self.weights: dict[str, float] = dict(_PRIOR)
        self.penalty = penalty
        self.background: list[Entry] = []
        """Lexicon entries that no example owns, such as `name_evidence`."""

    def readings(
        self, example: Example, offered: Mapping[str, Sequence[str]] | None = None
    ) -> list[Reading]:
        """All readings of an example's question under the present weights.

        Args:
            offered: values offered everywhere, see `Chart`; given, readings say what they align.
        """
        chart = PhraseChart(example.tokens, self.lexicon, self.weights, self.vocabulary, offered)
        return read_question(chart)

    def align(self, examples: Sequence[Example]) -> int:
        """Find each example's alignments in the best reading of its own program, and count them.

        Returns:
            how many of the counted examples have a reading that gives their program.
        """
        found: list[tuple[Entry, ...]] = []
        examples = [example for example in examples if example.counted]
        for example in examples:
            found.append(self._alignment(example, {}) or self._alignment(example, example.hints()))
        doubtful = self._doubtful(found)
        for example, entries in zip(examples, found, strict=True):
            example.entries = tuple(entry for entry in entries if entry not in doubtful)
        self.count(examples)
        return sum(bool(entries) for entries in found)

    def _doubtful(self, found: Sequence[tuple[Entry, ...]]) -> set[Entry]:
        """Alignments of a word with another name that are rare for the word.

        A question may speak of an object by a broader word than its name (`thing` for a hair clip);
        such an alignment says nothing about other questions.
        """
        counts = Counter(entry for entries in found for entry in entries if entry[0] == "name")
        totals: Counter[str] = Counter()
        for (_, own, _), count in counts.items():
            totals[own] += count
        return {
            ("name", own, stem)
            for (_, own, stem), count in counts.items()
            if stem not in (own, self.vocabulary.canonical(own))
            and stem.replace(" ", "") != own.replace(" ", "")
            and own not in PRONOUNS
            and (count < 2 or count < totals[own] / 2)
        }

    def _alignment(
        self, example: Example, offered: Mapping[str, Sequence[str]]
    ) -> tuple[Entry, ...]:
        for reading in self.readings(example, offered):
            if loose_draft(reading.draft) == example.loose:
                return tuple(_entries(reading.features))
        return ()

    def count(self, examples: Sequence[Example]) -> None:
        """Make the lexicon of the examples' alignments."""
        self.lexicon = Lexicon()
        self.lexicon.add(self.background)
        for example in examples:
            self.lexicon.add(example.entries)

    def fit(self, examples: Sequence[Example], iterations: int = 60) -> tuple[int, float]:
        """Fit the weights on the readings that the present weights propose.

        Returns:
            how many examples have their program among the readings, and the mean loss.
        """
        groups: dict[str, list[Example]] = {}
        for place, example in enumerate(examples):
            groups.setdefault(example.group or f"#{place}", []).append(example)
        candidates = []
        for group in groups.values():
            with self.lexicon.without(entry for one in group for entry in one.entries):
                candidates += [self._candidates(example) for example in group]
        self.weights, loss = fit(
            candidates, self.weights, _PRIOR, penalty=self.penalty, iterations=iterations
        )
        return sum(any(one.right) for one in candidates), loss

    def save_state(self, path: Path, examples: Sequence[Example], done: int) -> None:
        """Write everything that `load_state` needs to go on after `done` half rounds."""
        state = {
            "done": done,
            "weights": self.weights,
            "entries": [example.entries for example in examples],
        }
        side = path.with_name(path.name + ".part")
        side.write_text(json.dumps(state))
        side.replace(path)

    def load_state(self, path: Path, examples: Sequence[Example]) -> int:
        """Read what `save_state` wrote; returns how many half rounds were done.

        Raises:
            InputError: the state does not belong to these examples, or cannot be read.
        """
        try:
            state = json.loads(path.read_text())
            entries, weights, done = state["entries"], state["weights"], int(state["done"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: cannot read the training state: {error}") from error
        if len(entries) != len(examples):
            raise InputError(
                f"{path}: the state is of {len(entries)} pairs, the questions hold {len(examples)}"
            )
        for example, found in zip(examples, entries, strict=True):
            example.entries = tuple((table, key, value) for table, key, value in found)
        self.weights = weights
        self.count(examples)
        return done

    def _candidates(self, example: Example) -> Candidates:
        readings = self.readings(example)[:_READINGS]
        right = [loose_draft(reading.draft) == example.loose for reading in readings]
        return Candidates([reading.features for reading in readings], right, example.weight)

    def learned(self) -> dict[str, float]:
        """The weights to parse with: those that are not negligible."""
        return {name: value for name, value in self.weights.items() if abs(value) >= 1e-3}


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
            yield ("number", f"{own}|{number_of(surface)}|{group}", number_of(value))
            yield ("number", own, number_of(value))
        elif table == "relation":
            surface, value = parts
            yield ("relation", surface, value)
            yield ("predicate", value, "1")
            yield ("verb", gerund(surface.split()[0]), "1")
        else:
            yield (table, parts[0], parts[1])
