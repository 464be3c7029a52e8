"""A real server and raw connections: slow clients, endless and oversized bodies, broken HTTP."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gqa_reasoner.web.service import Service
from tests.web.conftest import IMPATIENT, Running, run_in_thread

HEAD = b"POST /api/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def server(indexed: Path, make_service: Callable[..., Service]) -> Iterator[Running]:
    with run_in_thread(make_service(indexed, limits=IMPATIENT)) as found:
        yield found


def read_all(connection: socket.socket) -> bytes:
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 8
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def healthy(server: Running) -> bool:
    with server.connect() as connection:
        connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return status_of(read_all(connection)) == 200


def test_a_head_that_trickles_in_is_ended(server: Running) -> None:
    began = time.monotonic()
    with server.connect() as connection:
        for letter in GET[:6]:
            connection.sendall(bytes([letter]))
            time.sleep(0.02)
        answer = read_all(connection)
    assert 0.5 < time.monotonic() - began < 3
    assert status_of(answer) == 408
    assert b"not sent in time" in answer


def test_a_connection_that_says_nothing_is_closed(server: Running) -> None:
    with server.connect() as connection:
        assert read_all(connection) == b""


def test_a_body_that_trickles_in_is_ended(server: Running) -> None:
    began = time.monotonic()
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        answer = read_all(connection)
    assert 0.7 < time.monotonic() - began < 3
    assert status_of(answer) == 408
    assert b"not sent within 0.8 seconds" in answer


def test_a_body_of_50_megabytes_is_refused_and_the_client_reads_why(server: Running) -> None:
    block = b"x" * (1 << 20)
    for head, tail in (
        (b"Content-Length: %d\r\n\r\n" % (50 << 20), b""),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"),
    ):
        with server.connect() as connection:
            connection.sendall(HEAD.replace(b"/api/ask", b"/api/upload") + head)
            for _ in range(50):
                connection.sendall(block if not tail else b"100000\r\n" + block + b"\r\n")
            connection.sendall(tail)
            answer = read_all(connection)
        assert status_of(answer) in (413, 422), answer[:200]
        if not tail:
            assert status_of(answer) == 413
            assert b"larger than the 20 MiB allowed" in answer
    assert healthy(server)


def test_a_chunked_body_is_counted_while_it_streams(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(80):
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        answer = read_all(connection)
    assert status_of(answer) == 413
    assert b"larger than the 64 KiB allowed" in answer


def test_a_client_that_never_reads_is_cut_off(server: Running) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        for _ in range(400):
            connection.sendall(request)
        open_now = server.server.server_state.connections
        wait_until(lambda: bool(open_now))
        began = time.monotonic()
        wait_until(lambda: not open_now)
    assert time.monotonic() - began > 0.5
    assert healthy(server)


@pytest.mark.parametrize(
    "request_",
    [b"\0\1\2\3\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: " + b"x" * 50_000,
     HEAD + b"Content-Length: x\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
     HEAD + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc"],
    ids=["noise", "no host", "no version", "long head", "no length", "no chunk", "two lengths"],
)  # fmt: skip
def test_broken_http_is_refused_with_4xx(server: Running, request_: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert 400 <= status_of(answer) < 500, answer[:200]


def test_paths_that_climb_are_not_found(server: Running) -> None:
    for path in (b"/../../etc/passwd", b"/static/../../../etc/passwd", b"/static/%2e%2e/%2fetc"):
        with server.connect() as connection:
            connection.sendall(
                b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            answer = read_all(connection)
        assert status_of(answer) == 404
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"] == "no such page"


def test_a_connection_serves_several_requests_and_idles_out(server: Running) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(GET)
            time.sleep(0.15)
            assert status_of(connection.recv(65536)) == 200
        assert read_all(connection) == b""  # closed once the next head does not come
