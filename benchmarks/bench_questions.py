"""Questions per second: the engine over scene graphs, and pairs for the parser.

    python benchmarks/bench_questions.py --scene-graphs G [--images N] [--per-image K]

Times are of this process's CPU, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

from gqa_reasoner.data.scene_graphs import iterate_scene_graphs
from gqa_reasoner.questions.engine import Engine, knowledge_parts
from gqa_reasoner.questions.synthetic import question_program_pairs
from knowledge.ontology import Ontology
from knowledge.store import TripleStore


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scene-graphs", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--per-image", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=10_000)
    arguments = parser.parse_args()
    ontology = Ontology.default()
    graphs = iterate_scene_graphs(arguments.scene_graphs, on_problem="repair")
    scenes = list(islice(graphs, arguments.images))
    for store, name in ((None, "GQA's families"), (TripleStore.default(), "with knowledge")):
        check, families = knowledge_parts(ontology, store)
        for checked in (False, True):
            engine = Engine(ontology, seed=0, check=check if checked else None, families=families)
            start = time.process_time()
            engine.count(scenes)
            counted = time.process_time()
            number = sum(1 for scene in scenes for _ in engine.records(scene, arguments.per_image))
            end = time.process_time()
            how = "checked by execution" if checked else "unchecked"
            print(
                f"{name}, {how}: {number} questions, "
                f"{number / (end - start):.0f} per second with the first pass, "
                f"{number / (end - counted):.0f} in the second pass"
            )
    start = time.process_time()
    number = sum(1 for _ in question_program_pairs(0, arguments.pairs, ontology))
    print(f"pairs: {number / (time.process_time() - start):.0f} per second")


if __name__ == "__main__":
    main()
