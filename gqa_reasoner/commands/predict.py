"""`predict`: predictions for a questions file in the GQA form, from pictures or scene graphs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.data.questions import Question
    from gqa_reasoner.pipeline import Reasoner

PART = 2000
"""Questions between two writes; the most that a kill can lose."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from gqa_reasoner.commands.ask import add_reasoner_arguments

    parser.add_argument("--questions", type=Path, required=True, help="GQA file or folder of files")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="pictures, named by image id")
    source.add_argument("--scene-graphs", type=Path, metavar="FILE", help="answer on annotations")
    parser.add_argument("--output", type=Path, required=True, help="predictions to write")
    parser.add_argument(
        "--skip-missing", action="store_true", help="leave out questions without picture or graph"
    )
    add_reasoner_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict, resuming what an earlier run of the same command had written."""
    from gqa_reasoner.commands.ask import create_reasoner
    from gqa_reasoner.data.questions import iterate_questions

    reasoner = create_reasoner(arguments)
    scenes = _Scenes(reasoner, arguments.images, arguments.scene_graphs)
    journal = arguments.output.with_name(arguments.output.name + ".part.jsonl")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    done = _read_journal(journal, _plan(arguments))
    missing = 0
    with journal.open("a", encoding="utf-8") as stream:
        for part in _parts(iterate_questions(arguments.questions), done):
            known, absent = _split(part, scenes, arguments.skip_missing)
            missing += absent
            for line in _predict(reasoner, known, scenes):
                stream.write(line + "\n")
            stream.flush()
    count = _assemble(journal, arguments.output)
    journal.unlink()
    print(
        f"{count} predictions in {arguments.output}"
        + (f", {missing} questions without picture or scene graph left out" if missing else ""),
        file=sys.stderr,
    )
    return 1 if missing else 0


class _Scenes(Mapping[str, "Scene"]):
    """Scenes by image id, detected when first asked for; the last ones are kept."""

    def __init__(self, reasoner: Reasoner, images: Path | None, graphs: Path | None) -> None:
        from detectors.errors import InputError
        from detectors.extraction import PICTURE_SUFFIXES
        from gqa_reasoner.data.scene_graphs import read_scene_graphs

        self.reasoner = reasoner
        self.kept: dict[str, Scene] = {}
        self.files: dict[str, Path] = {}
        self.graphs = read_scene_graphs(graphs) if graphs is not None else None
        if images is not None:
            if not images.is_dir():
                raise InputError(f"{images}: no such folder of pictures")
            for item in sorted(images.iterdir()):
                if item.suffix.lower() in PICTURE_SUFFIXES:
                    self.files[item.stem] = item

    def __getitem__(self, image_id: str) -> Scene:
        if self.graphs is not None:
            return self.graphs[image_id]
        if image_id not in self.kept:
            path = self.files[image_id]
            if len(self.kept) >= 512:
                self.kept.pop(next(iter(self.kept)))
            self.kept[image_id] = self.reasoner.detect(path, image_id=image_id)
        return self.kept[image_id]

    def __contains__(self, image_id: object) -> bool:
        return image_id in (self.files if self.graphs is None else self.graphs)

    def __iter__(self) -> Iterator[str]:
        return iter(self.files if self.graphs is None else self.graphs)

    def __len__(self) -> int:
        return len(self.files if self.graphs is None else self.graphs)


def _plan(arguments: argparse.Namespace) -> dict[str, str]:
    """The options that decide the predictions, as the journal's first line records them."""
    names = ("questions", "images", "scene_graphs", "detector", "expansion", "weights", "triples",
             "ontology", "coclick", "seed")  # fmt: skip
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


def _split(part: list[Question], scenes: _Scenes, skip_missing: bool) -> tuple[list[Question], int]:
    from detectors.errors import InputError

    known = [question for question in part if question.image_id in scenes]
    if len(known) != len(part) and not skip_missing:
        first = next(question for question in part if question.image_id not in scenes)
        raise InputError(
            f"question {first.id}: no picture or scene graph for image {first.image_id!r} "
            "(--skip-missing leaves such questions out)"
        )
    known.sort(key=lambda question: question.image_id)  # each picture is detected once
    return known, len(part) - len(known)


def _predict(reasoner: Reasoner, questions: list[Question], scenes: _Scenes) -> Iterator[str]:
    from gqa_reasoner.model.inference import predict_questions

    for record in predict_questions(reasoner, questions, scenes):
        yield json.dumps(record, ensure_ascii=False)


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
