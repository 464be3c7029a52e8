"""A small collection of the project's own pictures, indexed once, and servers over it."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb", reason="needs gqa-reasoner[collection]")
pytest.importorskip("fastapi", reason="needs gqa-reasoner[serve]")
pytest.importorskip("multipart", reason="needs gqa-reasoner[serve]")
pytest.importorskip("prometheus_client", reason="needs gqa-reasoner[serve]")
pytest.importorskip("starlette.testclient", reason="needs httpx2 (or httpx)")

import uvicorn
from fastapi.testclient import TestClient

from gqa_reasoner.cli import main
from gqa_reasoner.pipeline import Reasoner
from gqa_reasoner.web.application import create_app
from gqa_reasoner.web.clicks import open_click_log
from gqa_reasoner.web.limits import Limits
from gqa_reasoner.web.opening import open_service
from gqa_reasoner.web.server import listen, make_server
from gqa_reasoner.web.service import Service, ServiceOptions

EXAMPLES = Path(__file__).resolve().parents[2] / "gqa_reasoner" / "examples"
NAMES = (
    "beach", "desk", "elephant", "kitchen", "living_room", "night_beach", "street", "tea",
)  # fmt: skip


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight pictures with its index inside; do not change it, copy it."""
    folder = tmp_path_factory.mktemp("collection") / "pictures"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(EXAMPLES / f"{name}.jpg", folder)
    captions = folder.parent / "captions.json"
    captions.write_text('{"tea.jpg": "A woman sits down to tea."}')
    assert main(["index", str(folder), "--captions", str(captions)]) == 0
    return folder


@pytest.fixture(scope="session")
def parts() -> Reasoner:
    """The shipped parser, detector and model, loaded once."""
    reasoner = Reasoner.from_pretrained()
    for part in ("parser", "ontology", "store", "model", "detector"):
        getattr(reasoner, part)
    return reasoner


@pytest.fixture
def copied(indexed: Path, tmp_path: Path) -> Path:
    """A copy of the collection that a test may damage."""
    folder = Path(shutil.copytree(indexed, tmp_path / "pictures"))
    place = folder / ".gqa-reasoner" / "settings.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "source": str(folder)}))
    return folder


@pytest.fixture(scope="session")
def make_service(parts: Reasoner) -> Callable[..., Service]:
    """Opens a service with the parts that are loaded already."""

    def make(folder: Path, log: Path | None = None, **options: Any) -> Service:
        reasoner = Reasoner.from_pretrained()
        for name in ("parser", "ontology", "store", "model", "detector"):
            reasoner.__dict__[name] = getattr(parts, name)
        if log is not None:
            options["click_log"] = open_click_log(log)
        return open_service(folder, reasoner, ServiceOptions(**options))

    return make


@pytest.fixture(scope="session")
def client(indexed: Path, make_service: Callable[..., Service]) -> Iterator[TestClient]:
    """A client of an application over the whole collection, without any recording."""
    with open_client(make_service(indexed)) as found:
        yield found


@contextmanager
def open_client(service: Service, **headers: str) -> Iterator[TestClient]:
    """A client; errors of the application are answers, not exceptions."""
    app = create_app(service)
    with TestClient(
        app, base_url="http://127.0.0.1", headers=headers, raise_server_exceptions=False
    ) as found:
        yield found


@dataclass
class Running:
    """A server on a port of this machine."""

    address: str
    port: int
    service: Service
    server: uvicorn.Server

    def connect(self) -> socket.socket:
        """A raw connection."""
        found = socket.create_connection(("127.0.0.1", self.port))
        found.settimeout(20)
        return found


@contextmanager
def run_in_thread(service: Service) -> Iterator[Running]:
    """Serve on a free port until the block ends."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = make_server(create_app(service), service.limits)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Running(f"http://127.0.0.1:{port}", port, service, server)
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


IMPATIENT = Limits(head_seconds=0.6, body_seconds=0.8, stalled_seconds=1.0, request_seconds=10.0)
"""Limits for tests of slow clients."""
