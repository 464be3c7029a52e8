"""The JSON interface: the command line's records, clear refusals, never a status of 5xx."""

from __future__ import annotations

import io
import json
from pathlib import Path
from urllib.parse import quote

import PIL.Image
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gqa_reasoner.cli import main
from tests.web.test_uploads import png_of

RIDING = {"question": "What is the girl riding?", "image_id": "elephant.jpg"}
TEA = {"question": "Which object is used for making tea?", "image_id": "kitchen.jpg"}


def error_of(response: object, status: int) -> str:
    assert response.status_code == status, response.text  # type: ignore[attr-defined]
    return response.json()["error"]  # type: ignore[attr-defined, no-any-return]


def test_find_gives_the_record_of_the_command_line(
    client: TestClient, indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "Which pictures show a girl?"
    found = client.get("/api/find", params={"question": question, "limit": 20}).json()
    assert main(["find", str(indexed), question, "--limit", "20", "--json"]) == 0
    assert found == json.loads(capsys.readouterr().out)
    assert found["method"] == "program"
    assert {image["image_id"] for image in found["images"]} == {
        "beach.jpg", "elephant.jpg", "night_beach.jpg", "street.jpg",
    }  # fmt: skip


def test_ask_gives_the_record_of_the_command_line(
    client: TestClient, indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = client.post("/api/ask", json=RIDING).json()
    assert main(["ask", str(indexed / "elephant.jpg"), RIDING["question"], "--json"]) == 0
    assert found == json.loads(capsys.readouterr().out)
    assert found["answer"] == "elephant"
    assert [step["objects"][0]["name"] for step in found["trace"]] == [
        "girl",
        "elephant",
        "elephant",
    ]


def test_the_expansion_can_be_chosen(client: TestClient) -> None:
    with_triples = client.post("/api/ask", json=TEA).json()
    without = client.post("/api/ask", json={**TEA, "expansion": "none"}).json()
    assert with_triples["answer"] == "teapot"
    assert any(item["tail"] == "making tea" for item in with_triples["context"]["triples"])
    assert without["context"] == {"triples": [], "queries": []}


def test_compare_answers_with_every_source_of_context(client: TestClient) -> None:
    found = client.post("/api/compare", json=TEA).json()
    by_mode = {item["expansion"]: item for item in found["answers"]}
    assert set(by_mode) == {"none", "triples", "random", "shuffled", "empty"}  # no clicks here
    assert by_mode["triples"]["answer"] == "teapot"
    assert by_mode["random"]["context"]["triples"] != by_mode["triples"]["context"]["triples"]


def test_the_collection_describes_itself(client: TestClient) -> None:
    about = client.get("/api/collection").json()
    assert (about["name"], about["pictures"], about["detector"]) == ("pictures", 8, "default")
    assert about["recording"] is None
    for question in about["suggestions"]:
        found = client.get("/api/find", params={"question": question}).json()
        assert found["method"] == "program", question


def test_pictures_are_listed_in_parts_and_by_id(client: TestClient) -> None:
    first = client.get("/api/pictures", params={"limit": 3}).json()
    assert first["total"] == 8
    assert [item["image_id"] for item in first["pictures"]] == [
        "beach.jpg", "desk.jpg", "elephant.jpg",
    ]  # fmt: skip
    assert first["pictures"][0] == {"image_id": "beach.jpg", "width": 320, "height": 240}
    named = client.get("/api/pictures", params=[("id", "tea.jpg"), ("id", "x"), ("id", "desk.jpg")])
    assert [item["image_id"] for item in named.json()["pictures"]] == ["tea.jpg", "desk.jpg"]


def test_a_picture_has_objects_facts_and_a_caption_if_the_index_has_one(client: TestClient) -> None:
    tea = client.get("/api/picture", params={"id": "tea.jpg"}).json()
    assert tea["caption"] == "A woman sits down to tea"
    assert tea["missing"] is None
    assert {"name", "score", "box", "attributes"} <= set(tea["objects"][0])
    assert "caption" not in client.get("/api/picture", params={"id": "desk.jpg"}).json()


def test_similar_pictures_do_not_include_the_picture_itself(client: TestClient) -> None:
    found = client.get("/api/similar", params={"id": "beach.jpg", "limit": 3}).json()["images"]
    assert len(found) == 3
    assert "beach.jpg" not in [image["image_id"] for image in found]


def test_pictures_and_thumbnails_are_sent_with_tags(client: TestClient, indexed: Path) -> None:
    image = client.get("/api/image", params={"id": "tea.jpg"})
    assert image.content == (indexed / "tea.jpg").read_bytes()
    assert image.headers["content-type"] == "image/jpeg"
    small = client.get("/api/thumbnail", params={"id": "tea.jpg"})
    assert max(PIL.Image.open(io.BytesIO(small.content)).size) <= 256
    for path, response in (("/api/image", image), ("/api/thumbnail", small)):
        again = client.get(
            path, params={"id": "tea.jpg"}, headers={"if-none-match": response.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")


def test_an_upload_can_be_asked_about_and_seen(client: TestClient, indexed: Path) -> None:
    data = (indexed / "elephant.jpg").read_bytes()
    sent = client.post("/api/upload", files={"file": ("mine.jpg", data)}).json()
    assert {"elephant", "girl"} <= {item["name"] for item in sent["objects"]}
    found = client.post(
        "/api/ask", json={"question": RIDING["question"], "upload": sent["upload"]}
    ).json()
    assert found["answer"] == "elephant"
    token = {"token": sent["upload"]}
    assert client.get("/api/upload", params=token).json() == sent
    assert client.get("/api/upload/image", params=token).headers["content-type"] == "image/jpeg"
    assert "upload the picture again" in error_of(
        client.post("/api/ask", json={"question": "What?", "upload": "forged"}), 404
    )


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "empty"),
        (b"no picture", 415, "not a picture"),
        (png_of(20_000, 10_000), 413, "too many pixels"),
        (b"x" * (21 << 20), 413, "larger than"),
    ],
    ids=["empty", "text", "200 megapixels", "21 MiB"],
)
def test_unusable_uploads_are_refused(
    client: TestClient, content: bytes, status: int, words: str
) -> None:
    response = client.post("/api/upload", files={"file": ("a.png", content)})
    assert words in error_of(response, status)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"--x\r\n", "multipart/form-data; boundary=x"), (b"abc", "multipart/form-data"),
     (b"a=b", "application/x-www-form-urlencoded"), (b"{}", "application/json"), (b"", "x/y")],
)  # fmt: skip
def test_malformed_forms_are_refused(client: TestClient, content: bytes, kind: str) -> None:
    response = client.post("/api/upload", content=content, headers={"content-type": kind})
    assert 400 <= response.status_code < 500
    assert response.json()["error"]


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "..\\..\\etc\\passwd", "beach.jpg/../../etc/passwd",
     "%2e%2e/etc/passwd", "beach.jpg\0", ".gqa-reasoner/settings.json", "é\u202e", ""],
)  # fmt: skip
def test_no_path_leads_out_of_the_collection(client: TestClient, path: str) -> None:
    for route in ("image", "thumbnail", "picture", "similar"):
        response = client.get(f"/api/{route}", params={"id": path})
        assert "no picture" in error_of(response, 404)
    assert client.get(f"/static/{quote(path)}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"question": "What ', 400, "not JSON"),
        (b"", 422, "body"),
        (b"[]", 422, "body"),
        (b"null", 422, "body"),
        (b'{"question": 3, "image_id": "tea.jpg"}', 422, "question: Input should be"),
        (b'{"image_id": "tea.jpg"}', 422, "question: Field required"),
        (b'{"question": "  ", "image_id": "tea.jpg"}', 422, "question: empty"),
        (b'{"question": "What?"}', 422, "either image_id or upload"),
        (b'{"question": "What?", "image_id": "a", "upload": "b"}', 422, "either image_id or"),
        (b'{"question": "What?", "image_id": "nothing.jpg"}', 404, "no picture 'nothing.jpg'"),
        (b'{"question": "What?", "image_id": "tea.jpg", "expansion": "x"}', 422, "expected one of"),
        (b'{"question": "Q?", "image_id": "tea.jpg", "expansion": "both"}', 422, "click log"),
        (b'{"question": "What?", "image_id": "tea.jpg", "odd": 1}', 422, "odd: Extra inputs"),
        (b'{"question": "\\ud800", "image_id": "tea.jpg"}', 422, "question:"),
        (b'{"question": "What?", "image_id": "\\udfff"}', 422, "image_id:"),
        (b"\xff\xfe", 400, ""),
        (b"[" * 60_000, 400, ""),
        (b'{"question": "' + b"why " * 200 + b'", "image_id": "tea.jpg"}', 422, "at most 500"),
        (b'{"question": "' + b"x" * 70_000 + b'"}', 413, "larger than"),
    ],
)  # fmt: skip
def test_unusable_questions_are_refused_in_words(
    client: TestClient, body: bytes, status: int, words: str
) -> None:
    response = client.post("/api/ask", content=body, headers={"content-type": "application/json"})
    assert words in error_of(response, status)


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "question: Field required"), ("question=", "question: empty"),
     ("question=a&limit=0", "limit: "), ("question=a&limit=x", "limit: "),
     ("question=a&limit=101", "limit: "), ("question=" + "a" * 501, "at most 500")],
)  # fmt: skip
def test_unusable_searches_are_refused_in_words(client: TestClient, query: str, words: str) -> None:
    assert words in error_of(client.get(f"/api/find?{query}"), 422)


