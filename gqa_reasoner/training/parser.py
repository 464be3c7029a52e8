"""`gqa-reasoner train --stage parser`: lexicon and weights from (question, program) pairs."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gqa_reasoner.program.parser import ProgramParser
from gqa_reasoner.program.parsing.builders import Draft
from gqa_reasoner.program.parsing.learning import Example, Learner
from gqa_reasoner.program.parsing.lexicon import Entry
from gqa_reasoner.program.parsing.morphology import singular
from gqa_reasoner.program.parsing.vocabulary import OntologyVocabulary
from gqa_reasoner.program.steps import Program, Step
from knowledge.ontology import Ontology

if TYPE_CHECKING:
    from gqa_reasoner.data.questions import Question

__all__ = [
    "add_arguments",
    "generated_examples",
    "name_evidence",
    "read_examples",
    "reworded",
    "run",
    "train",
]

PENALTY = 0.3
ROUNDS = 2
"""Rounds of alignment and fitting; later rounds align by the weights of the round before."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the parser stage."""
    add = parser.add_argument
    add("--questions", type=Path, nargs="+", required=True, metavar="Q", help="GQA question files")
    add(
        "--generated",
        type=Path,
        nargs="*",
        default=[],
        metavar="Q",
        help="question files of the question engine; they count less, see --generated-weight",
    )
    add("--generate", type=int, default=0, metavar="N", help="make N pairs by the question engine")
    add("--seed", type=int, default=7, help="of the pairs that --generate makes")
    add("--generated-weight", type=float, default=0.3, metavar="W")
    add(
        "--paraphrases",
        type=int,
        default=0,
        metavar="N",
        help="rewordings of every pair by rules (questions/paraphrase.py); they count as the"
        " generated pairs do",
    )
    add("--generated-limit", type=int, default=2000, metavar="N", help="pairs per file at most")
    add(
        "--names",
        type=Path,
        metavar="FILE",
        help="names that scene graphs use, one a line: which of the ontology's synonyms stay",
    )
    add("--output", type=Path, required=True, metavar="DIR", help="weights and training state")
    add("--rounds", type=int, default=ROUNDS, help="rounds of alignment and fitting")
    add("--penalty", type=float, default=PENALTY, help="pull of the weights to their prior")
    add("--ontology", type=Path, metavar="FILE", help="default: the shipped one")
    add("--resume", action="store_true", help="go on from OUTPUT's state, if there is one")
    add(
        "--folds",
        type=int,
        metavar="K",
        help="measure by K-fold cross-validation, split by picture, instead of writing weights",
    )


def read_examples(paths: Iterable[Path], weight: float = 1.0, limit: int | None = None) -> Any:
    """(records, examples) of all questions with programs in the files, in file order."""
    from gqa_reasoner.data.questions import iterate_questions

    records, examples = [], []
    for path in paths:
        taken = 0
        for record in iterate_questions(path):
            if not record.semantic or (limit is not None and taken >= limit):
                continue
            taken += 1
            program = Program.from_semantic(record.semantic).without_object_ids()
            draft = _draft(program)
            records.append(record)
            examples.append(Example(record.question, draft, weight, record.image_id))
    return records, examples


def _draft(program: Program) -> Draft:
    return tuple((step.operation, step.argument, step.dependencies) for step in program.steps)


def generated_examples(
    count: int, seed: int, vocabulary: OntologyVocabulary, weight: float = 1.0
) -> list[Example]:
    """Pairs of the question engine, knowledge questions among them.

    Pairs that take an adjective and a name for one name (`young man`) are left out, and those whose
    value is a word that GQA's questions put for another (`little` for small).
    """
    from gqa_reasoner.questions.synthetic import question_program_pairs
    from knowledge.store import TripleStore

    pairs = question_program_pairs(seed, count, vocabulary.ontology, store=TripleStore.default())
    found = [Example(question, _draft(program), weight) for question, program in pairs]
    return [
        example
        for example in found
        if not any(
            vocabulary.is_described(singular(name)) or vocabulary.is_colored(singular(name))
            for name in example.hints()["name"]
        )
        and "size|little" not in example.hints()["attribute"]
    ]


def reworded(
    examples: Sequence[Example], count: int, seed: int, weight: float = 1.0
) -> list[Example]:
    """At most `count` rewordings of every example; their alignments are not counted."""
    from gqa_reasoner.questions.paraphrase import drawn

    rng = random.Random(f"paraphrases:{seed}")
    return [
        Example(other, example.draft, weight, example.group or f"+{place}", counted=False)
        for place, example in enumerate(examples)
        for other in drawn(
            example.question, Program(tuple(Step(*step) for step in example.draft)), count, rng
        )
    ]


