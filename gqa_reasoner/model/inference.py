"""From scene, question, program and context to an `AnswerDistribution`, one or many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from detectors.scene import Scene
from gqa_reasoner.model.batch import collate
from gqa_reasoner.model.encode import (
    EncodedQuestion,
    EncodedScene,
    encode_question,
    encode_scene,
)
from gqa_reasoner.model.expanded_graph import ExecutionLike, Sources, build_graph
from gqa_reasoner.model.vocabulary import ReasonerVocabulary

if TYPE_CHECKING:
    from gqa_reasoner.data.questions import Question
    from gqa_reasoner.model.prepare_many import Preparer
    from gqa_reasoner.model.reasoner import ReasonerModel
    from gqa_reasoner.pipeline import Reasoner
    from gqa_reasoner.program.parser import ParseResult
    from gqa_reasoner.program.steps import Program
    from knowledge.context import Context

__all__ = [
    "AnswerDistribution",
    "Prepared",
    "answer_prepared",
    "predict_questions",
    "prepare",
    "prepare_graph",
]


@dataclass(frozen=True)
class AnswerDistribution:
    """The reasoner's verdict."""

    answer: str
    score: float
    """Probability of `answer`."""
    distribution: Mapping[str, float]
    """Answers with their probabilities, most probable first, small ones left out."""
    method: str
    """`mixture`, `program` (the executed program alone) or `neural`."""
    executor_weight: float | None
    """The executed program's share in a mixture."""
    neural: Mapping[str, float] = field(default_factory=dict)
    """The neural side alone, best answers."""
    executed: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Prepared(NamedTuple):
    """One question ready for the model."""

    scene: EncodedScene
    question: EncodedQuestion
    executed: Mapping[str, float]
    """Executed answers with their shares, most probable first; empty without an execution."""
    detector: str
    parse_failure: str | None


def prepare(
    vocabulary: ReasonerVocabulary,
    scene: Scene,
    question: str,
    parse: ParseResult | None,
    execution: ExecutionLike | None,
    context: Context | None,
    *,
    sources: Sources | None = None,
    encoded_scene: EncodedScene | None = None,
) -> Prepared:
    """Build and encode the expanded graph of a parsed and executed question."""
    best = parse.programs[0] if parse is not None and parse.programs else None
    failure = None
    if best is None:
        reason = getattr(parse.failure, "reason", None) if parse is not None else None
        failure = str(reason or "no program")
    return prepare_graph(
        vocabulary,
        scene,
        question,
        best.program if best else None,
        execution,
        context,
        parse_score=float(best.score) if best else 0.0,
        parse_failure=failure,
        sources=sources,
        encoded_scene=encoded_scene,
    )


def prepare_graph(
    vocabulary: ReasonerVocabulary,
    scene: Scene,
    question: str,
    program: Program | None,
    execution: ExecutionLike | None,
    context: Context | None,
    *,
    parse_score: float,
    parse_failure: str | None = None,
    sources: Sources | None = None,
    encoded_scene: EncodedScene | None = None,
) -> Prepared:
    """`prepare` with the program itself.

    Args:
        encoded_scene: the scene's part, when it was encoded for another question already.
    """
    graph = build_graph(
        scene,
        question,
        program=program,
        execution=execution,
        context=context,
        sources=sources,
        relations=encoded_scene is None,
    )
    if encoded_scene is None:
        encoded_scene = encode_scene(scene, vocabulary, graph.edges.get("relation"))
    encoded = encode_question(
        graph,
        vocabulary,
        parse_score=parse_score,
        step_truth=execution.step_truth if execution is not None else (),
        doubt=_doubt(execution),
    )
    executed: dict[str, float] = {}
    if execution is not None and program is not None:
        ordered = sorted(
            execution.answer_distribution.items(), key=lambda item: (-item[1], item[0])
        )
        executed = {name: float(share) for name, share in ordered if share > 0}
    return Prepared(encoded_scene, encoded, executed, scene.detector, parse_failure)


def _doubt(execution: ExecutionLike | None) -> float:
    """1 where the execution rests on nothing in the scene, 0.5 where it left notes, else 0."""
    if execution is None or execution.failed:
        return 1.0
    return 0.5 if execution.notes else 0.0