@given(question=st.text(max_size=60))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_question_whatever_breaks_the_server(client: TestClient, question: str) -> None:
    found = client.get("/api/find", params={"question": question})
    assert found.status_code in (200, 422), found.text
    asked = client.post("/api/ask", json={"question": question, "image_id": "desk.jpg"})
    assert asked.status_code in (200, 422), asked.text


def test_no_result_is_said_in_words(client: TestClient) -> None:
    found = client.get("/api/find", params={"question": "quantum chromodynamics"}).json()
    assert (found["answer"], found["method"], found["images"]) == ("0", "vector", [])
    assert found["notes"]


def test_unknown_addresses_and_methods_are_refused_in_words(client: TestClient) -> None:
    assert error_of(client.get("/nothing"), 404) == "no such page"
    assert "method" in error_of(client.get("/api/ask"), 405)
    assert "method" in error_of(client.request("BREW", "/"), 405)


def test_openapi_describes_every_route_without_another_site(client: TestClient) -> None:
    spec = client.get("/openapi.json").json()
    assert {"/api/find", "/api/ask", "/api/compare", "/api/upload", "/health"} <= set(spec["paths"])
    answer = spec["components"]["schemas"]["AnswerRecord"]
    assert {"answer", "score", "candidates", "program", "trace", "context"} <= set(
        answer["required"]
    )
    for path in ("/", "/picture", "/interface", "/static/app.js", "/static/base.css"):
        text = client.get(path).text
        assert "//cdn" not in text
        assert "https://" not in text
    assert client.get("/docs").status_code == 404


def test_health_and_metrics(client: TestClient) -> None:
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["waiting"] == {"find": 0, "answer": 0}
    text = client.get("/metrics").text
    assert 'gqa_requests_total{method="GET",route="/health",status="200"}' in text
    assert 'gqa_batch_size_count{queue="answer"}' in text
    assert "gqa_queue_find 0.0" in text
