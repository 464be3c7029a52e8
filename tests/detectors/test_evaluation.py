from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.calibration import calibrate, expected_calibration_error
from detectors.errors import InputError
from detectors.evaluation import (
    attribute_scores,
    average_precision,
    evaluate_scenes,
    fact_scores,
    match_objects,
)
from detectors.relation_evaluation import INVERSES, relation_recall
from detectors.scene import Relation, Scene, SceneObject, SceneVocabulary


def thing(number: int, name: str, x: float, *attributes: str, score: float = 1.0) -> SceneObject:
    box = (x, 10.0, x + 20, 30.0)
    return SceneObject(str(number), name, score, box, dict.fromkeys(attributes, 1.0))


def scene(*objects: SceneObject, relations: tuple[Relation, ...] = ()) -> Scene:
    return Scene("1", 200, 100, list(objects), list(relations))


TRUTH = scene(
    thing(0, "dog", 0, "red"),
    thing(1, "cat", 50, "blue", "small"),
    relations=(Relation("0", "to the left of", "1"), Relation("1", "to the right of", "0")),
)


def test_the_truth_itself_scores_one() -> None:
    scores = evaluate_scenes([TRUTH], [TRUTH])
    assert scores["AP50"] == pytest.approx(1)
    assert scores["attribute_accuracy"] == scores["attribute_exact"] == 1
    assert scores["relation_recall@20"] == scores["each_once"]["relation_recall@20"] == 1


def test_a_missed_object_halves_the_class_mean_and_a_wrong_name_finds_nothing() -> None:
    assert average_precision([TRUTH], [scene(TRUTH.objects[0])])["AP50"] == pytest.approx(0.5)
    wrong = scene(thing(0, "cat", 0), thing(1, "dog", 50))
    assert average_precision([TRUTH], [wrong])["AP50"] == 0


def test_no_predictions_score_zero() -> None:
    assert average_precision([TRUTH], [scene()])["AP50"] == 0
    assert relation_recall([TRUTH], [scene()])["relation_recall@50"] == 0


def test_attribute_accuracy_counts_missing_and_surplus_names() -> None:
    guess = scene(thing(0, "dog", 0, "red", "small"), thing(1, "cat", 50, "blue"))
    scores = attribute_scores([TRUTH], [guess])
    assert scores["attribute_accuracy"] == pytest.approx(2 / 4)
    assert scores["attribute_exact"] == 0
    assert scores["matched_objects"] == 2


def test_matching_is_one_to_one_and_prefers_high_scores() -> None:
    twice = scene(thing(0, "dog", 1, score=0.6), thing(1, "dog", 0, score=0.9))
    assert match_objects(TRUTH, twice) == [(0, 1)]


def test_relations_are_ranked_by_all_three_scores() -> None:
    names = SceneVocabulary(predicates=("near", "to the left of"))
    guess = scene(thing(0, "dog", 0), thing(1, "cat", 50))
    dense = np.full((2, 2, 2), 0.5)
    dense[0, 1, 1] = 0.4
    guess = replace(guess, relation_probabilities=dense, vocabulary=names)
    truth = replace(TRUTH, relations=[TRUTH.relations[0]])
    assert relation_recall([truth], [guess], (5, 8))["relation_recall@5"] == 0
    assert relation_recall([truth], [guess], (5, 8))["relation_recall@8"] == 1


def test_relations_listed_in_both_directions_count_once_when_inverses_are_merged() -> None:
    names = SceneVocabulary(predicates=("to the left of", "to the right of"))
    dense = np.zeros((2, 2, 2))
    dense[0, 1, 0] = 0.9
    guess = scene(thing(0, "dog", 0), thing(1, "cat", 50))
    guess = replace(guess, relation_probabilities=dense, vocabulary=names)
    assert relation_recall([TRUTH], [guess])["relation_recall@50"] == 0.5
    assert relation_recall([TRUTH], [guess], inverses=INVERSES)["relation_recall@50"] == 1


def test_the_ceiling_says_what_k_allows() -> None:
    assert relation_recall([TRUTH], [TRUTH], (1,))["relation_recall@1_ceiling"] == 0.5


def test_facts_are_compared_where_the_detector_gives_them() -> None:
    guess = scene()
    guess.scene_attributes = {"weather": "sunny", "probabilities": {"weather": {}, "place": {}}}
    truth = replace(TRUTH, scene_attributes={"weather": "sunny"})
    assert fact_scores([truth], [guess]) == {"fact_place": 1.0, "fact_weather": 1.0}


def test_other_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="same pictures"):
        evaluate_scenes([TRUTH], [replace(TRUTH, image_id="2")])


def overconfident(rng: np.random.Generator, number: int) -> tuple[Scene, Scene]:
    right = rng.random() < 0.7
    truth = scene(thing(0, "dog", 0 if right else 150, "red"))
    names = SceneVocabulary(("dog", "cat"), ("red",), ("near",))
    guess = replace(
        scene(thing(0, "dog", 0, score=0.98)),
        class_probabilities=np.array([[0.98, 0.01]]),
        attribute_probabilities=np.array([[0.9]]),
        relation_probabilities=np.zeros((1, 1, 1)),
        vocabulary=names,
    )
    return replace(truth, image_id=str(number)), replace(guess, image_id=str(number))


def test_overconfident_scores_get_a_temperature_above_one() -> None:
    rng = np.random.default_rng(0)
    pairs = [overconfident(rng, number) for number in range(200)]
    truth, guesses = [a for a, _ in pairs], [b for _, b in pairs]
    fitted = calibrate(truth, guesses)
    assert fitted.class_temperature > 1.5
    assert fitted.attribute_temperature < 1
    assert expected_calibration_error(truth, guesses) == pytest.approx(0.28, abs=0.08)


def test_calibration_without_predictions_changes_nothing() -> None:
    assert calibrate([TRUTH], [scene()])[:3] == (1.0, 1.0, 1.0)
