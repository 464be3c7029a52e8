"""Questions over real photographs as a collection, with true answers from their boxes.

    python benchmarks/collection_questions.py --shared ../shared --work runs/collection

The questions are drawn by a seeded rule over categories; the true sets come from the COCO boxes by
this script alone, which shares no code with what it measures. Crowds show a thing but not its
number. Pictures whose truth a person could argue about (boxes side by side but overlapping) count
neither way. Beside the detector's index stands one made from the true boxes: the ceiling.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

IRREGULAR = {"person": "people", "knife": "knives", "mouse": "mice", "sheep": "sheep"}
GROUPS = {"animal": "animals", "vehicle": "vehicles", "food": "food", "furniture": "furniture"}
SENSE = {
    "something to eat": (
        ["banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
         "cake"], []
    ),
    "something that can fly": (["airplane", "bird"], ["kite", "frisbee"]),
    "something you can sit on": (
        ["chair", "couch", "bench"],
        ["bed", "toilet", "motorcycle", "bicycle", "horse", "suitcase", "elephant"],
    ),
    "something you can drive": (["car", "bus", "truck"], ["motorcycle", "train", "boat"]),
    "something used for cutting": (["knife", "scissors"], []),
    "something you can read": (["book"], ["stop sign", "laptop", "cell phone", "traffic light"]),
}  # fmt: skip
"""Commonsense categories over COCO's classes: surely in, and arguable (counted neither way)."""


@dataclass
class Asked:
    kind: str
    question: str
    truth: set[str]
    unsure: set[str] = field(default_factory=set)
    answer: str | None = None
    """For counts, shares and the commonest; None where the set is the answer."""
    sets: dict[str, set[str]] = field(default_factory=dict)
    """The true set of every possible answer, where several are right."""


@dataclass
class Photographs:
    """True boxes: file → category → boxes (x, y, w, h)."""

    boxes: dict[str, dict[str, list[list[float]]]]
    crowds: dict[str, set[str]]
    sizes: dict[str, tuple[int, int]]
    supercategory: dict[str, str]
    held: set[str]
    """The val2017 photographs, which YOLOX was not trained on."""

    @property
    def names(self) -> list[str]:
        return sorted(self.supercategory)

    def showing(self, name: str) -> set[str]:
        return {
            file for file in self.boxes if self.boxes[file].get(name) or name in self.crowds[file]
        }

    def counted(self, name: str, least: int) -> tuple[set[str], set[str]]:
        sure = {file for file in self.boxes if len(self.boxes[file].get(name, ())) >= least}
        return sure, {file for file in self.boxes if name in self.crowds[file]} - sure

    def left_of(self, one: str, other: str) -> tuple[set[str], set[str]]:
        sure, unsure = set(), set()
        for file, found in self.boxes.items():
            pairs = [(a, b) for a in found.get(one, ()) for b in found.get(other, ())]
            if any(a[0] + a[2] <= b[0] + 0.1 * min(a[2], b[2]) for a, b in pairs):
                sure.add(file)
            elif any(a[0] + a[2] / 2 < b[0] + b[2] / 2 for a, b in pairs) or (
                {one, other} & self.crowds[file]
            ):
                unsure.add(file)
        return sure, unsure


def read_photographs(coco: Path) -> Photographs:
    instances = json.loads((coco / "instances.json").read_text())
    names = {item["id"]: item["name"] for item in instances["categories"]}
    files = {item["id"]: item["file_name"] for item in instances["images"]}
    sizes = {item["file_name"]: (item["width"], item["height"]) for item in instances["images"]}
    boxes: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    crowds: dict[str, set[str]] = defaultdict(set)
    for item in instances["annotations"]:
        file, name = files[item["image_id"]], names[item["category_id"]]
        if item.get("iscrowd"):
            crowds[file].add(name)
            boxes[file]  # the picture is annotated
        else:
            boxes[file][name].append(item["bbox"])
    kinds = {item["name"]: item["supercategory"] for item in instances["categories"]}
    held = {i["file_name"] for i in instances["images"] if i["subset"] == "val2017"}
    return Photographs({k: dict(v) for k, v in boxes.items()}, crowds, sizes, kinds, held)


