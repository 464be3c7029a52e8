from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from detectors.scene import Scene, SceneObject
from knowledge.coclick import CoClickLog
from knowledge.expansion import Expander
from knowledge.ontology import Ontology
from knowledge.store import TripleStore


def scene(image: str, *names: str, features: np.ndarray | None = None) -> Scene:
    objects = [SceneObject(str(i), name, 1.0, (0, 0, 1, 1)) for i, name in enumerate(names)]
    return Scene(image, 10, 10, objects, features=features)


ROWS = [
    ("red car", "a", 10.0),
    ("car on street", "a", 1.0),
    ("red car", "b", 5.0),
    ("fast cars", "b", 5.0),
    ("sleeping cat", "c", 3.0),
]


def test_own_queries_come_by_clicks_and_shared_clicks_reach_further() -> None:
    log = CoClickLog(ROWS)
    assert log.own_queries("a") == [("red car", 10.0), ("car on street", 1.0)]
    assert log.own_queries("z") == []
    found = log.queries_for(scene("a", "car"), "What is on the street?", k=10)
    sources = {item.text: item.source for item in found}
    assert sources == {"red car": "own", "car on street": "own", "fast cars": "walk"}
    assert [item.relevance for item in found] == sorted(
        (item.relevance for item in found), reverse=True
    )
    assert all(0 <= item.relevance <= 1 for item in found)


def test_the_walk_agrees_with_dense_matrices() -> None:
    rng = np.random.default_rng(0)
    clicks = rng.integers(0, 4, size=(6, 5)).astype(float)
    clicks[:, 0] += 1
    clicks[0, :] += 1
    rows = [(f"q{q}", f"i{i}", clicks[q, i]) for q in range(6) for i in range(5) if clicks[q, i]]
    log = CoClickLog(rows)
    to_queries = clicks / clicks.sum(0)
    to_images = (clicks / clicks.sum(1, keepdims=True)).T
    seed = np.eye(5)[2]
    images = to_images @ (to_queries @ seed)
    expected = to_queries @ (0.5 * seed + 0.5 * images)
    start = log._images["i2"]
    shares = log._walk({start: 1.0}, -1)
    found = {log._queries[q]: share for q, share in shares.items()}
    assert found == pytest.approx({f"q{q}": v for q, v in enumerate(expected) if v > 0})
    assert sum(found.values()) == pytest.approx(1.0)


def test_an_image_without_clicks_borrows_from_its_nearest_pictures() -> None:
    log = CoClickLog(ROWS).with_scenes([scene("a", "car", "street"), scene("c", "cat", "bed")])
    found = log.queries_for(scene("new", "cat", "pillow"), "Is the animal asleep?")
    assert [(item.text, item.source, item.image_id) for item in found] == [
        ("sleeping cat", "similar", "c")
    ]
    assert found[0].object_ids == ("0",)
    assert CoClickLog(ROWS).queries_for(scene("new", "cat"), "Is it asleep?") == []


def test_features_decide_where_all_pictures_have_them() -> None:
    log = CoClickLog(ROWS).with_scenes(
        [
            scene("a", "cat", features=np.array([[1.0, 0.0]])),
            scene("c", "cat", features=np.array([[0.0, 1.0]])),
        ]
    )
    near = scene("new", "car", features=np.array([[0.1, 0.9], [0.0, 0.8]]))
    assert log.queries_for(near, "What is it?")[0].image_id == "c"


def test_without_own_queries_the_picture_itself_is_never_used() -> None:
    scenes = [scene("a", "car"), scene("b", "car"), scene("c", "cat")]
    log = CoClickLog(ROWS, transductive=False).with_scenes(scenes)
    found = log.queries_for(scene("a", "car"), "What is this?", k=10)
    assert {item.text for item in found} == {"red car", "fast cars"}
    assert all(item.image_id != "a" for item in found)


def record(text: str, image: str = "1", **fields: object) -> dict[str, object]:
    return {"question": text, "imageId": image, "answer": "secret", **fields}


QUESTIONS = [
    ("q1", record("Is there a dog?", entailed=["q2"], equivalent=["q1", "q4"])),
    ("q2", record("Is there an animal?")),
    ("q3", record("What color is the ball?")),
    ("q4", record("Do you see a dog?")),
    ("q5", record("Is there a large dog?", entailed=["q1"])),
    ("q6", record("Do you see an animal here?", entailed=["q4"])),
    ("q7", record("is there a DOG", "2")),
]


def texts(log: CoClickLog, question: str, question_id: str | None, image: str = "1") -> set[str]:
    found = log.queries_for(scene(image, "dog"), question, question_id=question_id, k=100)
    return {item.text for item in found}


@pytest.mark.parametrize("question_id", ["q1", None])
def test_leak_rules_hide_the_question_and_its_relatives_in_both_directions(
    question_id: str | None,
) -> None:
    log = CoClickLog.from_questions(QUESTIONS)
    assert texts(log, "Is there a dog?", question_id) == {"What color is the ball?"}
    assert "What color is the ball?" not in texts(log, "What color is the ball?", "q3")


