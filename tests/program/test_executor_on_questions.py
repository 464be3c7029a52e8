"""The executor on the question engine's questions, beside the brute-force interpreter."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.program.executor import Executor
from gqa_reasoner.program.steps import Program
from gqa_reasoner.questions.engine import generate
from knowledge.ontology import Ontology
from tests.program.brute_force import UNCLEAR, interpret

ONTOLOGY = Ontology.default()


def _compare(scenes: Iterable[Scene], per_scene: int) -> Counter[str]:
    """How often executor, interpreter and engine agree; a disagreement fails at once."""
    by_image = {scene.image_id: scene for scene in scenes}
    # `generate` without a check: the answers are the engine's own, not the executor's
    questions = generate(list(by_image.values()), ONTOLOGY, seed=7, per_scene=per_scene).questions
    executors = {ids: Executor(ONTOLOGY, object_ids=ids) for ids in (True, False)}
    counts: Counter[str] = Counter()
    for question in questions.values():
        program = Program.from_semantic(question.semantic or [])
        scene = by_image[question.image_id]
        for ids, executor in executors.items():
            answer = executor.run(program, scene).answer
            expected = interpret(program, scene, ONTOLOGY, lambda *triple: False, use_ids=ids)
            counts["right" if answer == question.answer else "wrong"] += 1
            if expected == UNCLEAR:
                counts["unclear"] += 1
                continue
            counts["decided"] += 1
            message = (question.question, program.to_display(), expected, answer)
            assert answer == expected, message
    return counts


def _real_scenes(shared: Path) -> list[Scene]:
    scenes = []
    for name in ("train_sceneGraphs.json", "val_sceneGraphs.json"):
        graphs = json.loads((shared / "data" / "gqa" / name).read_text(encoding="utf-8"))
        scenes += [Scene.from_gqa(item, key, on_problem="repair") for key, item in graphs.items()]
    return scenes


def test_generated_questions_on_all_real_graphs_agree_with_brute_force(shared: Path) -> None:
    counts = _compare(_real_scenes(shared), per_scene=12)
    assert counts["decided"] > 2500
    assert counts["unclear"] < 0.05 * counts.total()
    assert counts["wrong"] <= 0.005 * (counts["right"] + counts["wrong"])


def _tiny_scene(number: int) -> Scene:
    """A TinyGQA-like scene graph without its picture."""
    names = ["man", "dog", "table", "chair", "apple", "hat", "tree", "car", "girl", "cat", "boat"]
    colours = ["red", "blue", "brown", "white", "black"]
    objects = []
    for place in range(8):
        kind = (number * 5 + place * 3) % len(names)
        x, y = (place * 37 + number * 11) % 280, (place * 53 + number * 17) % 190
        box = (x, y, x + 20 + place * 3, y + 30 + place * 2)
        attributes = {colours[(place + number) % 5]: 1.0, ("small", "large")[place % 2]: 1.0}
        objects.append(SceneObject(str(place), names[kind], 1.0, box, attributes))
    relations = []
    for one in objects:
        for other in objects:
            if one.box[2] < other.box[0]:
                relations.append(Relation(one.id, "to the left of", other.id))
                relations.append(Relation(other.id, "to the right of", one.id))
    relations.append(Relation("0", "holding", "4"))
    relations.append(Relation("4", "on", "2"))
    facts = {"location": ("kitchen", "street", "beach")[number % 3], "weather": "sunny"}
    return Scene(f"tiny{number}", 320, 240, objects, relations, dict(facts))


def test_generated_questions_on_tiny_graphs_agree_with_brute_force() -> None:
    counts = _compare([_tiny_scene(number) for number in range(40)], per_scene=15)
    assert counts["decided"] > 800
    assert counts["wrong"] == 0


@pytest.mark.parametrize("module", ["gqa_reasoner.program.executor", "gqa_reasoner.program.trace"])
def test_modules_do_not_pull_in_torch(module: str) -> None:
    import subprocess
    import sys

    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
