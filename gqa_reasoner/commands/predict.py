"""`predict`: predictions for a questions file in the GQA form, streamed and resumable."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gqa_reasoner.data.questions import Question

PART = 2000
"""Questions between two writes; the most that a kill can lose."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from gqa_reasoner.commands.ask import add_reasoner_arguments

    parser.add_argument("--questions", type=Path, required=True, help="GQA file or folder of files")
    parser.add_argument("--images", type=Path, metavar="DIR", help="pictures, named by image id")
    parser.add_argument("--scene-graphs", type=Path, metavar="FILE", help="answer on annotations")
    parser.add_argument(
        "--scenes",
        type=Path,
        metavar="DIR",
        help="stored scenes (.npz): alone, answer on them; with --images, what is detected is "
        "stored there and not detected again",
    )
    parser.add_argument(
        "--features", type=Path, metavar="FILE", help="region features (.h5, .tsv, …), for lxmert"
    )
    parser.add_argument("--output", type=Path, required=True, help="predictions to write")
    parser.add_argument(
        "--model",
        default="reasoner",
        metavar="SPEC",
        help="reasoner, or lxmert:DIR: a checkpoint with its answer head, on --features",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="the answers' names of lxmert:DIR"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes (default: 1)"
    )
    parser.add_argument(
        "--skip-missing", action="store_true", help="leave out questions without picture or graph"
    )
    add_reasoner_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict, resuming what an earlier run of the same command had written."""
    from gqa_reasoner.data.questions import iterate_questions

    journal = arguments.output.with_name(arguments.output.name + ".part.jsonl")
    with ExitStack() as stack:
        known, predict = _predictor(arguments, stack)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        done = _read_journal(journal, _plan(arguments))
        missing = 0
        stream = stack.enter_context(journal.open("a", encoding="utf-8"))
        for part in _parts(iterate_questions(arguments.questions), done):
            found, absent = _split(part, known, arguments.skip_missing)
            missing += absent
            for record in predict(found):
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            stream.flush()
    count = _assemble(journal, arguments.output)
    journal.unlink()
    print(
        f"{count} predictions in {arguments.output}"
        + (f", {missing} questions without picture or scene graph left out" if missing else ""),
        file=sys.stderr,
    )
    return 1 if missing else 0


_Predict = Callable[[list["Question"]], Iterable[dict[str, Any]]]


def _predictor(arguments: argparse.Namespace, stack: ExitStack) -> tuple[Container[str], _Predict]:
    """The images that can be answered about, and what answers."""
    from detectors.errors import InputError

    _check_sources(arguments)
    if arguments.model.startswith("lxmert:"):
        from detectors.features.opening import open_features
        from gqa_reasoner.model.lxmert_answers import LxmertAnswers

        features = open_features(arguments.features)
        stack.callback(features.close)
        folder = Path(arguments.model.removeprefix("lxmert:"))
        answers = LxmertAnswers(folder, features, arguments.labels)
        return set(features.image_ids), lambda questions: _batches(answers, questions)
    if arguments.model != "reasoner":
        raise InputError(f"--model: expected reasoner or lxmert:DIR, got {arguments.model!r}")
    from gqa_reasoner.commands.ask import create_reasoner
    from gqa_reasoner.model.predict_many import PredictionPool
    from gqa_reasoner.scenes import SceneSource

    reasoner = create_reasoner(arguments)
    scenes = SceneSource(
        reasoner, images=arguments.images, graphs=arguments.scene_graphs, stored=arguments.scenes
    )
    pool = stack.enter_context(PredictionPool(reasoner, scenes, arguments.workers))
    return scenes, pool.predict


def _check_sources(arguments: argparse.Namespace) -> None:
    from detectors.errors import InputError

    if arguments.workers < 1:
        raise InputError(f"--workers: expected at least 1, got {arguments.workers}")
    given = {
        name: getattr(arguments, name.replace("-", "_")) is not None
        for name in ("images", "scene-graphs", "scenes", "features")
    }
    if arguments.model.startswith("lxmert:"):
        if not given["features"] or given["images"] or given["scene-graphs"] or given["scenes"]:
            raise InputError("--model lxmert:DIR reads --features FILE, and nothing else")
    elif given["features"]:
        raise InputError("--features is for --model lxmert:DIR; the reasoner reads scenes")
    elif given["scene-graphs"] == (given["images"] or given["scenes"]):
        raise InputError("expected --images DIR, --scenes DIR, both of these, or --scene-graphs")


def _batches(answers: Any, questions: list[Question]) -> Iterator[dict[str, str]]:
    for start in range(0, len(questions), 64):
        part = questions[start : start + 64]
        for question, answer in zip(part, answers.answer(part), strict=True):
            yield {"questionId": question.id, "prediction": answer}


def _plan(arguments: argparse.Namespace) -> dict[str, str]:
    """The options that decide the predictions, as the journal's first line records them."""
    names = ("questions", "images", "scene_graphs", "scenes", "features", "model", "labels",
             "detector", "expansion", "weights", "triples", "ontology", "coclick",
             "seed")  # fmt: skip
    return {name: str(getattr(arguments, name)) for name in names}


def _read_journal(path: Path, plan: dict[str, str]) -> set[str]:
    """Ids already predicted by a run with the same options; a line cut by a kill is removed.

    Raises:
        InputError: the journal beside the output belongs to a run with other options.
    """
    from detectors.errors import InputError

    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    whole: list[dict[str, str]] = []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except json.JSONDecodeError:
            break
    if whole and whole[0] != plan:
        raise InputError(
            f"{path}: holds the work of a run with other options; finish that or remove the file"
        )
    whole = whole or [plan]
    path.write_text("".join(json.dumps(item) + "\n" for item in whole), encoding="utf-8")
    return {item["questionId"] for item in whole[1:]}


def _parts(questions: Iterable[Question], done: set[str]) -> Iterator[list[Question]]:
    from tqdm import tqdm

    left = iter(tqdm((q for q in questions if q.id not in done), unit="question", disable=None))
    while part := list(islice(left, PART)):
        yield part


def _split(
    part: list[Question], images: Container[str], skip_missing: bool
) -> tuple[list[Question], int]:
    from detectors.errors import InputError

    known = [question for question in part if question.image_id in images]
    if len(known) != len(part) and not skip_missing:
        first = next(question for question in part if question.image_id not in images)
        raise InputError(
            f"question {first.id}: no picture or scene graph for image {first.image_id!r} "
            "(--skip-missing leaves such questions out)"
        )
    known.sort(key=lambda question: question.image_id)  # each picture is detected once
    return known, len(part) - len(known)


def _assemble(journal: Path, output: Path) -> int:
    side = output.with_name(output.name + ".writing")
    count = 0
    with journal.open(encoding="utf-8") as lines, side.open("w", encoding="utf-8") as stream:
        next(lines)  # the options
        stream.write("[")
        for line in lines:
            stream.write((",\n" if count else "\n") + line.rstrip("\n"))
            count += 1
        stream.write("\n]\n")
    side.replace(output)
    return count