def name_evidence(names: Iterable[str], vocabulary: OntologyVocabulary) -> list[Entry]:
    """What a list of scene-graph names teaches about the ontology's own words.

    A synonym that graphs use as a name keeps standing for itself (`sofa`); one that they do not use
    stands for the form that they use (`kid` for child). `paper towel` is a name, `young man` is an
    adjective and a name. Of names of several words that the ontology lacks, only counts of first
    and last words are kept (how often a name begins with `soccer`).
    """
    known = {singular(name.strip().lower()) for name in names if name.strip()}
    entries: list[Entry] = []
    for own, canonical in vocabulary.synonym_pairs():
        target = own if own in known else canonical if canonical in known else None
        if target is not None and not vocabulary.is_described(own):
            entries += [("name", own, target)] * 3
    entries += [
        ("known", name, "1")
        for name in vocabulary.ontology.names()
        if name in known and not vocabulary.is_described(name)
    ]
    for name in sorted(known):
        if " " in name:
            entries.append(("compound", f"{name.split()[0]} *", "1"))
            entries.append(("compound", f"* {name.split()[-1]}", "1"))
    return entries


def train(
    examples: Sequence[Example],
    vocabulary: OntologyVocabulary,
    *,
    rounds: int = ROUNDS,
    penalty: float = PENALTY,
    background: Sequence[Entry] = (),
    state: Path | None = None,
    resume: bool = False,
) -> Learner:
    """Learn from examples; with `state`, leave a checkpoint after every half round.

    Deterministic: nothing is drawn at random.
    """
    learner = Learner(vocabulary, penalty)
    learner.background = list(background)
    learner.count(())
    done = learner.load_state(state, examples) if resume and state and state.exists() else 0
    for half in range(done, 2 * rounds):
        if half % 2 == 0:
            found = learner.align(examples)
            counted = sum(example.counted for example in examples)
            print(f"round {half // 2 + 1}: aligned {found} of {counted}", file=sys.stderr)
        else:
            reached, loss = learner.fit(examples)
            print(
                f"round {half // 2 + 1}: {reached} of {len(examples)} within reach, "
                f"loss {loss:.4f}",
                file=sys.stderr,
            )
        if state is not None:
            learner.save_state(state, examples, half + 1)
    return learner


def run(arguments: argparse.Namespace) -> int:
    """Train, or cross-validate with `--folds`."""
    ontology = Ontology.load(arguments.ontology) if arguments.ontology else Ontology.default()
    vocabulary = OntologyVocabulary(ontology)
    records, examples = read_examples(arguments.questions)
    _, generated = read_examples(
        arguments.generated, arguments.generated_weight, arguments.generated_limit
    )
    background = []
    if arguments.names:
        background = name_evidence(arguments.names.read_text().splitlines(), vocabulary)
    if arguments.generate:
        generated += generated_examples(
            arguments.generate, arguments.seed, vocabulary, arguments.generated_weight
        )
    generated += reworded(
        generated, arguments.paraphrases, arguments.seed, arguments.generated_weight
    )
    rewordings = reworded(
        examples, arguments.paraphrases, arguments.seed, arguments.generated_weight
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.folds:
        return _run_folds(
            arguments, records, examples, generated, rewordings, background, vocabulary
        )
    learner = train(
        [*examples, *generated, *rewordings],
        vocabulary,
        rounds=arguments.rounds,
        penalty=arguments.penalty,
        background=background,
        state=arguments.output / "state.json",
        resume=arguments.resume,
    )
    parser = ProgramParser(learner.lexicon, learner.learned(), vocabulary)
    parser.save(
        arguments.output,
        {
            "records": len(examples),
            "generated": len(generated),
            "paraphrases": len(rewordings),
            "rounds": arguments.rounds,
            "penalty": arguments.penalty,
        },
    )
    return 0


def _run_folds(
    arguments: argparse.Namespace,
    records: Sequence[Question],
    examples: Sequence[Example],
    generated: Sequence[Example],
    rewordings: Sequence[Example],
    background: Sequence[Entry],
    vocabulary: OntologyVocabulary,
) -> int:
    """Cross-validate; writes `parsed.json` (out-of-fold programs) and `cross_validation.json`."""
    from gqa_reasoner.training.parser_evaluation import cross_validate, format_table

    report = cross_validate(
        records,
        examples,
        generated,
        vocabulary,
        rewordings=rewordings,
        folds=arguments.folds,
        rounds=arguments.rounds,
        penalty=arguments.penalty,
        background=background,
    )
    programs = report.pop("programs")
    (arguments.output / "parsed.json").write_text(json.dumps(programs) + "\n")
    (arguments.output / "cross_validation.json").write_text(json.dumps(report, indent=1) + "\n")
    print(format_table(report))
    return 0
