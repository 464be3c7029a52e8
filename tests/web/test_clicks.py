"""The click loop: asked and opened, recorded where that was agreed to, used by later answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gqa_reasoner.web.service import Service
from knowledge.coclick import CoClickLog
from tests.web.conftest import open_client

Maker = Callable[..., Service]
FIND = "Which pictures show a girl?"
RIDING = {"question": "What is the girl riding?", "image_id": "elephant.jpg"}


def test_the_loop_closes(indexed: Path, make_service: Maker, tmp_path: Path) -> None:
    log = tmp_path / "deep" / "clicks.tsv"
    with open_client(make_service(indexed, log=log, expansion="both")) as client:
        about = client.get("/api/collection").json()
        assert about["recording"] == str(log)
        assert {"coclick", "both"} <= set(about["expansions"])
        before = client.post("/api/ask", json={**RIDING, "expansion": "coclick"}).json()
        assert before["context"]["queries"] == []
        client.get("/api/find", params={"question": FIND})
        opened = client.post("/api/opened", json={"query": FIND, "image_id": "elephant.jpg"})
        assert opened.json() == {"recorded": True}
        after = client.post("/api/ask", json={**RIDING, "expansion": "coclick"}).json()
        queries = {item["text"]: item for item in after["context"]["queries"]}
        assert queries[FIND]["source"] == "own"
        assert queries[FIND]["relevance"] > 0
        assert RIDING["question"] not in queries  # the question itself is no evidence for itself
        other = {"question": "Is the girl holding a ball?", "image_id": "beach.jpg"}
        alike = client.post("/api/ask", json={**other, "expansion": "coclick"}).json()
        assert FIND in [item["text"] for item in alike["context"]["queries"]]
        both = client.post("/api/ask", json=RIDING).json()
        assert both["context"]["triples"]
        assert both["context"]["queries"]
    read = CoClickLog.read(log, strict=True)
    assert dict(read.own_queries("elephant.jpg")) == {FIND: 1.0, RIDING["question"]: 3.0}


def test_nothing_is_recorded_without_consent(
    indexed: Path, make_service: Maker, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in indexed.rglob("*")}
    with open_client(make_service(indexed)) as client:
        client.get("/api/find", params={"question": FIND})
        client.post("/api/ask", json=RIDING)
        opened = client.post("/api/opened", json={"query": FIND, "image_id": "elephant.jpg"})
        assert opened.json() == {"recorded": False}
    assert {path: path.stat().st_mtime_ns for path in indexed.rglob("*")} == before


def test_uploads_and_unknown_pictures_are_not_recorded(
    indexed: Path, make_service: Maker, tmp_path: Path
) -> None:
    log = tmp_path / "clicks.tsv"
    with open_client(make_service(indexed, log=log)) as client:
        data = (indexed / "tea.jpg").read_bytes()
        token = client.post("/api/upload", files={"file": ("a.jpg", data)}).json()["upload"]
        client.post("/api/ask", json={"question": "What color is the chair?", "upload": token})
        missing = client.post("/api/opened", json={"query": "a", "image_id": "nothing.jpg"})
        assert missing.status_code == 404
    assert log.read_text() == ""


def test_a_log_that_cannot_be_written_any_more_stops_no_answer(
    indexed: Path, make_service: Maker, tmp_path: Path
) -> None:
    log = tmp_path / "clicks.tsv"
    with open_client(make_service(indexed, log=log)) as client:
        log.unlink()
        log.mkdir()
        assert client.post("/api/ask", json=RIDING).json()["answer"] == "elephant"
        problem = client.get("/api/collection").json()["recording_problem"]
        assert "cannot be written" in problem
        assert client.get("/health").json()["recording_problem"] == problem
