"""Questions about real photographs, made from their true boxes, beside the commonest answer.

    python benchmarks/photo_questions.py --shared ../shared

Three kinds: is there a …, how many …, is the … to the left of the … . Objects of the COCO
annotation decide the answers; crowds and photographs without boxes are left out. The detector
sees only the pixels.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gqa_reasoner import Reasoner

IRREGULAR = {"person": "people", "knife": "knives", "mouse": "mice"} | {
    name: name for name in ("sheep", "skis", "scissors")
}


@dataclass
class PhotoQuestion:
    kind: str
    image: str
    question: str
    answer: str


def plural(name: str) -> str:
    if name in IRREGULAR:
        return IRREGULAR[name]
    if name.endswith(("s", "sh", "ch", "x")):
        return name + "es"
    return name + "s"


def article(name: str) -> str:
    if name in ("skis", "scissors"):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def make_questions(instances: dict, seed: int, subset: str) -> list[PhotoQuestion]:
    rng = np.random.default_rng(seed)
    names = {item["id"]: item["name"] for item in instances["categories"]}
    boxes: dict[int, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    crowded: dict[int, set[str]] = defaultdict(set)
    for item in instances["annotations"]:
        name = names[item["category_id"]]
        if item.get("iscrowd"):
            crowded[item["image_id"]].add(name)
        else:
            boxes[item["image_id"]][name].append(item["bbox"])
    frequency = Counter(name for found in boxes.values() for name in found)
    common = sorted(frequency)
    weights = np.array([frequency[name] for name in common], dtype=float)
    questions: list[PhotoQuestion] = []
    for image in sorted(instances["images"], key=lambda item: item["id"]):
        if subset not in ("all", image.get("subset")) or image["id"] not in boxes:
            continue
        found, crowd = boxes[image["id"]], crowded[image["id"]]
        file = image["file_name"]
        present = sorted(set(found) - crowd)
        absent = [name for name in common if name not in found and name not in crowd]
        if present:
            name = present[rng.integers(len(present))]
            questions.append(
                PhotoQuestion("exists", file, f"Is there {article(name)} in the picture?", "yes")
            )
            chance = np.array([weights[common.index(name)] for name in absent])
            name = absent[rng.choice(len(absent), p=chance / chance.sum())]
            questions.append(
                PhotoQuestion("exists", file, f"Is there {article(name)} in the picture?", "no")
            )
            name = present[rng.integers(len(present))]
            count = str(len(found[name]))
            questions.append(
                PhotoQuestion("how many", file, f"How many {plural(name)} are there?", count)
            )
        single = [name for name in present if len(found[name]) == 1]
        pairs = [
            (first, second)
            for first in single
            for second in single
            if first != second and clearly_left(found[first][0], found[second][0])
        ]
        if pairs:
            left, right = pairs[rng.integers(len(pairs))]
            first, second, answer = (
                (left, right, "yes") if rng.random() < 0.5 else (right, left, "no")
            )
            questions.append(
                PhotoQuestion(
                    "left of", file, f"Is the {first} to the left of the {second}?", answer
                )
            )
    return questions


def clearly_left(first: list[float], second: list[float]) -> bool:
    return first[0] + first[2] <= second[0] + 0.1 * min(first[2], second[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--detector", default=None)
    parser.add_argument("--subset", default="all", choices=["all", "train2017", "val2017"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="default: the shipped weights")
    parser.add_argument("--failures", type=Path, help="write every wrong answer here as JSON lines")
    arguments = parser.parse_args()
    coco = arguments.shared / "data" / "coco"
    questions = make_questions(
        json.loads((coco / "instances.json").read_text()), arguments.seed, arguments.subset
    )
    spec = (
        arguments.detector
        or f"onnx:{arguments.shared / 'models' / 'yolox_nano' / 'yolox_nano.onnx'}"
    )
    reasoner = Reasoner.from_pretrained(arguments.weights, detector_spec=spec)
    right: Counter[str] = Counter()
    wrong = []
    scene, scene_of = None, ""
    for item in questions:
        if item.image != scene_of:
            scene, scene_of = reasoner.detect(coco / "images" / item.image), item.image
        answer = reasoner.answer_scene(scene, item.question)
        if answer.text == item.answer:
            right[item.kind] += 1
        else:
            wrong.append({**vars(item), "got": answer.text, "notes": answer.notes})
    if arguments.failures:
        arguments.failures.write_text("".join(json.dumps(item) + "\n" for item in wrong))
    print(f"detector {spec}, {len({item.image for item in questions})} photographs")
    print("| kind | questions | accuracy | commonest answer |\n| --- | ---: | ---: | ---: |")
    for kind in [*dict.fromkeys(item.kind for item in questions), "all"]:
        chosen = [item for item in questions if kind in ("all", item.kind)]
        hits = sum(right[name] for name in right if kind in ("all", name))
        baseline = sum(
            Counter(item.answer for item in chosen if item.kind == name).most_common(1)[0][1]
            for name in {item.kind for item in chosen}
        )
        print(
            f"| {kind} | {len(chosen)} | {hits / len(chosen):.3f} | {baseline / len(chosen):.3f} |"
        )


if __name__ == "__main__":
    main()