def plural(name: str) -> str:
    if name in IRREGULAR:
        return IRREGULAR[name]
    if name in ("skis", "scissors"):
        return name
    return name + ("es" if name.endswith(("s", "sh", "ch", "x")) else "s")


def article(name: str) -> str:
    if name in ("skis", "scissors"):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def make_questions(photos: Photographs, seed: int) -> list[Asked]:
    rng = np.random.default_rng(seed)
    frequency = {name: len(photos.showing(name)) for name in photos.names}
    common = [name for name in photos.names if frequency[name] >= 5]
    questions: list[Asked] = []

    def draw(count: int, pool: list, make: Callable) -> None:
        order = rng.permutation(len(pool))
        for place in order[:count]:
            questions.append(make(pool[place]))

    draw(8, common, lambda n: Asked("which", f"Which pictures show {article(n)}?",
                                    photos.showing(n)))  # fmt: skip
    pairs = [(a, b) for a in common for b in common if a != b]
    beside = [pair for pair in pairs if len(photos.left_of(*pair)[0]) >= 3]
    draw(6, beside, lambda p: Asked(
        "left of", f"Which pictures show {article(p[0])} to the left of {article(p[1])}?",
        *photos.left_of(*p)))  # fmt: skip
    many = [(n, k) for n in common for k in (2, 3, 4) if len(photos.counted(n, k)[0]) >= 4]
    words = {2: "two", 3: "three", 4: "four"}
    draw(4, many, lambda p: Asked(
        "at least", f"Show me pictures with at least {words[p[1]]} {plural(p[0])}.",
        *photos.counted(*p)))  # fmt: skip
    shared = [(a, b) for a, b in pairs if len(photos.showing(a) & photos.showing(b)) >= 4]
    draw(3, shared, lambda p: Asked(
        "and", f"Find pictures with {article(p[0])} and {article(p[1])}.",
        photos.showing(p[0]) & photos.showing(p[1])))  # fmt: skip
    draw(3, shared, lambda p: Asked(
        "but no", f"Which pictures show {article(p[0])} but no {p[1]}?",
        photos.showing(p[0]) - photos.showing(p[1])))  # fmt: skip
    draw(2, shared, lambda p: Asked(
        "or", f"Show me photos of {article(p[0])} or {article(p[1])}.",
        photos.showing(p[0]) | photos.showing(p[1])))  # fmt: skip
    draw(4, common, lambda n: Asked(
        "how many", f"How many pictures show {article(n)}?", photos.showing(n),
        answer=str(len(photos.showing(n)))))  # fmt: skip
    draw(2, common, lambda n: Asked(
        "share", f"What share of the pictures contain {plural(n)}?", photos.showing(n),
        answer=f"{len(photos.showing(n)) / len(photos.boxes):.1%}"))  # fmt: skip
    groups = [name for name in GROUPS if name in set(photos.supercategory.values())]
    draw(2, groups, lambda g: Asked(
        "category", f"Which pictures contain {GROUPS[g]}?", *_members(photos, g)))  # fmt: skip
    draw(3, sorted(SENSE), lambda s: Asked("commonsense", f"Pictures with {s}", *_sense(photos, s)))
    draw(3, [g for g in groups if g != "furniture"], lambda g: _commonest(photos, g))
    return questions


def _members(photos: Photographs, group: str) -> tuple[set[str], set[str]]:
    """COCO counts potted plants and toilets as furniture, benches not; these count neither way."""
    odd = {"potted plant", "toilet", "bench"} if group == "furniture" else set()
    names = {name for name, kind in photos.supercategory.items() if kind == group}
    sure = set().union(*(photos.showing(name) for name in names - odd))
    return sure, set().union(*(photos.showing(name) for name in odd)) - sure


