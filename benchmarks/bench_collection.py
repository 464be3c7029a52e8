"""Time and memory of questions over synthetic collections of 2,000 to 200,000 scenes.

    python benchmarks/bench_collection.py --work runs/bench_collection [--sizes 2000 20000 200000]

Scenes are records only (no pictures): about ten objects of eighty names with Zipf frequencies, one
or two attributes each, relations between neighbours. Every size is asked in a process of its own;
times are warm, parsing included; memory is that process's resident size at its highest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

NAMES = [
    "man", "woman", "car", "tree", "person", "building", "sign", "shirt", "window", "table",
    "chair", "dog", "cat", "bicycle", "bus", "boy", "girl", "umbrella", "horse", "bench", "plate",
    "cup", "bottle", "bowl", "book", "bag", "hat", "truck", "bird", "boat", "cow", "sheep",
    "elephant", "pizza", "cake", "banana", "apple", "orange", "sandwich", "laptop", "phone",
    "keyboard", "clock", "vase", "lamp", "couch", "bed", "desk", "fence", "road", "grass", "sky",
    "cloud", "mountain", "flower", "plant", "leaf", "rock", "wall", "door", "pole", "street",
    "train", "plane", "kite", "skateboard", "surfboard", "ball", "racket", "glove", "helmet",
    "backpack", "suitcase", "knife", "fork", "spoon", "glass", "box", "basket", "towel", "pillow",
    "mirror",
]  # fmt: skip
COLOURS = [
    "white", "black", "red", "blue", "green", "brown", "yellow", "gray", "orange", "pink",
]  # fmt: skip
OTHERS = [
    "large", "small", "wooden", "metal", "open", "tall", "round",
]  # fmt: skip
PREDICATES = ["to the left of", "to the right of", "on", "near", "behind", "in front of", "holding"]
QUESTIONS = {
    "one step": "Which pictures show a dog?",
    "three steps": "Which pictures show a red car to the left of a tree?",
    "three steps, how many": "How many pictures show a brown dog near a person?",
    "four steps": "Which pictures show a woman holding a blue umbrella on the left?",
    "and, no": "Show me pictures with a dog and a bicycle but no cat.",
    "at least three": "Which pictures show at least three people?",
    "category": "How many pictures show an animal on a bench?",
    "commonsense": "Pictures with something you can sit on",
    "commonest colour": "What is the most common colour of cars?",
    "share": "What share of the pictures contain a truck behind a bus?",
    "vector (words)": "a sunny afternoon of umbrellas at the seaside",
}
PART = 4000


def scenes(count: int, seed: int) -> Iterator[list]:
    """Parts of `count` scenes."""
    from detectors.scene import Relation, Scene, SceneObject

    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(NAMES) + 1) ** 0.7
    weights /= weights.sum()
    for start in range(0, count, PART):
        part = []
        for number in range(start, min(start + PART, count)):
            size = int(rng.integers(5, 16))
            names = rng.choice(len(NAMES), size=size, p=weights)
            corners = rng.uniform(0, 400, (size, 2))
            extents = rng.uniform(20, 200, (size, 2))
            scores = rng.uniform(0.3, 1, (size, 4))
            colours = rng.integers(len(COLOURS), size=size)
            others = rng.integers(len(OTHERS) * 2, size=size)
            objects = []
            for i in range(size):
                attributes = {COLOURS[colours[i]]: float(scores[i, 1])}
                if others[i] < len(OTHERS):
                    attributes[OTHERS[others[i]]] = float(scores[i, 2])
                x, y = corners[i]
                box = (x, y, x + extents[i, 0], y + extents[i, 1])
                objects.append(
                    SceneObject(str(i), NAMES[names[i]], float(scores[i, 0]), box, attributes)
                )
            links = []
            kinds = rng.integers(len(PREDICATES), size=size * 2)
            ends = rng.integers(size, size=size * 2)
            for place, (kind, end) in enumerate(zip(kinds, ends, strict=True)):
                one = place // 2
                if one != end:
                    links.append(
                        Relation(str(one), PREDICATES[kind], str(end), float(scores[one, 3]))
                    )
            part.append(Scene(f"{number:07d}.jpg", 640, 480, objects, links))
        yield part


def build(folder: Path, count: int) -> dict:
    from gqa_reasoner.collection.database import Writer
    from gqa_reasoner.collection.derived import derive_tables
    from gqa_reasoner.collection.scenes import insert_scenes

    began = time.perf_counter()
    writer = Writer(folder, {"detector": "synthetic", "source": str(folder)})
    made = 0.0
    source = scenes(count, seed=count)
    while True:
        start = time.perf_counter()
        part = next(source, None)
        made += time.perf_counter() - start
        if part is None:
            break
        insert_scenes(writer, part)
    derive_tables(writer.connection)
    writer.finish()
    size = sum(item.stat().st_size for item in folder.glob("*.duckdb"))
    seconds = time.perf_counter() - began - made
    return {"seconds": seconds, "megabytes": size / 1e6}


def resident(key: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at its highest."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure(folder: Path, repeats: int) -> dict:
    from gqa_reasoner.collection.setup import open_for_questions

    began = time.perf_counter()
    collection = open_for_questions(folder)
    collection.find("Which pictures show a dog?")
    opened = time.perf_counter() - began
    rows = {}
    for name, question in QUESTIONS.items():
        first = time.perf_counter()
        found = collection.find(question)
        cold = time.perf_counter() - first
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            collection.find(question)
            times.append(time.perf_counter() - start)
        rows[name] = {"p50": 1000 * float(np.median(times)), "worst": 1000 * max(times),
                      "cold": 1000 * cold, "answer": found.answer, "method": found.method,
                      "fit": found.total}  # fmt: skip
    return {"opened": opened, "peak": resident("VmHWM"), "now": resident("VmRSS"), "rows": rows,
            "pictures": len(collection)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/bench_collection"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 20000, 200000])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.repeats)))
        return
    results = {}
    for size in arguments.sizes:
        folder = arguments.work / str(size)
        if not (folder / "CURRENT").is_file():
            made = build(folder, size)
            print(f"{size:,} scenes: written in {made['seconds']:.0f} s "
                  f"({size / made['seconds']:,.0f} a second), {made['megabytes']:.0f} MB",
                  flush=True)  # fmt: skip
        command = [sys.executable, __file__, "--measure", str(folder)]
        command += ["--repeats", str(arguments.repeats)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results[size] = json.loads(done.stdout.splitlines()[-1])
    print("\n| question | " + " | ".join(f"{size:,}" for size in results) + " |")
    print("| --- |" + " ---: |" * len(results))
    for name in QUESTIONS:
        cells = [
            f"{r['rows'][name]['p50']:.0f} ({r['rows'][name]['worst']:.0f}) ms"
            for r in results.values()
        ]
        print(f"| {name}: {QUESTIONS[name]} | " + " | ".join(cells) + " |")
    print("| opened and first question | "
          + " | ".join(f"{r['opened']:.1f} s" for r in results.values()) + " |")  # fmt: skip
    print("| highest resident memory | "
          + " | ".join(f"{r['peak']:.0f} MB" for r in results.values()) + " |")  # fmt: skip
    print("\nmedian (slowest) of", arguments.repeats, "warm; answers:")
    for name in QUESTIONS:
        told = [f"{r['rows'][name]['answer']} by {r['rows'][name]['method']}"
                for r in results.values()]  # fmt: skip
        print(f"- {name}: {'; '.join(told)}")


if __name__ == "__main__":
    main()
