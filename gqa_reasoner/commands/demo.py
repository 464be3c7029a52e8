"""`demo`: the main job on the shipped pictures with the shipped weights."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from gqa_reasoner.commands.picture_option import picture_file

EXAMPLES = Path(__file__).parents[1] / "examples"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--output",
        type=picture_file,
        default=Path("demo.png"),
        help="picture of one answer (default: demo.png)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a question")


def run(arguments: argparse.Namespace) -> int:
    """Answer every example question; draw the first with boxes, program and triples."""
    from detectors.images import load_image
    from gqa_reasoner.commands.ask import print_answer
    from gqa_reasoner.pipeline import Reasoner
    from gqa_reasoner.program.trace import render_overlay

    began = time.perf_counter()
    examples: list[dict[str, Any]] = json.loads((EXAMPLES / "examples.json").read_text())
    reasoner = Reasoner.from_pretrained()
    right = total = 0
    drawn = False
    for example in examples:
        picture = EXAMPLES / example["image"]
        scene = reasoner.detect(picture)
        if not arguments.json:
            print(f"\n{picture.name}")
        for question, expected in example["questions"].items():
            answer = reasoner.answer_scene(scene, question)
            total += 1
            right += answer.text == expected
            if arguments.json:
                record = {"image": example["image"], "question": question, "expected": expected}
                print(json.dumps(record | answer.to_json(), ensure_ascii=False))
            else:
                print_answer(question, answer)
                if answer.text != expected:
                    print(f"  (the picture's own annotation says: {expected})")
            if not drawn:
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
                render_overlay(load_image(picture), question, answer).save(arguments.output)
                drawn = True
    print(
        f"\n{right} of {total} answers as annotated, {time.perf_counter() - began:.1f} s; "
        f"reasons of the first drawn in {arguments.output}",
        file=sys.stderr,
    )
    return 0