def _sense(photos: Photographs, text: str) -> tuple[set[str], set[str]]:
    sure = set().union(*(photos.showing(name) for name in SENSE[text][0]))
    unsure = set().union(*(photos.showing(name) for name in SENSE[text][1]), set())
    return sure, unsure - sure


def _commonest(photos: Photographs, group: str) -> Asked:
    counts = Counter(
        {n: len(photos.showing(n)) for n, kind in photos.supercategory.items() if kind == group}
    )
    most = max(counts.values())
    best = [name for name, count in counts.items() if count == most]
    text = "kind of food" if group == "food" else group
    return Asked("commonest", f"What is the most common {text} in the pictures?",
                 photos.showing(best[0]), answer="|".join(best),
                 sets={name: photos.showing(name) for name in best})  # fmt: skip


def write_scene_graphs(photos: Photographs, path: Path) -> None:
    """The true boxes as GQA scene graphs, a crowd as one object over the whole picture."""
    graphs = {}
    for file, found in photos.boxes.items():
        width, height = photos.sizes[file]
        rows = [(name, box) for name, boxes in found.items() for box in boxes]
        rows += [(name, [0, 0, width, height]) for name in sorted(photos.crowds[file])]
        graphs[file] = {
            "width": width,
            "height": height,
            "objects": {
                str(number): {"name": name, "x": box[0], "y": box[1], "w": box[2], "h": box[3],
                              "attributes": [], "relations": []}
                for number, (name, box) in enumerate(rows)
            },
        }  # fmt: skip
    path.write_text(json.dumps(graphs))


def build(coco: Path, photos: Photographs, work: Path, name: str, spec: str) -> Path:
    """Index the annotated photographs; a second run only checks them."""
    from detectors.factory import create_detector
    from gqa_reasoner.collection.indexing import index_folder
    from gqa_reasoner.collection.setup import plan_index

    folder = work / "photographs"
    folder.mkdir(parents=True, exist_ok=True)
    for file in photos.boxes:
        if not (folder / file).exists():
            (folder / file).symlink_to((coco / "images" / file).resolve())
    began = time.perf_counter()
    plan = plan_index(work / name, detector=spec)
    report = index_folder(folder, work / name, lambda: create_detector(spec), plan=plan)
    seconds = time.perf_counter() - began
    if report.added:
        print(f"{name}: {report.added} pictures indexed, {report.added / seconds:.1f} a second")
    return work / name


def calibrated_copy(place: Path, photos: Photographs) -> Path:
    """A copy of the index whose scores are fitted on the val2017 photographs alone."""
    from gqa_reasoner.collection.calibration import calibrate_index

    copy = place.with_name(f"{place.name}-calibrated")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(place, copy)
    truth = {file: {*photos.boxes[file], *photos.crowds[file]} for file in sorted(photos.held)}
    print(f"calibration on {len(truth)} photographs: {calibrate_index(copy, truth)}")
    return copy


def measure(questions: list[Asked], place: Path, *, only: set[str] | None = None) -> list[dict]:
    """Ask all questions; with `only` the sets are compared on those photographs alone."""
    from gqa_reasoner.collection.setup import open_for_questions

    collection = open_for_questions(place)
    rows = []
    for item in questions:
        began = time.perf_counter()
        found = collection.find(item.question, limit=None)
        seconds = time.perf_counter() - began
        got = {image["image_id"] for image in found.images} - item.unsure
        if found.method == "vector":
            got = set()
        truth = item.sets.get(found.answer, item.truth)
        if only is not None:
            got, truth = got & only, truth & only
        hits = len(got & truth)
        rows.append(
            {
                "kind": item.kind, "question": item.question, "true": len(truth),
                "got": len(got), "hits": hits, "answer": found.answer, "wanted": item.answer,
                "method": found.method, "ms": 1000 * seconds, "notes": found.notes,
                "precision": hits / len(got) if got else float(not truth),
                "recall": hits / len(truth) if truth else 1.0,
                "f1": 2 * hits / (len(got) + len(truth)) if got or truth else 1.0,
                "scores": {i["image_id"]: i["score"] for i in found.images + found.possible},
            }
        )  # fmt: skip
    return rows


