"""Indexes that change or break while they are served: clear words, and a server that goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.web.service import Service
from tests.web.conftest import EXAMPLES, open_client

QUESTION = {"question": "What is the girl riding?", "image_id": "elephant.jpg"}
GIRLS = {"question": "Which pictures show a girl?"}
Maker = Callable[..., Service]


def test_pictures_deleted_after_indexing_are_answered_from_the_index(
    copied: Path, make_service: Maker
) -> None:
    with open_client(make_service(copied)) as client:
        (copied / "elephant.jpg").unlink()
        gone = client.get("/api/image", params={"id": "elephant.jpg"})
        assert gone.status_code == 410
        assert gone.json()["error"] == "elephant.jpg: the picture was deleted after indexing"
        assert client.get("/api/thumbnail", params={"id": "elephant.jpg"}).status_code == 200
        record = client.get("/api/picture", params={"id": "elephant.jpg"}).json()
        assert "deleted after indexing" in record["missing"]
        answer = client.post("/api/ask", json=QUESTION).json()
        assert answer["answer"] == "elephant"
        assert "rests on what the index kept" in answer["notes"][0]
        found = client.get("/api/find", params=GIRLS).json()
        assert {item["image_id"]: item["missing"] for item in found["images"]}["elephant.jpg"]


def test_damaged_pictures_are_answered_from_the_index(copied: Path, make_service: Maker) -> None:
    with open_client(make_service(copied)) as client:
        (copied / "elephant.jpg").write_bytes(b"no picture any more")
        answer = client.post("/api/ask", json=QUESTION).json()
        assert answer["answer"] == "elephant"
        assert "cannot be read any more" in answer["notes"][0]


def test_an_index_that_disappears_is_reported_and_comes_back(
    copied: Path, make_service: Maker, tmp_path: Path
) -> None:
    with open_client(make_service(copied)) as client:
        copied.rename(tmp_path / "away")
        for response in (
            client.get("/api/find", params=GIRLS),
            client.post("/api/ask", json=QUESTION),
            client.get("/api/collection"),
            client.get("/health"),
        ):
            assert response.status_code == 503
            assert "is gone" in response.json()["error"]
        assert client.get("/").status_code == 200
        (tmp_path / "away").rename(copied)
        assert client.get("/health").status_code == 200
        assert len(client.get("/api/find", params=GIRLS).json()["images"]) == 4


def test_a_new_index_run_is_followed_while_serving(copied: Path, make_service: Maker) -> None:
    with open_client(make_service(copied)) as client:
        assert client.get("/api/pictures").json()["total"] == 8
        shutil.copy(EXAMPLES / "night_park.jpg", copied)
        (copied / "street.jpg").unlink()
        assert main(["index", str(copied)]) == 0
        assert client.get("/api/pictures").json()["total"] == 8
        images = client.get("/api/find", params=GIRLS).json()["images"]
        names = {item["image_id"] for item in images}
        assert "night_park.jpg" in names
        assert "street.jpg" not in names
        assert client.get("/api/picture", params={"id": "street.jpg"}).status_code == 404


def test_an_index_of_another_version_is_refused_at_the_start_and_while_serving(
    copied: Path, make_service: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_client(make_service(copied)) as client:
        place = copied / ".gqa-reasoner" / "settings.json"
        settings = json.loads(place.read_text())
        place.write_text(json.dumps({**settings, "version": 99}))
        assert main(["serve", str(copied), "--port", "0"]) == 2
        assert "index of version 99, this program reads" in capsys.readouterr().err
        pointer = copied / ".gqa-reasoner" / "CURRENT"
        pointer.write_text("collection-77.duckdb")
        response = client.get("/api/find", params=GIRLS)
        assert response.status_code == 503
        assert "version 99" in response.json()["error"]


def test_an_index_made_with_another_model_is_refused(copied: Path, make_service: Maker) -> None:
    place = copied / ".gqa-reasoner" / "settings.json"
    settings = json.loads(place.read_text())
    place.write_text(json.dumps({**settings, "detector_fingerprint": "0" * 32}))
    with pytest.raises(InputError, match="other weights of the detector"):
        make_service(copied)
    place.write_text(json.dumps({**settings, "detector": "onnx:other.onnx"}))
    with pytest.raises(InputError, match=r"indexed with the detector 'onnx:other\.onnx', now"):
        make_service(copied)


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_a_broken_database_is_refused_in_words(
    copied: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    pointer = (copied / ".gqa-reasoner" / "CURRENT").read_text().strip()
    (copied / ".gqa-reasoner" / pointer).write_bytes(content)
    assert main(["serve", str(copied), "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gqa-reasoner serve: ")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "nothing: no collection"),
        (["."], "no collection"),
        (["PICTURES", "--expansion", "both"], "--expansion both needs --coclick-log"),
        (["PICTURES", "--queue", "0"], "--queue: expected more than 0"),
        (["PICTURES", "--host", "203.0.113.7"], "cannot listen there"),
        (["PICTURES", "--port", "99999999"], "cannot listen there"),
        (["PICTURES", "--coclick-log", "/proc/clicks.tsv"], "cannot be written"),
        (["PICTURES", "--detector", "onnx:x.onnx"], "leave --detector out"),
        (["PICTURES", "--weights", "nowhere"], "no such folder of weights"),
    ],
)
def test_bad_usage_ends_with_2_and_one_line(
    indexed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [str(indexed) if item == "PICTURES" else item for item in arguments]
    if "--port" not in arguments:
        arguments += ["--port", "0"]
    assert main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_an_address_that_is_taken_is_refused(
    indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gqa_reasoner.web.server import listen

    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        assert main(["serve", str(indexed), "--port", str(taken.getsockname()[1])]) == 2
    assert "Address already in use" in capsys.readouterr().err


def test_links_out_of_the_collection_are_not_followed(
    copied: Path, make_service: Maker, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jpg"
    shutil.copy(copied / "tea.jpg", secret)
    with open_client(make_service(copied)) as client:
        (copied / "tea.jpg").unlink()
        (copied / "tea.jpg").symlink_to(secret)
        response = client.get("/api/image", params={"id": "tea.jpg"})
        assert response.status_code == 403
        assert "leads out of the collection" in response.json()["error"]


def test_thumbnails_are_made_where_the_index_keeps_none(copied: Path, make_service: Maker) -> None:
    shutil.rmtree(copied / ".gqa-reasoner" / "thumbnails")
    with open_client(make_service(copied)) as client:
        for _ in range(2):
            response = client.get("/api/thumbnail", params={"id": "tea.jpg"})
            assert response.headers["content-type"] == "image/jpeg"
        (copied / "desk.jpg").write_bytes(b"no picture")
        response = client.get("/api/thumbnail", params={"id": "desk.jpg"})
        assert response.status_code == 422
        assert "cannot be read" in response.json()["error"]
