"""The question engine: from scene graphs to GQA question records and choices.

Two passes over the corpus: the first counts names, attributes and relations (decoys, plausible
answers) and tries questions on a sample (answer balance); the second writes each scene's
questions. A scene's questions depend on the seed, on the scene and on those counts, not on its
place in the corpus. Form after Hudson & Manning, "GQA", CVPR 2019, sections 3.2 to 3.4.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from gqa_reasoner.data.questions import Question
from gqa_reasoner.questions.balance import Balance
from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.checking import ProgramCheck
from gqa_reasoner.questions.choices import ChoiceTables
from gqa_reasoner.questions.draft import Draft
from gqa_reasoner.questions.english import sentence, unmark
from gqa_reasoner.questions.families import COUNTING, FAMILIES, Family
from gqa_reasoner.questions.knowledge_facts import KnowledgeFacts
from gqa_reasoner.questions.knowledge_questions import knowledge_families
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.links import link
from gqa_reasoner.questions.statistics import Statistics
from gqa_reasoner.questions.view import SceneView

if TYPE_CHECKING:
    from detectors.scene import Scene
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["Check", "Engine", "QuestionSet", "generate", "knowledge_parts"]

_SAMPLE_SCENES = 250
_SAMPLE_DRAFTS = 40
_ATTEMPTS = 14
"""Drafts tried per question wanted, at most."""
_SURPLUS = 1.5
"""Drafts gathered per question wanted, so that yes and no can be evened out."""

Check = Callable[["Scene", Draft], bool]
"""Whether executing the draft's program on the scene gives its answer."""


@dataclass
class QuestionSet:
    """Records and choices by question id."""

    questions: dict[str, Question] = field(default_factory=dict)
    choices: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    rejected: int = 0
    """Drafts whose executed program did not give their answer."""


class Engine:
    """Question families over a corpus whose statistics have been counted.

    Args:
        ontology: names, categories and attribute types.
        seed: the same seed, corpus and scene give the same questions.
        check: asked about every draft; drafts that fail it are dropped and counted.
        families: question families in use.
        balanced: keep drafts so that answers are balanced.
    """

    def __init__(
        self,
        ontology: Ontology,
        *,
        seed: int,
        check: Check | None = None,
        families: tuple[Family, ...] = FAMILIES,
        balanced: bool = True,
    ) -> None:
        self.lexicon = Lexicon(ontology)
        self.seed = seed
        self.check = check
        self.families = families
        self.balanced = balanced
        self.statistics = Statistics()
        self.balance = Balance()
        self.rejected = 0
        self._weights = list(accumulate(family.weight for family in families))
        self._choices: ChoiceTables | None = None

    def count(self, scenes: Iterable[Scene]) -> None:
        """First pass: statistics, and the answer balance of a sample of scenes."""
        rng = random.Random(f"sample:{self.seed}")
        sample: list[Scene] = []
        for number, scene in enumerate(scenes):
            self.statistics.add(SceneView(scene, self.lexicon))
            if len(sample) < _SAMPLE_SCENES:
                sample.append(scene)
            else:
                place = rng.randrange(number + 1)
                if place < _SAMPLE_SCENES:
                    sample[place] = scene
        self._choices = ChoiceTables(self.statistics)
        if self.balanced:
            drafts: list[Draft] = []
            for scene in sample:
                drafts.extend(self._gather(scene, _SAMPLE_DRAFTS, random.Random(self._key(scene))))
            self.balance = Balance(drafts)

    def _key(self, scene: Scene) -> str:
        return f"questions:{self.seed}:{scene.image_id}"

    def _gather(
        self, scene: Scene, wanted: int, rng: random.Random, balance: Balance | None = None
    ) -> list[Draft]:
        """Distinct drafts about one scene."""
        view = SceneView(scene, self.lexicon)
        if not view.ids:
            return []
        bench = Bench(view, self.statistics, rng)
        drafts: list[Draft] = []
        seen: set[str] = set()
        for _ in range(wanted * _ATTEMPTS):
            family = rng.choices(self.families, cum_weights=self._weights)[0]
            draft = family.make(bench)
            if draft is None or draft.question in seen:
                continue
            seen.add(draft.question)
            if balance is not None and not balance.keep(draft, rng):
                continue
            if self.check is not None and not self.check(scene, draft):
                self.rejected += 1
                continue
            draft.extra.setdefault("family", family.name)
            drafts.append(draft)
            if len(drafts) == wanted:
                break
        return drafts

    def drafts(self, scene: Scene, per_scene: int) -> list[Draft]:
        """Second pass: the drafts of one scene."""
        rng = random.Random(self._key(scene))
        if not self.balanced:
            return self._gather(scene, per_scene, rng)
        found = self._gather(scene, int(per_scene * _SURPLUS) + 1, rng, self.balance)
        return _even(found, per_scene)

    def records(
        self, scene: Scene, per_scene: int
    ) -> Iterator[tuple[Question, dict[str, list[str]]]]:
        """The records of one scene with their choices.

        Raises:
            RuntimeError: `count` has not been called.
        """
        if self._choices is None:
            raise RuntimeError("count the corpus first: Engine.count(scenes)")
        drafts = self.drafts(scene, per_scene)
        entailed, equivalent = link(drafts)
        ids = [question_id(scene.image_id, number) for number in range(len(drafts))]
        for number, draft in enumerate(drafts):
            question = to_question(draft, ids[number], scene.image_id, self.balanced)
            question.entailed = [ids[other] for other in entailed[number]]
            question.equivalent = [ids[other] for other in equivalent[number]]
            yield question, self._choices.choices(draft)


