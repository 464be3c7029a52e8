"""Programs of many questions on their scene graphs: predictions in GQA's form, and what failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.program.evidence import Evidence
from gqa_reasoner.program.executor import Executor
from gqa_reasoner.program.steps import Program

if TYPE_CHECKING:
    from gqa_reasoner.data.questions import Question

__all__ = ["Outcome", "Summary", "execute_questions", "write_predictions"]

ProgramSource = Callable[["Question"], Program]
"""Gives a question's program; raises `InputError` where there is none."""

_SCENES_KEPT = 4096


@dataclass(frozen=True)
class Outcome:
    """What became of one question; `prediction` is None where it could not be executed."""

    question_id: str
    expected: str | None
    prediction: str | None
    problem: str | None = None
    """Why there is no prediction: `no scene graph`, or the fault of the program."""
    notes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Other answers that the record lists as right (`otherAnswers`)."""


@dataclass
class Summary:
    """Counts over outcomes."""

    answered: int = 0
    scored: int = 0
    correct: int = 0
    also_right: int = 0
    """Answers that are not the record's first but among its `otherAnswers`."""
    without_graph: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """Question id to the fault of its program."""
    wrong: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.problem == NO_GRAPH:
            self.without_graph += 1
        elif outcome.prediction is None:
            self.failures[outcome.question_id] = str(outcome.problem)
        else:
            self.answered += 1
            if outcome.expected is not None:
                self.scored += 1
                if outcome.prediction == outcome.expected:
                    self.correct += 1
                elif outcome.prediction in outcome.also:
                    self.also_right += 1
                else:
                    self.wrong.append(outcome)

    @property
    def accuracy(self) -> float | None:
        """Share of the answers that are the record's first, where the record has one."""
        return self.correct / self.scored if self.scored else None


NO_GRAPH = "no scene graph"


def gold_program(question: Question) -> Program:
    """The question's own program.

    Raises:
        InputError: it has none, or a malformed one.
    """
    if question.semantic is None:
        raise InputError("no program (field 'semantic' is absent)")
    return Program.from_semantic(question.semantic)


def parsed_programs(path: Path) -> ProgramSource:
    """Programs from a file that `gqa-reasoner parse` wrote.

    Raises:
        InputError: the file is not of that form.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(records, Mapping):
        raise InputError(f"{path}: expected an object of question ids, got a list")

    def find(question: Question) -> Program:
        record = records.get(question.id)
        if not isinstance(record, Mapping):
            raise InputError(f"{path} has no program of it")
        if "semantic" not in record:
            raise InputError(f"not parsed: {record.get('failure', 'no reason given')}")
        return Program.from_semantic(record["semantic"])

    return find


def execute_questions(
    questions: Iterable[Question],
    scenes: Mapping[str, Scene],
    executor: Executor,
    program_of: ProgramSource = gold_program,
) -> Iterator[Outcome]:
    """Execute every question whose scene is known; each scene is indexed once while it recurs."""
    indexed: dict[str, Evidence] = {}
    for question in questions:
        evidence = indexed.get(question.image_id)
        if evidence is None:
            scene = scenes.get(question.image_id)
            if scene is None:
                yield Outcome(question.id, question.answer, None, NO_GRAPH)
                continue
            if len(indexed) >= _SCENES_KEPT:
                indexed.clear()
            evidence = indexed[question.image_id] = executor.index(scene)
        try:
            result = executor.run(program_of(question), evidence)
        except InputError as error:
            yield Outcome(question.id, question.answer, None, str(error))
            continue
        also = tuple(map(str, question.extra.get("otherAnswers") or ()))
        notes = tuple(result.notes)
        yield Outcome(question.id, question.answer, result.answer, None, notes, also)


def write_predictions(path: Path, outcomes: Iterable[Outcome]) -> Summary:
    """Write `[{"questionId", "prediction"}]`, one a line, to a side file that replaces `path`."""
    summary = Summary()
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(path.name + ".part")
    with side.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for outcome in outcomes:
            summary.add(outcome)
            if outcome.prediction is None:
                continue
            record: dict[str, Any] = {
                "questionId": outcome.question_id,
                "prediction": outcome.prediction,
            }
            stream.write(",\n" if summary.answered > 1 else "\n")
            stream.write(json.dumps(record, ensure_ascii=False))
        stream.write("\n]\n")
    side.replace(path)
    return summary