def test_leak_rules_hide_equal_texts_of_other_pictures_too() -> None:
    log = CoClickLog.from_questions(QUESTIONS).with_scenes([scene("1", "dog"), scene("2", "dog")])
    found = texts(log, "Is there a dog?", None, image="3")
    assert not any("there a dog" in text.lower() for text in found)


def test_switching_the_rules_off_shows_what_they_prevent() -> None:
    log = CoClickLog.from_questions(QUESTIONS, leak_rules=False)
    assert "Is there a dog?" in texts(log, "Is there a dog?", "q1")


def test_answers_are_never_in_a_log_made_from_questions() -> None:
    log = CoClickLog.from_questions(QUESTIONS)
    assert "secret" not in str(log.__dict__)


def test_expansion_labels_the_mode_transductive() -> None:
    store, ontology = TripleStore.default(), Ontology.default()
    log = CoClickLog.from_questions(QUESTIONS)
    expander = Expander(store, ontology, coclick=log)
    context = expander.expand(scene("1", "dog"), "What color is the ball?", mode="both")
    assert context.transductive and context.to_json()["transductive"] is True
    assert context.queries and context.triples
    quiet = Expander(store, ontology, coclick=CoClickLog(ROWS, transductive=False))
    assert not quiet.expand(scene("1", "dog"), "What?", mode="coclick").transductive


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("cat\tc\t-3", "at least 0"),
        ("cat\tc\tmany", "expected a number"),
        ("cat\tc\tnan", "at least 0"),
        ("cat\tc", "3 columns"),
        ("cat\tc\t1\t2", "3 columns"),
        ("\tc\t1", "empty"),
        ("a" * 10_000 + "\tc\t1", "10000 characters"),
    ],
)
def test_broken_rows_are_counted_or_refused(tmp_path: Path, row: str, problem: str) -> None:
    path = write(tmp_path / "log.tsv", f"# query, image, clicks\nred car\ta\t10\n{row}\n")
    log = CoClickLog.read(path)
    assert log.report.broken == 1 and problem in log.report.first_broken[0]
    assert log.query_count == 1
    with pytest.raises(InputError, match="line 3"):
        CoClickLog.read(path, strict=True)


def test_a_log_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no usable row"):
        CoClickLog.read(write(tmp_path / "log.tsv", "cat\tc\t-1\n"))


def test_unknown_images_and_zero_clicks_give_nothing() -> None:
    log = CoClickLog([("cat", "c", 0.0)])
    assert log.queries_for(scene("c", "cat"), "Is it a cat?") == []
    assert log.queries_for(scene("unknown", "cat"), "Is it a cat?") == []
    assert "unknown" not in log and "c" in log


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=8), st.sampled_from("abc"), st.floats(0, 1e6)),
        max_size=20,
    ),
    st.text(max_size=40),
)
def test_any_log_and_question_give_bounded_relevances(
    rows: list[tuple[str, str, float]], question: str
) -> None:
    log = CoClickLog(rows)
    for item in log.queries_for(scene("a", "car"), question, k=5):
        assert 0 <= item.relevance <= 1 + 1e-9


def test_real_questions_never_leak_their_relatives(shared: Path) -> None:
    import json

    path = shared / "data" / "gqa" / "testdev_questions.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    log = CoClickLog.from_questions(records.items())
    shown = 0
    for question_id, item in list(records.items())[:400]:
        related = {question_id, *item["equivalent"], *item["entailed"]}
        related |= {q for q in item["equivalent"] if q in records}
        found = log.queries_for(
            scene(item["imageId"], "x"), item["question"], question_id=question_id, k=50
        )
        shown += len(found)
        for query in found:
            assert query.question_id not in related
            assert question_id not in records[query.question_id]["entailed"]
            assert query.text != item["question"]
    assert shown > 400


def test_the_random_control_has_as_many_queries_of_other_pictures() -> None:
    log = CoClickLog([(f"query {n}", f"picture {n % 7}", 1.0) for n in range(70)])
    expander = Expander(TripleStore.default(), Ontology.default(), coclick=log)
    asked = scene("picture 3", "dog")
    true = expander.expand(asked, "What is it?", mode="coclick")
    control = expander.expand(asked, "What is it?", mode="coclick_random", seed=1)
    assert len(control.queries) == len(true.queries) > 0
    assert not control.triples
    assert all(item.image_id != "picture 3" for item in control.queries)
    assert [q.relevance for q in control.queries] == [q.relevance for q in true.queries]
    again = expander.expand(asked, "What is it?", mode="coclick_random", seed=1)
    assert again.queries == control.queries
    assert expander.expand(asked, "What is it?", mode="coclick_random", seed=2) != control