def number(text: str) -> float:
    return float(text.rstrip("%")) if text.rstrip("%").replace(".", "").isdigit() else np.nan


def report(title: str, rows: list[dict]) -> None:
    print(f"\n### {title}\n\n| kind | questions | precision | recall | F1 | answers |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for kind in [*dict.fromkeys(row["kind"] for row in rows), "all"]:
        chosen = [row for row in rows if kind in ("all", row["kind"])]
        means = [np.mean([row[key] for row in chosen]) for key in ("precision", "recall", "f1")]
        told = [row for row in chosen if row["wanted"] is not None]
        text = ""
        if told and kind in ("how many", "share"):
            errors = [abs(number(r["answer"]) - number(r["wanted"])) for r in told]
            unit = " points" if kind == "share" else ""
            text = f"mean error {np.nanmean(errors):.1f}{unit}"
            text += f" of {np.mean([number(r['wanted']) for r in told]):.1f}"
        elif told and kind == "commonest":
            text = (
                f"{sum(r['answer'] in r['wanted'].split('|') for r in told)} of {len(told)} right"
            )
        values = " | ".join(f"{value:.3f}" for value in means)
        print(f"| {kind} | {len(chosen)} | {values} | {text} |")
    hits, got, true = (sum(row[key] for row in rows) for key in ("hits", "got", "true"))
    programs = sum(row["method"] == "program" for row in rows)
    middle = np.median([row["ms"] for row in rows])
    print(
        f"\nAll sets together: precision {hits / max(got, 1):.3f}, recall {hits / true:.3f}, "
        f"F1 {2 * hits / (got + true):.3f}; {programs} of {len(rows)} by program; "
        f"median {middle:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--work", type=Path, default=Path("runs/collection"))
    parser.add_argument("--detector", help="default: the shared YOLOX-Nano")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="print every question")
    arguments = parser.parse_args()
    coco = arguments.shared / "data" / "coco"
    photos = read_photographs(coco)
    questions = make_questions(photos, arguments.seed)
    arguments.work.mkdir(parents=True, exist_ok=True)
    graphs = arguments.work / "true_boxes.json"
    if not graphs.exists():
        write_scene_graphs(photos, graphs)
    spec = arguments.detector or f"onnx:{arguments.shared / 'models/yolox_nano/yolox_nano.onnx'}"
    print(f"{len(questions)} questions over {len(photos.boxes)} photographs, seed {arguments.seed}")
    results = {}
    for title, name, detector in (
        (f"detector {Path(spec).name}", "detected", spec),
        ("true boxes (ceiling)", "oracle", f"oracle:{graphs}"),
    ):
        place = build(coco, photos, arguments.work, name, detector)
        results[name] = measure(questions, place)
        report(title, results[name])
        if name == "detected":
            others = set(photos.boxes) - photos.held
            fitted = calibrated_copy(place, photos)
            part = f"{len(others)} photographs that the calibration did not see"
            report(f"{title}, {part}, raw", measure(questions, place, only=others))
            report(f"{title}, {part}, calibrated", measure(questions, fitted, only=others))
    if arguments.each:
        print(
            "\n| question | true | detector got, precision, recall | ceiling |\n|---|---|---|---|"
        )
        for one, two in zip(results["detected"], results["oracle"], strict=True):
            cells = [f"{r['got']}, {r['precision']:.2f}, {r['recall']:.2f}" for r in (one, two)]
            told = f" ({one['answer']}; {two['answer']}; true {one['wanted']})"
            print(f"| {one['question']}{told if one['wanted'] else ''} | {one['true']} | "
                  f"{cells[0]} | {cells[1]} {'; '.join(two['notes'])[:160]} |")  # fmt: skip


if __name__ == "__main__":
    main()
