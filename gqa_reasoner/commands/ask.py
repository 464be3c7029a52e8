"""`ask IMAGE QUESTION`: one answer with its reasons."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gqa_reasoner.commands.picture_option import picture_file

if TYPE_CHECKING:
    from gqa_reasoner.answer import Answer
    from gqa_reasoner.pipeline import Reasoner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "words",
        nargs="+",
        metavar="IMAGE QUESTION",
        help="a picture and one or more questions; with --scene-graph only the questions",
    )
    parser.add_argument(
        "--scene-graph", type=Path, metavar="FILE", help="answer on a GQA scene graph, no picture"
    )
    parser.add_argument("--image-id", metavar="ID", help="which scene of --scene-graph")
    parser.add_argument(
        "--picture", type=picture_file, metavar="OUT.png", help="draw the reasons here"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a question")
    add_reasoner_arguments(parser)


def add_reasoner_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that choose the parts of a `Reasoner`; `create_reasoner` reads them."""
    from gqa_reasoner.pipeline import EXPANSION_MODES

    parser.add_argument(
        "--detector",
        default="default",
        metavar="SPEC",
        help="default, onnx:PATH, oracle:FILE, photo (a COCO detector of transformers) or hf:NAME",
    )
    parser.add_argument(
        "--expansion",
        default="triples",
        choices=EXPANSION_MODES,
        help="source of context (default: triples)",
    )
    parser.add_argument("--weights", type=Path, metavar="DIR", help="default: the shipped weights")
    parser.add_argument(
        "--triples", type=Path, metavar="STORE", help="a store built by `knowledge`"
    )
    parser.add_argument("--ontology", type=Path, metavar="FILE", help="built by `ontology build`")
    parser.add_argument(
        "--coclick", type=Path, metavar="LOG.tsv", help="click log: query, image, clicks"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random and shuffled controls")


def create_reasoner(arguments: argparse.Namespace) -> Reasoner:
    """The reasoner that the options describe."""
    from gqa_reasoner.pipeline import Reasoner

    return Reasoner.from_pretrained(
        arguments.weights,
        detector_spec=arguments.detector,
        expansion=arguments.expansion,
        store_path=arguments.triples,
        ontology_path=arguments.ontology,
        coclick_path=arguments.coclick,
        seed=arguments.seed,
    )


def run(arguments: argparse.Namespace) -> int:
    """Answer and print."""
    from detectors.errors import InputError

    image: Path | None = None
    questions = list(arguments.words)
    if arguments.scene_graph is None:
        if len(questions) < 2:
            raise InputError("expected IMAGE and QUESTION")
        image = Path(questions.pop(0))
    elif arguments.image_id is None:
        raise InputError("--scene-graph needs --image-id")
    reasoner = create_reasoner(arguments)
    if image is not None:
        scene = reasoner.detect(image, image_id=arguments.image_id)
    else:
        from gqa_reasoner.data.scene_graphs import find_scene_graph

        scene = find_scene_graph(arguments.scene_graph, arguments.image_id)
    for number, question in enumerate(questions):
        answer = reasoner.answer_scene(scene, question)
        if arguments.json:
            print(json.dumps({"question": question, **answer.to_json()}, ensure_ascii=False))
        else:
            if number:
                print()
            print_answer(question, answer)
        if arguments.picture is not None:
            _draw(arguments.picture, number, len(questions), image, question, answer)
    return 0


def print_answer(question: str, answer: Answer) -> None:
    """Print an answer and its reasons for a reader."""
    others = ", ".join(f"{item.answer} {item.score:.2f}" for item in answer.candidates[1:])
    print(
        f"{question}\n  {answer.text}  ({answer.score:.2f}{'; then ' + others if others else ''})"
    )
    for place, step in enumerate(answer.trace):
        seen = ", ".join(
            f"{item['name']} {item['weight']:.2f} "
            f"[{', '.join(str(round(value)) for value in item['box'])}]"
            for item in step["objects"][:3]
        )
        print(f"  {place}. {step['step']}{'  →  ' + seen if seen else ''}")
    if answer.context is not None and answer.context.triples:
        facts = "; ".join(item.text for item in answer.context.triples[:6])
        print(f"  knowledge: {facts}")
    if answer.context is not None and answer.context.queries:
        asked = "; ".join(item.text for item in answer.context.queries[:4])
        print(f"  co-click queries: {asked}")
    for note in answer.notes:
        print(f"  note: {note}")


def _draw(
    target: Path, number: int, total: int, image: Path | None, question: str, answer: Answer
) -> None:
    """Write the overlay picture; several questions get numbered files."""
    from PIL import Image

    from detectors.images import load_image
    from gqa_reasoner.program.trace import render_overlay

    scene = answer.scene
    if image is not None:
        picture = load_image(image)
    elif scene is not None:
        picture = Image.new("RGB", (scene.width, scene.height), (236, 236, 232))
    else:
        return
    place = target if total == 1 else target.with_stem(f"{target.stem}-{number + 1}")
    place.parent.mkdir(parents=True, exist_ok=True)
    render_overlay(picture, question, answer).save(place)
    print(f"wrote {place}", file=sys.stderr)
