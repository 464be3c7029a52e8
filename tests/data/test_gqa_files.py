"""GQA's files read and write back equal, stream, and fail with one clear line."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.errors import InputError
from eval.json_items import iterate_json_items, iterate_json_values
from gqa_reasoner.data.questions import Question, iterate_questions, read_questions, write_questions
from gqa_reasoner.data.scene_graphs import (
    find_scene_graph,
    iterate_choices,
    read_scene_graphs,
    write_scene_graphs,
)

QUESTION_FILES = ("testdev_questions", "val_questions", "train_questions", "val_graph_questions")


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_every_real_question_writes_back_equal(shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "data" / "gqa" / f"{name}.json"
    write_questions(tmp_path / "out.json", iterate_questions(source))
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(source.read_text())


@pytest.mark.parametrize("name", ["train_sceneGraphs", "val_sceneGraphs"])
def test_every_real_scene_graph_writes_back_equal(shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "data" / "gqa" / f"{name}.json"
    scenes = read_scene_graphs(source)
    write_scene_graphs(tmp_path / "out.json", scenes.values())
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(source.read_text())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values), st.sampled_from([None, 2]), st.booleans())
def test_streamed_items_equal_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, record: dict, indent: int | None, ascii_only: bool
) -> None:
    file = tmp_path_factory.mktemp("stream") / "items.json"
    file.write_text(json.dumps(record, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert dict(iterate_json_items(file)) == record


@given(st.lists(json_values))
def test_streamed_values_equal_the_whole_list(
    tmp_path_factory: pytest.TempPathFactory, record: list
) -> None:
    file = tmp_path_factory.mktemp("stream") / "values.json"
    file.write_text(json.dumps(record), encoding="utf-8")
    assert list(iterate_json_values(file)) == record


def test_records_on_chunk_borders_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {f"key{i}": {"text": "x" * i, "number": i * 1000} for i in range(60)}
    (tmp_path / "a.json").write_text(json.dumps(record))
    for chunk in (1, 2, 7, 64):
        monkeypatch.setattr("eval.json_items._CHUNK", chunk)
        assert dict(iterate_json_items(tmp_path / "a.json")) == record


def test_streaming_holds_a_small_part_of_a_large_file(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    record = {"question": "What is it?" * 20, "imageId": "1", "answer": "cat"}
    with file.open("w") as stream:
        stream.write("{" + ",".join(f'"{i}": {json.dumps(record)}' for i in range(60_000)) + "}")
    tracemalloc.start()
    assert sum(1 for _ in iterate_questions(file)) == 60_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.stat().st_size > 15_000_000
    assert peak < 8_000_000


def test_a_folder_of_files_is_one_set_of_questions(tmp_path: Path) -> None:
    for part in range(3):
        record = {f"q{part}": {"question": "What is it?", "imageId": "7"}}
        (tmp_path / f"train_all_questions_{part}.json").write_text(json.dumps(record))
    assert list(read_questions(tmp_path)) == ["q0", "q1", "q2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got an empty file"),
        ("[1]", "expected an object of records"),
        ('{"a": {"question": "x"', "record a: the file ends early"),
        ('{"a": {"question" "x"}}', "record a: not valid JSON"),
        ('{"a": {"question": "x", "imageId": "1"}} tail', "text behind the last record"),
        ('{"a": {"question": "x"}}', "question a: field 'imageId' must be a string"),
        ('{"a": {"question": 5, "imageId": "1"}}', "field 'question' must be a string, got 5"),
        ('{"a": []}', "question a: expected an object, got list"),
        (
            '{"a": {"question": "x", "imageId": "1", "semantic": "y"}}',
            "field 'semantic' must be of type list, got str",
        ),
    ],
)
def test_broken_question_files_name_file_record_and_field(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        list(iterate_questions(file))
    assert str(file) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"a": "\xff\xfe"}')
    with pytest.raises(InputError, match="not UTF-8"):
        list(iterate_questions(tmp_path / "x.json"))


def test_absent_fields_stay_absent_and_unknown_fields_stay() -> None:
    record = {"question": "What?", "imageId": "1", "otherAnswers": ["a"], "groups": None}
    question = Question.from_gqa("q", record)
    assert question.answer is None
    assert question.to_gqa() == record


def _graph(**changes: object) -> dict:
    thing = {"name": "cat", "x": 1, "y": 2, "w": 3, "h": 4, "attributes": [], "relations": []}
    return {"width": 10, "height": 10, "objects": {"1": thing | changes}}


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_graph(name=None), "object 1: field 'name' must be a string"),
        (_graph(x="3"), "object 1: field 'x' must be a number, got '3'"),
        (_graph(w=-2), "object 1: negative box size"),
        (_graph(relations=[{"name": "on", "object": "9"}]), "names the missing object '9'"),
        (_graph(attributes="red"), "field 'attributes' must be a list of strings"),
        ({"width": 1, "height": 1}, "field 'objects' must map"),
        ({"objects": {}}, "field 'width' must be a number"),
    ],
)
def test_broken_scene_graphs_name_image_object_and_field(
    tmp_path: Path, graph: dict, message: str
) -> None:
    file = tmp_path / "graphs.json"
    file.write_text(json.dumps({"img": graph}))
    with pytest.raises(InputError, match="image img") as caught:
        read_scene_graphs(file)
    assert message in str(caught.value)


def test_repair_drops_dangling_relations_and_turns_negative_boxes(tmp_path: Path) -> None:
    graph = _graph(w=-2, relations=[{"name": "on", "object": "9"}])
    (tmp_path / "g.json").write_text(json.dumps({"img": graph}))
    problems: list[str] = []
    scene = read_scene_graphs(tmp_path / "g.json", on_problem="repair", problems=problems)["img"]
    assert scene.relations == []
    assert scene.objects[0].box == (-1, 2, 1, 6)
    assert len(problems) == 2


def test_one_scene_graph_is_found_or_its_absence_said(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text(json.dumps({"img": _graph()}))
    assert find_scene_graph(tmp_path / "g.json", "img").objects[0].name == "cat"
    with pytest.raises(InputError, match="no image 'other' among its 1"):
        find_scene_graph(tmp_path / "g.json", "other")


def test_a_scene_is_a_networkx_graph_with_its_names_and_predicates(tmp_path: Path) -> None:
    graph = _graph(relations=[{"name": "on", "object": "2"}])
    graph["objects"]["2"] = _graph()["objects"]["1"] | {"name": "mat"}
    (tmp_path / "g.json").write_text(json.dumps({"img": graph}))
    view = find_scene_graph(tmp_path / "g.json", "img").to_networkx()
    assert view.nodes["2"]["name"] == "mat"
    assert [data["predicate"] for _, _, data in view.edges(data=True)] == ["on"]


def test_choices_of_another_form_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"q": {"valid": ["a"], "plausible": "b"}}')
    with pytest.raises(InputError, match="question q: field 'plausible'"):
        list(iterate_choices(tmp_path / "c.json"))