@torch.inference_mode()
def answer_prepared(model: ReasonerModel, items: Sequence[Prepared]) -> list[AnswerDistribution]:
    """Answer a batch.

    The executed program decides alone on scenes that the model was not trained for; the neural
    side decides alone where no program could be executed.
    """
    if not items:
        return []
    batch = collate(
        [item.question for item in items],
        [item.scene for item in items],
        feature_size=model.config.feature_size,
    )
    logits = model(batch).logits
    mixed = model.mixture(logits, batch.executed, batch.executed_share, batch.signals)
    top = mixed.neural.topk(min(5, mixed.neural.shape[1]))
    best = mixed.combined.topk(min(8, mixed.combined.shape[1]))
    gates, shares = mixed.gate.tolist(), mixed.executed.tolist()
    rows = zip(items, gates, shares, top.values.tolist(), top.indices.tolist(), strict=True)
    combined = list(zip(best.values.tolist(), best.indices.tolist(), strict=True))
    names = model.vocabulary.answers
    results = []
    for (item, gate, share, values, ids), (mixed_values, mixed_ids) in zip(
        rows, combined, strict=True
    ):
        neural = {names[i]: value for value, i in zip(values, ids, strict=True)}
        mixture = {names[i]: value for value, i in zip(mixed_values, mixed_ids, strict=True)}
        for name, number, part in zip(item.executed, item.question.executed, share, strict=False):
            if number < 0:
                mixture[name] = gate * part
        results.append(_decide(item, gate, mixture, neural))
    return results


def _decide(
    item: Prepared, gate: float, mixture: dict[str, float], neural: dict[str, float]
) -> AnswerDistribution:
    """Choose the side that may speak for this scene and question, and say why."""
    notes: list[str] = []
    if item.parse_failure is not None:
        notes.append(f"the question could not be parsed ({item.parse_failure}); no program was run")
    elif not item.executed:
        notes.append("the program gave no answer; the answer is the neural side's alone")
    weight: float | None = None
    if not item.executed:
        method, chosen = "neural", neural
        if not item.scene.familiar:
            notes.append(_unfamiliar(item, "the answer is a guess"))
    elif not item.scene.familiar:
        method, chosen = "program", dict(islice(item.executed.items(), 8))
        notes.append(_unfamiliar(item, "the executed program decides"))
    else:
        method, chosen, weight = "mixture", mixture, gate
    ordered = dict(sorted(chosen.items(), key=lambda pair: (-pair[1], pair[0])))
    answer, score = next(iter(ordered.items()))
    return AnswerDistribution(
        answer,
        score,
        ordered,
        method,
        weight,
        neural,
        dict(islice(item.executed.items(), 8)),
        tuple(notes),
    )


def _unfamiliar(item: Prepared, consequence: str) -> str:
    return (
        f"the reasoner was not trained with scenes like this one (detector {item.detector!r}); "
        f"{consequence}"
    )


def predict_questions(
    reasoner: Reasoner,
    questions: Iterable[Question],
    scenes: Mapping[str, Scene],
    *,
    batch_size: int = 64,
    expansion: str | None = None,
    preparer: Preparer | None = None,
) -> Iterator[dict[str, Any]]:
    """Predictions in the GQA form, streaming: `{"questionId", "prediction"}` in question order.

    Args:
        reasoner: its parser, ontology, store and model are used.
        scenes: by image id; a missing one raises.
        batch_size: questions per pass of the model.
        expansion: source of context; the reasoner's own by default.
        preparer: of the same reasoner and scenes, kept from one call to the next for what it
            remembers; a new one if None.

    Raises:
        InputError: a question's image has no scene.
    """
    from gqa_reasoner.model.prepare_many import Preparer, Tools

    if preparer is None:
        preparer = Preparer(reasoner.model.vocabulary, Tools.of(reasoner, expansion), scenes)
    stream = iter(questions)
    while chunk := list(islice(stream, batch_size)):
        answered = answer_prepared(reasoner.model, preparer.prepare(chunk))
        for question, result in zip(chunk, answered, strict=True):
            yield {"questionId": question.id, "prediction": result.answer}
