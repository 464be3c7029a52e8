"""How many questions a second one core executes; run alone on a quiet machine.

    python benchmarks/bench_executor.py [--scene-graphs G ...] [--per-image 20] [--seconds 3]

Without scene graphs it makes its own pictures' graphs. Hard mode: every scene is indexed once for
its questions, and this indexing counts. Soft mode: 20 objects, 120 classes, 10 attributes and 15
predicates in dense arrays; the scene is indexed afresh for every question. Times are CPU seconds
of this process, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from detectors.scene import Relation, Scene, SceneObject, SceneVocabulary
from gqa_reasoner.program.executor import Executor
from gqa_reasoner.program.steps import Program
from gqa_reasoner.questions.engine import generate
from knowledge.ontology import Ontology

PREDICATES = (
    *("to the left of", "to the right of", "on", "in", "near", "behind", "in front of"),
    *("above", "below", "under", "holding", "wearing", "riding", "sitting on", "next to"),
)


def _own_scene(number: int, rng: np.random.Generator, names: list[str]) -> Scene:
    objects = []
    for place in range(15):
        x, y = (int(value) for value in rng.integers(0, 250, 2))
        w, h = (int(value) for value in rng.integers(20, 70, 2))
        attributes = {str(rng.choice(["red", "blue", "white", "brown"])): 1.0}
        name = str(rng.choice(names))
        objects.append(SceneObject(str(place), name, 1.0, (x, y, x + w, y + h), attributes))
    relations = []
    for one in objects:
        for other in objects:
            if one.box[2] < other.box[0] and rng.random() < 0.3:
                relations.append(Relation(one.id, "to the left of", other.id))
                relations.append(Relation(other.id, "to the right of", one.id))
    for _ in range(6):
        one, other = rng.choice(15, 2, replace=False)
        relations.append(Relation(str(one), str(rng.choice(PREDICATES[2:])), str(other)))
    return Scene(f"own{number}", 320, 320, objects, relations, {"location": "kitchen"})


def _dense_scene(rng: np.random.Generator, names: list[str]) -> Scene:
    words = ["red", "blue", "white", "brown", "black", "green", "large", "small", "wood", "sitting"]
    vocabulary = SceneVocabulary(tuple(names[:120]), tuple(words), PREDICATES)
    objects = []
    for place in range(20):
        x, y = (int(value) for value in rng.integers(0, 250, 2))
        objects.append(SceneObject(str(place), names[place], 0.9, (x, y, x + 60, y + 60)))
    return Scene(
        "dense",
        320,
        320,
        objects,
        class_probabilities=rng.dirichlet(np.full(120, 0.02), 20).astype(np.float32),
        attribute_probabilities=rng.random((20, len(words)), dtype=np.float32),
        relation_probabilities=rng.random((20, 20, len(PREDICATES)), dtype=np.float32) ** 4,
        vocabulary=vocabulary,
    )


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Questions per CPU second; the first pass warms up and does not count."""
    work()
    done, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        done += work()
    return done / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene-graphs", type=Path, nargs="*", default=[])
    parser.add_argument("--per-image", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    ontology = Ontology.default()
    names = [name for name in ontology.names() if " " not in name and ontology.is_a(name, "object")]
    scenes = [
        Scene.from_gqa(record, key, on_problem="repair")
        for path in arguments.scene_graphs
        for key, record in json.loads(path.read_text(encoding="utf-8")).items()
    ] or [_own_scene(number, rng, names[:200]) for number in range(150)]
    questions = generate(scenes, ontology, seed=0, per_scene=arguments.per_image).questions
    by_image: dict[str, list[Program]] = {}
    for question in questions.values():
        program = Program.from_semantic(question.semantic or [])
        by_image.setdefault(question.image_id, []).append(program)
    scenes = [scene for scene in scenes if scene.image_id in by_image]
    programs = [program for group in by_image.values() for program in group]
    steps = sum(map(len, programs)) / len(programs)
    objects = sum(len(scene.objects) for scene in scenes) / len(scenes)
    print(
        f"{len(programs)} questions, {steps:.1f} steps; {len(scenes)} scenes, {objects:.1f} objects"
    )

    hard = Executor(ontology)
    for share in (False, True):
        indexed = {scene.image_id: hard.index(scene) for scene in scenes}

        def run(indexed: dict = indexed, share: bool = share) -> int:
            for scene in scenes:
                evidence = indexed[scene.image_id] if share else hard.index(scene)
                for program in by_image[scene.image_id]:
                    hard.run(program, evidence)
            return len(programs)

        label = "scenes indexed beforehand" if share else "indexing included"
        print(f"hard, {label}: {_rate(run, arguments.seconds):,.0f} questions/s")

    soft = Executor(ontology, mode="soft")
    dense = _dense_scene(rng, names)
    sample = programs[:500]

    def run_soft() -> int:
        for program in sample:
            soft.run(program, dense)
        return len(sample)

    rate = _rate(run_soft, arguments.seconds)
    print(f"soft, 20 objects, indexed per question: {1000 / rate:.3f} ms")
    times = []
    for program in sample:
        started = time.process_time()
        soft.run(program, dense)
        times.append(1000 * (time.process_time() - started))
    print(f"soft, slowest 1 % of {len(sample)} questions: {np.quantile(times, 0.99):.3f} ms")


if __name__ == "__main__":
    main()
