"""The command as a process of its own: it says where it is, and stops in order."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from gqa_reasoner.web.server import listen

ASK = {"question": "What color is the shirt?", "image_id": "tea.jpg"}


def posted(address: str, statuses: list[int]) -> None:
    request = urllib.request.Request(
        f"{address}api/compare", json.dumps(ASK).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        statuses.append(response.status)


def running(address: str) -> int:
    """Requests that the server is answering, this one aside: one that has not come in is none."""
    with urllib.request.urlopen(f"{address}metrics", timeout=60) as response:
        text = response.read().decode()
    found = re.search(r"^gqa_requests_running ([0-9.]+)$", text, re.MULTILINE)
    assert found, text
    return int(float(found[1])) - 1


@pytest.mark.slow
def test_sigterm_lets_running_requests_finish(indexed: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "gqa_reasoner", "serve", str(indexed), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    line = server.stderr.readline()
    found = re.fullmatch(r"pictures: 8 pictures at (http://127\.0\.0\.1:\d+/)\n", line)
    assert found, line + server.stderr.read()
    statuses: list[int] = []
    askers = [threading.Thread(target=posted, args=(found[1], statuses)) for _ in range(4)]
    for asker in askers:
        asker.start()
    while len(statuses) + running(found[1]) < len(askers):
        assert any(asker.is_alive() for asker in askers)
    assert any(asker.is_alive() for asker in askers)
    server.send_signal(signal.SIGTERM)
    for asker in askers:
        asker.join(60)
    assert statuses == [200] * 4
    assert server.wait(60) == 0
    assert server.stderr.read() == ""


def test_a_connection_made_before_the_server_runs_waits_for_it() -> None:
    listener = listen("127.0.0.1", 0)
    try:
        with socket.create_connection(listener.getsockname()[:2], timeout=5) as client:
            assert client.getpeername() == listener.getsockname()
    finally:
        listener.close()