def _even(drafts: list[Draft], wanted: int) -> list[Draft]:
    """The first `wanted` drafts, leaving out surplus yes or no where the other is short."""
    totals = {"yes": 0, "no": 0}
    kept: list[Draft] = []
    spare: list[Draft] = []
    for draft in drafts:
        if len(kept) == wanted:
            break
        if draft.answer in totals:
            other = "no" if draft.answer == "yes" else "yes"
            if totals[draft.answer] > totals[other]:
                spare.append(draft)
                continue
            totals[draft.answer] += 1
        kept.append(draft)
    missing = wanted - len(kept)
    return kept + spare[: max(missing, 0)]


def question_id(image_id: str, number: int) -> str:
    """The image id and a running number of at least three digits."""
    return f"{image_id}{number:03d}" if number < 1000 else f"{image_id}_{number}"


def to_question(draft: Draft, identity: str, image_id: str, balanced: bool) -> Question:
    """The GQA record of a draft, without its links to others."""
    question, question_spans = unmark(draft.question)
    full, full_spans = unmark(sentence(draft.full_answer))
    semantic: list[dict[str, Any]] = [
        {"operation": operation, "dependencies": list(dependencies), "argument": argument}
        for operation, argument, dependencies in draft.steps
    ]
    extra = {key: value for key, value in draft.extra.items() if key != "family"}
    return Question(
        id=identity,
        question=question,
        image_id=image_id,
        answer=draft.answer,
        full_answer=full,
        semantic=semantic,
        semantic_str=semantic_string(draft),
        types={
            "structural": draft.structural,
            "semantic": draft.semantic,
            "detailed": draft.detailed,
        },
        groups={"global": draft.global_group, "local": draft.local_group},
        entailed=[],
        equivalent=[identity],
        annotations={
            "question": question_spans,
            "answer": {"0": draft.answer_id} if draft.answer_id is not None else {},
            "fullAnswer": full_spans,
        },
        is_balanced=balanced,
        extra=extra,
    )


def semantic_string(draft: Draft) -> str:
    """GQA's `semanticStr`: "select: bag (3)->query: color [0]"."""
    parts = []
    for operation, argument, dependencies in draft.steps:
        part = f"{operation}: {argument}"
        if dependencies:
            part += f" [{', '.join(map(str, dependencies))}]"
        parts.append(part)
    return "->".join(parts)


def knowledge_parts(
    ontology: Ontology, store: TripleStore | None, *, counting: bool = False
) -> tuple[ProgramCheck, tuple[Family, ...]]:
    """The check by execution and the families, with those on knowledge where there is a store."""
    base = (*FAMILIES, COUNTING) if counting else FAMILIES
    if store is None:
        return ProgramCheck(ontology), base
    facts = KnowledgeFacts(store, Lexicon(ontology))
    check = ProgramCheck(ontology, triples=lambda *triple: facts.holds(triple[0], triple[1:]))
    return check, (*base, *knowledge_families(facts))


def generate(
    scenes: Iterable[Scene],
    ontology: Ontology,
    *,
    seed: int,
    per_scene: int = 20,
    store: TripleStore | None = None,
    balanced: bool = True,
    checked: bool = True,
    counting: bool = False,
) -> QuestionSet:
    """Questions and choices for scene graphs.

    Args:
        scenes: read twice; an iterator is kept in memory, any other iterable is not.
        ontology: names, categories and attribute types.
        seed: the same seed gives the same questions.
        per_scene: questions wanted per scene; small scenes give fewer.
        store: triples, for the knowledge questions; none without it.
        balanced: balance answers.
        counting: also ask "how many", which GQA does not.
        checked: execute every program and drop questions that it does not answer as meant.
    """
    if iter(scenes) is scenes:
        scenes = list(scenes)
    check, families = knowledge_parts(ontology, store, counting=counting)
    engine = Engine(
        ontology,
        seed=seed,
        check=check if checked else None,
        families=families,
        balanced=balanced,
    )
    engine.count(scenes)
    result = QuestionSet()
    for scene in scenes:
        for question, choices in engine.records(scene, per_scene):
            result.questions[question.id] = question
            result.choices[question.id] = choices
    result.rejected = engine.rejected
    return result
