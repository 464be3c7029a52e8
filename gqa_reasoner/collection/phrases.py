"""Phrases into tables: and, or, but, no, without, numbers, and commonsense inside of them.

A phrase is first read whole by the program parser. Where it is not covered, or holds words that
the program language lacks ("without", "at least two"), it is split at its connectives; each part
is a phrase again. `or` binds weakest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gqa_reasoner.collection.commonsense import Demand, read_demand
from gqa_reasoner.collection.compile import Compiled, Compiler, NotCoveredError, Truth
from gqa_reasoner.collection.frames import existence

if TYPE_CHECKING:
    from gqa_reasoner.program.parser import ProgramParser
    from gqa_reasoner.program.steps import Program

__all__ = ["PhraseCompiler", "read_quantity"]

_COUNTING = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: number for number, word in enumerate(_COUNTING.split(" "))}
_N = rf"(?P<n>\d{{1,3}}|{'|'.join(_NUMBERS)})"
_QUANTITIES: tuple[tuple[str, str], ...] = (
    (rf"(?:at least|no fewer than|no less than) {_N}", "n,"),
    (rf"{_N} or more", "n,"),
    (rf"(?:more than|over) {_N}", "n+1,"),
    (rf"(?:at most|no more than|up to) {_N}", "0,n"),
    (rf"{_N} or (?:fewer|less)", "0,n"),
    (rf"(?:fewer than|less than|under) {_N}", "0,n-1"),
    (rf"(?:exactly|only|just|precisely) {_N}", "n,n"),
    (r"(?:exactly |only |just )?a single", "1,1"),
    (r"(?:a couple of|a pair of)", "2,2"),
    (r"(?:several)", "3,"),
    (r"(?:many|lots of|a lot of|plenty of)", "5,"),
    (r"(?:multiple|more than a|a few|a number of)", "2,"),
    (_N, "n,n"),
)
_NO = r"(?:no|not any|without any|without an?|without|with no|not an?|not|zero|lacks?|lacking)"
_NEGATION = re.compile(rf"{_NO}\s+(?P<rest>.+)", re.I)
_START = re.compile(r"^(?:also|both|either|there (?:is|are)|with|show(?:s|ing)?|ha(?:s|ve)|"
                    r"contain(?:s|ing)?|of)\s+", re.I)  # fmt: skip
_OR = re.compile(r",?\s+or\s+", re.I)
_AND = re.compile(
    r",?\s+(?:and also|but also|and|but|plus|together with|along with|as well as)\s+|,\s+|"
    r"\s+(?=without\b)|\s+(?=with no\b)",
    re.I,
)
_WORDS = "at least|more than|fewer than|less than|at most|exactly|only|several|many|" + "|".join(
    word for word in _NUMBERS if word != "one"
)
_MUST_SPLIT = re.compile(
    rf"\bwithout\b|\bbut\b|\bneither\b|\bwith no\b|(?:\band|\bor|,)\s+(?:no|not|{_WORDS}|\d+)\b",
    re.I,
)
_THING = re.compile(
    r"\b(?:something|anything|things|items|objects|an? (?:thing|object|item))\b", re.I
)
_LONGEST_DEMAND = 7


def read_quantity(text: str) -> tuple[int, int | None, str] | None:
    """ "at least two dogs" as (2, None, "dogs"); None where it begins with no number."""
    for pattern, meaning in _QUANTITIES:
        found = re.match(
            rf"(?:the )?{pattern}\s+(?:of (?:the )?|different )?(?P<rest>.+)", text, re.I
        )
        if found is None:
            continue
        word = (found.groupdict().get("n") or "0").lower()
        number = int(word) if word.isdigit() else _NUMBERS[word]
        if pattern == _N and number == 1:
            return None
        low, high = meaning.split(",")
        value = {"n": number, "n+1": number + 1, "n-1": number - 1}
        least = value.get(low, int(low) if low.isdigit() else 0)
        most = value.get(high, int(high) if high.isdigit() else None)
        return least, most, found["rest"]
    return None


class PhraseCompiler:
    """Compiles phrases into tables of one compiler.

    Args:
        compiler: takes the tables.
        parser: question to program.
    """

    def __init__(self, compiler: Compiler, parser: ProgramParser) -> None:
        self.compiler, self.parser = compiler, parser
        self.programs: list[tuple[str, Program]] = []
        """The questions that were asked of every picture and their programs, to be shown."""

    def truth(self, phrase: str, depth: int = 0) -> Truth:
        """The pictures in which what `phrase` describes is there.

        Raises:
            NotCoveredError: no reading of it is covered; the message says why.
        """
        text = " ".join(phrase.split()).strip(" ,.?!")
        if not text or depth > 6:
            raise NotCoveredError("an empty phrase")
        attempts: list[Callable[[], Truth]] = [lambda: self._alone(text, depth)]
        attempts += [self._joined(parts, kind, depth) for parts, kind in _splits(text)]
        if _MUST_SPLIT.search(text) and len(attempts) > 1:
            attempts = [*attempts[1:], attempts[0]]
        first: NotCoveredError | None = None
        for attempt in attempts:
            mark = self._mark()
            try:
                return attempt()
            except NotCoveredError as error:
                self._back(mark)
                first = first or error
        raise first or NotCoveredError(f"the phrase {text!r}")

    def question(self, question: str) -> Compiled:
        """A whole question ("Is the cat black?").

        Raises:
            NotCoveredError: it cannot be parsed, or a step is not covered.
        """
        return self.compiler.program(self._parse(question))

    def objects(self, phrase: str) -> str:
        """The table of the things that `phrase` describes.

        Raises:
            NotCoveredError: it is not covered.
        """
        first: NotCoveredError | None = None
        for text, demand in _demands(phrase):
            mark = self._mark()
            try:
                program = self._parse(existence(text))
                made = self.compiler.program(program, demand)
                if made.objects is None or any(
                    step.operation in ("and", "or") for step in program.steps
                ):
                    raise NotCoveredError(f"the things {text!r}")
                return made.objects
            except NotCoveredError as error:
                self._back(mark)
                first = first or error
        raise first or NotCoveredError(f"the things {phrase!r}")

    def _joined(self, parts: list[str], kind: str, depth: int) -> Callable[[], Truth]:
        def build() -> Truth:
            truths = [self.truth(part, depth + 1) for part in parts]
            if kind == "nor":
                truths = [self.compiler.negate(truth) for truth in truths]
            return self.compiler.combine(truths, kind != "or")

        return build

    def _alone(self, text: str, depth: int) -> Truth:
        """One phrase without connectives: negated, counted or simply there."""
        text = _START.sub("", text)
        negation = _NEGATION.fullmatch(text)
        if negation is not None:
            shown = len(self.compiler.evidence)
            inner = self.truth(negation["rest"], depth + 1)
            del self.compiler.evidence[shown:]
            return self.compiler.negate(inner)
        quantity = read_quantity(text)
        if quantity is not None:
            least, most, rest = quantity
            table = self.objects(rest)
            self.compiler.evidence.append(table)
            self.compiler.note(_said(least, most, rest))
            return self.compiler.count(table, least, most)
        first: NotCoveredError | None = None
        for plain, demand in _demands(text):
            mark = self._mark()
            try:
                made = self.compiler.program(self._parse(existence(plain)), demand)
                if made.truth is None:
                    raise NotCoveredError("a question that is not about which pictures")
                return made.truth
            except NotCoveredError as error:
                self._back(mark)
                first = first or error
        raise first or NotCoveredError(f"the phrase {text!r}")

    def _parse(self, question: str) -> Program:
        parse = self.parser.parse(question)
        if not parse.programs:
            reason = getattr(parse.failure, "reason", "no program")
            raise NotCoveredError(f"{question!r}, which could not be parsed ({reason})")
        program = parse.programs[0].program
        self.programs.append((question, program))
        return program

    def _mark(self) -> tuple[int, ...]:
        c = self.compiler
        return (
            len(c.tables), len(c.parameters), len(c.notes), len(c.evidence), len(self.programs)
        )  # fmt: skip

    def _back(self, mark: tuple[int, ...]) -> None:
        """Forget what an attempt that failed has left."""
        c = self.compiler
        lists: tuple[list[Any], ...] = (
            c.tables, c.parameters, c.notes, c.evidence, self.programs
        )  # fmt: skip
        for kept, items in zip(mark, lists, strict=True):
            del items[kept:]


def _splits(text: str) -> Iterator[tuple[list[str], str]]:
    """Ways to cut a phrase in two, weakest connective first."""
    neither = re.fullmatch(r"neither (?P<one>.+?) nor (?P<two>.+)", text, re.I)
    if neither is not None:
        yield [neither["one"], neither["two"]], "nor"
        return
    for pattern, kind in ((_OR, "or"), (_AND, "and")):
        for found in pattern.finditer(text):
            one, other = text[: found.start()], text[found.end() :]
            if kind == "and" and re.match(r"not\s", other, re.I) is None:
                other = _START.sub("", other) if not other.lower().startswith("with no") else other
            if one.strip() and other.strip():
                yield [one, other], kind


def _demands(text: str) -> Iterator[tuple[str, Demand | None]]:
    """The phrase with a commonsense part replaced by "object", longest first, and as it is.

    A single adjective ("something red") goes to the parser first, which knows what can be seen.
    """
    weak = []
    found = _THING.search(text)
    if found is not None:
        words = text[found.start() :].split()
        for size in range(min(len(words), _LONGEST_DEMAND), 1, -1):
            demand = read_demand(" ".join(words[:size]))
            if demand is not None:
                plain = f"{text[: found.start()]}an object {' '.join(words[size:])}".strip()
                if demand.weak:
                    weak.append((plain, demand))
                else:
                    yield plain, demand
    yield text, None
    yield from weak


def _said(least: int, most: int | None, rest: str) -> str:
    if most is None:
        return f"read as at least {least} {rest}"
    return f"read as exactly {least} {rest}" if least == most else f"read as at most {most} {rest}"
