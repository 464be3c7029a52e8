"""The guards in front of a tiny application: sizes, times, hosts, origins, headers."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from gqa_reasoner.web.guards import Bounded, Hardened, Measured
from gqa_reasoner.web.limits import Limits
from gqa_reasoner.web.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(metrics: Metrics) -> TestClient:
    app = FastAPI()

    @app.post("/small")
    @app.post("/large")
    async def size(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @app.get("/slow")
    async def slow() -> None:
        await anyio.sleep(5)

    @app.exception_handler(HTTPException)
    async def words(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, status_code=error.status_code)

    limits = Limits(body_bytes=1000, upload_bytes=5000, request_seconds=0.2)
    app.add_middleware(Bounded, limits=limits, large=lambda scope: scope["path"] == "/large")
    app.add_middleware(Hardened, hosts=("pictures.home",))
    app.add_middleware(Measured, metrics=metrics)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


def test_bodies_within_the_limit_pass(client: TestClient) -> None:
    assert client.post("/small", content=b"x" * 1000).json() == {"bytes": 1000}
    assert client.post("/large", content=b"x" * 5000).json() == {"bytes": 5000}


@pytest.mark.parametrize("content", [b"x" * 1001, chunks(1100)], ids=["declared", "chunked"])
def test_larger_bodies_are_refused(client: TestClient, content: object) -> None:
    response = client.post("/small", content=content)  # type: ignore[arg-type]
    assert response.status_code == 413
    assert "larger than" in response.json()["error"]
    assert response.headers["connection"] == "close"


def test_lengths_that_are_no_numbers_are_refused(client: TestClient) -> None:
    response = client.post("/small", content=b"x", headers={"content-length": "-5"})
    assert response.status_code == 413


def test_requests_that_take_too_long_are_given_up(client: TestClient) -> None:
    response = client.get("/slow")
    assert response.status_code == 503
    assert "not done within 0.2 seconds" in response.json()["error"]
    assert response.headers["retry-after"] == "5"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "192.168.1.4:80",
                                  "pictures.home"])  # fmt: skip
def test_known_hosts_pass(client: TestClient, host: str) -> None:
    assert client.post("/small", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "a b"])
def test_foreign_hosts_are_refused(client: TestClient, host: str) -> None:
    assert client.post("/small", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}],
)
def test_posts_from_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/small", headers=headers).status_code == 403
    own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert client.post("/small", headers=own).status_code == 200


def test_every_answer_is_hardened(client: TestClient) -> None:
    for response in (client.post("/small"), client.get("/nothing"), client.get("/slow")):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"


def test_requests_are_counted_by_route_and_status(client: TestClient, metrics: Metrics) -> None:
    client.post("/small")
    client.post("/small", content=b"x" * 2000)
    client.get("/anything/../else")
    text = metrics.render().decode()
    assert 'gqa_requests_total{method="POST",route="/small",status="200"} 1.0' in text
    assert 'method="POST",route="other",status="413"} 1.0' in text
    assert 'route="other",status="404"} 1.0' in text
    assert "gqa_requests_running 0.0" in text
