"""The default runner of ablations: settings checked, modes named, misses simulated honestly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detectors.errors import InputError
from detectors.scene import Relation, Scene, SceneObject
from eval.ablation import AblationConfig, Configuration
from gqa_reasoner.ablation_runner import make_runner
from gqa_reasoner.pipeline import EXPANSION_MODES
from gqa_reasoner.training.scene_cache import without_objects
from knowledge.context import MODES


def test_every_mode_of_the_expansion_can_be_asked_for() -> None:
    assert EXPANSION_MODES == MODES


def test_a_missed_object_takes_its_rows_columns_and_relations_along() -> None:
    objects = [SceneObject(str(i), f"thing{i}", 0.9, (i, 0, i + 1, 1)) for i in range(40)]
    links = [Relation(str(i), "near", str(i + 1)) for i in range(39)]
    scene = Scene("a", 50, 50, objects, links)
    scene.class_probabilities = np.arange(40)[:, None] * np.ones((1, 3))
    scene.relation_probabilities = np.arange(1600).reshape(40, 40, 1)
    thinned = without_objects(scene, 0.4, seed=1)
    assert 14 < len(thinned.objects) < 34
    kept = [int(item.id) for item in thinned.objects]
    assert thinned.class_probabilities[:, 0].tolist() == kept
    assert thinned.relation_probabilities[0, 1, 0] == kept[0] * 40 + kept[1]
    assert all({int(r.subject), int(r.object)} <= set(kept) for r in thinned.relations)
    assert without_objects(scene, 0.4, seed=1).objects == thinned.objects
    assert without_objects(scene, 0.4, seed=2).objects != thinned.objects
    assert without_objects(scene, 0.0, seed=1).objects == scene.objects


@pytest.fixture
def config(tmp_path: Path) -> AblationConfig:
    thing = {"name": "dog", "x": 1, "y": 2, "w": 30, "h": 40, "attributes": [], "relations": []}
    graph = {"width": 100, "height": 100, "objects": {"1": thing}}
    (tmp_path / "graphs.json").write_text(json.dumps({"i": graph}))
    record = {"question": "Is there a dog?", "imageId": "i", "answer": "yes"}
    (tmp_path / "questions.json").write_text(json.dumps({"q": record}))
    return AblationConfig(questions=tmp_path / "questions.json", output=tmp_path / "out")


def test_a_cell_answers_every_question(config: AblationConfig) -> None:
    runner = make_runner(config, {"scene_graphs": config.questions.parent / "graphs.json"})
    for source, control in (("none", "real"), ("triples", "real"), ("triples", "matched")):
        output = runner(Configuration(source, control, 0))
        assert output.predictions == {"q": "yes"}
        assert (output.tokens > 0) == (source == "triples" and control == "real")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either images or scene_graphs"),
        ({"scene_graphs": "x", "speed": 3}, "settings: speed"),
        ({"scene_graphs": "x", "miss": 1.5}, "settings: miss"),
    ],
)
def test_wrong_settings_are_named(config: AblationConfig, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_runner(config, settings)


def test_a_control_that_is_not_defined_is_refused(config: AblationConfig) -> None:
    runner = make_runner(config, {"scene_graphs": config.questions.parent / "graphs.json"})
    with pytest.raises(InputError, match="controls_of"):
        runner(Configuration("coclick", "shuffled", 0))


def test_training_in_the_grid_excludes_other_weights(config: AblationConfig) -> None:
    training = {"data": "d", "output": "o"}
    settings = {"images": "x", "weights": "w", "training": training}
    with pytest.raises(InputError, match="leave out weights"):
        make_runner(config, settings)
    with pytest.raises(InputError, match=r"settings: training\.sped"):
        make_runner(config, {"images": "x", "training": {**training, "sped": 1}})
