"""`detect IMAGES…`: objects, attributes and relations in pictures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectors.scene import Scene

_BATCH = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="picture files")
    parser.add_argument(
        "--detector",
        default="default",
        metavar="SPEC",
        help="default, onnx:PATH, oracle:FILE, photo (a COCO detector of transformers), hf:NAME, "
        "zero-shot:NAME (OWLv2, Grounding DINO), lxmert:DIR, rcnn:FILE or detectron2:CONFIG",
    )
    parser.add_argument(
        "--labels",
        metavar="NAMES",
        help="what a zero-shot detector looks for: a file with one name a line, a,b,c, or "
        "@CATEGORY for the ontology's names of a category, such as @furniture (default: COCO's 80)",
    )
    parser.add_argument(
        "--threshold", type=_share, help="lowest score of an object, 0 to 1 (default: detector's)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of scenes")


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Detect and print; 1 when some pictures could not be read."""
    from tqdm import tqdm

    from detectors.errors import InputError
    from detectors.factory import create_detector
    from detectors.images import load_image

    labels = None if arguments.labels is None else names_to_find(arguments.labels)
    detector = create_detector(arguments.detector, threshold=arguments.threshold, labels=labels)
    scenes: list[Scene] = []
    failures: list[str] = []
    starts = range(0, len(arguments.images), _BATCH)
    for start in tqdm(starts, desc="detect", unit="batch", disable=None, file=sys.stderr):
        pictures, ids = [], []
        for path in arguments.images[start : start + _BATCH]:
            try:
                pictures.append(load_image(path))
                ids.append(path.stem)
            except InputError as error:
                failures.append(str(error))
        if pictures:
            scenes.extend(detector.detect(pictures, ids))
    if failures and not scenes:
        raise InputError(failures[0])
    if arguments.json:
        json.dump([scene.to_json() for scene in scenes], sys.stdout)
        print()
    else:
        for scene in scenes:
            print(describe(scene))
    for line in failures:
        print(f"gqa-reasoner detect: {line}", file=sys.stderr)
    return 1 if failures else 0


def names_to_find(text: str) -> tuple[str, ...]:
    """Names of a file, of a list, or of the ontology's categories that `@` marks.

    Raises:
        InputError: a category that the ontology does not know, or no name at all.
    """
    from detectors.adapters.zero_shot import read_labels
    from detectors.errors import InputError
    from knowledge.ontology import Ontology

    names: list[str] = []
    for part in read_labels(text):
        if not part.startswith("@"):
            names.append(part)
            continue
        members = Ontology.default().members(part[1:])
        if not members:
            raise InputError(f"--labels: the ontology has no category {part[1:]!r}")
        names.extend(members)
    if not names:
        raise InputError(f"--labels: no names in {text!r}")
    return tuple(dict.fromkeys(names))


def describe(scene: Scene) -> str:
    """A scene as lines of text: objects with boxes and attributes, then relations."""
    facts = ", ".join(
        f"{key} {value}" for key, value in scene.scene_attributes.items() if isinstance(value, str)
    )
    lines = [f"{scene.image_id} ({scene.width}x{scene.height}{', ' + facts if facts else ''})"]
    names = {}
    for item in scene.objects:
        names[item.id] = item.name
        box = ", ".join(f"{value:.0f}" for value in item.box)
        attributes = ", ".join(
            f"{name} {score:.2f}"
            for name, score in sorted(item.attributes.items(), key=lambda pair: -pair[1])
        )
        lines.append(f"  {item.id:>3} {item.name} {item.score:.2f} [{box}] {attributes}".rstrip())
    for relation in sorted(scene.relations, key=lambda one: -one.score):
        lines.append(
            f"      {names[relation.subject]} ({relation.subject}) {relation.predicate} "
            f"{names[relation.object]} ({relation.object}) {relation.score:.2f}"
        )
    return "\n".join(lines)
