"""Soft execution under a known amount of detector noise, and how calibrated its yes is.

    python benchmarks/soft_execution_noise.py --scene-graphs sceneGraphs.json [--per-image 25]

Annotated graphs (TinyGQA's, for example) become dense probability arrays: a true class, attribute
or relation gets a draw from Beta(8q, 1), Beta(5q, 1), Beta(4q, 1), everything else one from
Beta(0.3, 6) or Beta(0.2, 8); boxes move by 2 pixels (standard deviation). Not a detector.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from detectors.scene import Scene, SceneObject, SceneVocabulary
from gqa_reasoner.program.executor import Executor
from gqa_reasoner.program.steps import Program
from gqa_reasoner.questions.engine import generate
from knowledge.ontology import Ontology
from knowledge.store import TripleStore


def noisy(
    scene: Scene, words: SceneVocabulary, rng: np.random.Generator, quality: float, relations: bool
) -> Scene:
    count = len(scene.objects)
    classes = np.zeros((count, len(words.classes)))
    attributes = rng.beta(0.3, 6, (count, len(words.attributes)))
    objects = []
    for place, item in enumerate(scene.objects):
        right = rng.beta(8 * quality, 1)
        classes[place, words.classes.index(item.name)] = right
        classes[place, rng.integers(len(words.classes), size=3)] += (1 - right) * 0.3
        for word in item.attributes:
            attributes[place, words.attributes.index(word)] = rng.beta(5 * quality, 1)
        box = np.array(item.box, dtype=float) + rng.normal(0, 2, 4)
        box[2:] = np.maximum(box[2:], box[:2] + 2)
        best = int(classes[place].argmax())
        objects.append(
            SceneObject(str(place), words.classes[best], float(classes[place, best]), tuple(box))
        )
    pairs = rng.beta(0.2, 8, (count, count, len(words.predicates)))
    index = scene.index()
    for relation in scene.relations:
        column = words.predicates.index(relation.predicate)
        pairs[index[relation.subject], index[relation.object], column] = rng.beta(4 * quality, 1)
    return Scene(
        scene.image_id,
        scene.width,
        scene.height,
        objects,
        scene_attributes=dict(scene.scene_attributes),
        class_probabilities=np.minimum(classes, 1).astype(np.float32),
        attribute_probabilities=attributes.astype(np.float32),
        relation_probabilities=pairs.astype(np.float32) if relations else None,
        vocabulary=words,
        detector="noisy",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene-graphs", type=Path, required=True)
    parser.add_argument("--per-image", type=int, default=25)
    arguments = parser.parse_args()
    graphs = json.loads(arguments.scene_graphs.read_text(encoding="utf-8"))
    scenes = {key: Scene.from_gqa(item, key, on_problem="repair") for key, item in graphs.items()}
    ontology, store = Ontology.default(), TripleStore.default()
    questions = generate(
        list(scenes.values()), ontology, seed=1, per_scene=arguments.per_image, store=store
    ).questions
    things = [item for scene in scenes.values() for item in scene.objects]
    words = SceneVocabulary(
        tuple(sorted({item.name for item in things})),
        tuple(sorted({word for item in things for word in item.attributes})),
        tuple(sorted({edge.predicate for scene in scenes.values() for edge in scene.relations})),
    )
    sizes = (len(words.classes), len(words.attributes), len(words.predicates))
    print(f"{len(questions)} questions; classes, attributes, predicates: {sizes}")
    executor = Executor(ontology, mode="soft", triples=store.has)
    for quality, relations in ((3, True), (1, True), (3, False)):
        rng = np.random.default_rng(0)
        index = {
            key: executor.index(noisy(scene, words, rng, quality, relations))
            for key, scene in scenes.items()
        }
        right: Counter[str] = Counter()
        total: Counter[str] = Counter()
        bins: dict[int, list[bool]] = defaultdict(list)
        for question in questions.values():
            program = Program.from_semantic(question.semantic or [])
            result = executor.run(program, index[question.image_id])
            kinds = ["all", str((question.types or {}).get("structural"))]
            if question.answer in ("yes", "no"):
                kinds.append("yes/no")
                share = result.answer_distribution.get("yes", 0.0)
                bins[min(int(share * 10), 9)].append(question.answer == "yes")
            for kind in kinds:
                total[kind] += 1
                right[kind] += result.answer == question.answer
        print(f"quality {quality}, relations {'given' if relations else 'withheld'}")
        print("  " + ", ".join(f"{kind} {right[kind] / total[kind]:.3f}" for kind in total))
        shares = {key: f"{np.mean(bins[key]):.2f} of {len(bins[key])}" for key in sorted(bins)}
        print("  P(yes) tenths: " + ", ".join(f"{key / 10} {text}" for key, text in shares.items()))


if __name__ == "__main__":
    main()
