"""Time and memory of questions over synthetic collections of 2,000 to 200,000 scenes.

    python benchmarks/bench_collection.py --work runs/bench_collection [--sizes 2000 20000 200000]

Scenes are records only (no pictures): about ten objects of eighty names with Zipf frequencies, one
or two attributes each, relations between neighbours. Every size is asked in a process of its own;
times are warm, parsing included; memory is that process's resident size at its highest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gqa_reasoner.collection.database import Writer

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
PART = 50_000


def tables(writer: Writer, start: int, count: int, rng: np.random.Generator) -> None:
    """Write `count` scenes straight into the tables, as arrays."""
    weights = 1 / np.arange(1, len(NAMES) + 1) ** 0.7
    sizes = rng.integers(5, 16, count)
    image = np.arange(start, start + count, dtype=np.int32)
    first = writer.take("object", int(sizes.sum()))
    writer.take("image", count)
    owner = np.repeat(image, sizes)
    number = np.arange(first, first + len(owner), dtype=np.int32)
    begin = np.repeat(first + np.cumsum(sizes) - sizes, sizes)
    corner, extent = rng.uniform(0, 400, (2, len(owner))), rng.uniform(20, 200, (2, len(owner)))
    names = np.array(writer.codes(NAMES), dtype=np.int32)
    chosen = rng.choice(len(NAMES), size=len(owner), p=weights / weights.sum())
    score = lambda size: rng.uniform(0.3, 1, size).astype(np.float32)  # noqa: E731
    insert(
        writer, "images", image=image, width=np.full(count, 640), height=np.full(count, 480),
        image_id=np.array([f"{item:07d}.jpg" for item in image.tolist()], dtype=object),
    )  # fmt: skip
    insert(
        writer, "objects", image=owner, object=number, name=names[chosen], score=score(len(owner)),
        x1=corner[0], y1=corner[1], x2=corner[0] + extent[0], y2=corner[1] + extent[1],
    )  # fmt: skip
    for words, share in ((COLOURS, 1.0), (OTHERS, 0.5)):
        has = rng.random(len(owner)) < share
        codes = np.array(writer.codes(words), dtype=np.int32)
        insert(
            writer, "attributes", image=owner[has], object=number[has], score=score(has.sum()),
            name=codes[rng.integers(len(words), size=has.sum())],
        )  # fmt: skip
    predicates = np.array(writer.codes(PREDICATES), dtype=np.int32)
    for _ in range(2):
        other = begin + (rng.random(len(owner)) * np.repeat(sizes, sizes)).astype(np.int32)
        kept = other != number
        insert(
            writer, "relations", image=owner[kept], subject=number[kept],
            object=other[kept].astype(np.int32), score=score(kept.sum()),
            predicate=predicates[rng.integers(len(PREDICATES), size=kept.sum())],
        )  # fmt: skip
    writer.save_names()


def insert(writer: Writer, table: str, **columns: np.ndarray) -> None:
    writer.connection.register("incoming", columns)
    names = ", ".join(columns)
    writer.connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming")
    writer.connection.unregister("incoming")


def build(folder: Path, count: int) -> dict:
    from gqa_reasoner.collection.database import Writer
    from gqa_reasoner.collection.derived import derive_tables

    began = time.perf_counter()
    writer = Writer(folder, {"detector": "synthetic", "source": str(folder)})
    rng = np.random.default_rng(count)
    for start in range(0, count, PART):
        tables(writer, start, min(PART, count - start), rng)
    derive_tables(writer.connection)
    writer.finish()
    size = sum(item.stat().st_size for item in folder.glob("*.duckdb"))
    return {"seconds": time.perf_counter() - began, "megabytes": size / 1e6}


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
        times, work = [], []
        for _ in range(repeats):
            start, before = time.perf_counter(), time.process_time()
            collection.find(question)
            times.append(time.perf_counter() - start)
            work.append(time.process_time() - before)
        rows[name] = {"p50": 1000 * float(np.median(times)), "worst": 1000 * max(times),
            "best": 1000 * min(times), "work": 1000 * float(np.median(work)),
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
            print(
                f"{size:,} scenes: {made['seconds']:.0f} s, {made['megabytes']:.0f} MB", flush=True
            )
        command = [sys.executable, __file__, "--measure", str(folder)]
        command += ["--repeats", str(arguments.repeats)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results[size] = json.loads(done.stdout.splitlines()[-1])
    print("\n| question | " + " | ".join(f"{size:,}" for size in results) + " |")
    print("| --- |" + " ---: |" * len(results))
    for name in QUESTIONS:
        cells = [
            f"{r['rows'][name]['p50']:.0f} ({r['rows'][name]['worst']:.0f}); "
            f"{r['rows'][name]['work']:.0f}"
            for r in results.values()
        ]
        print(f"| {name}: {QUESTIONS[name]} | " + " | ".join(cells) + " |")
    print("| opened and first question | "
          + " | ".join(f"{r['opened']:.1f} s" for r in results.values()) + " |")  # fmt: skip
    print("| highest resident memory | "
          + " | ".join(f"{r['peak']:.0f} MB" for r in results.values()) + " |")  # fmt: skip
    print(f"\nms: median (slowest) of {arguments.repeats} warm; median of processor time over all "
          f"threads. Load average {os.getloadavg()[0]:.1f}. Answers:")  # fmt: skip
    for name in QUESTIONS:
        told = [f"{r['rows'][name]['answer']} by {r['rows'][name]['method']}"
                for r in results.values()]  # fmt: skip
        print(f"- {name}: {'; '.join(told)}")


if __name__ == "__main__":
    main()
