"""Runs an application with uvicorn until it is told to stop, and stops gracefully."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from detectors.errors import InputError
from gqa_reasoner.web.limits import Limits
from gqa_reasoner.web.protocol import PatientProtocol

__all__ = ["listen", "make_server", "run_server"]

_BACKLOG = 2048
"""Connections that may wait to be taken, as many as uvicorn allows by itself."""


class _Server(uvicorn.Server):
    """Ends with status 0 after SIGTERM or SIGINT; running requests are finished first."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit  # a second signal does not wait any more
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Who calls before the server runs waits.

    Raises:
        InputError: the address is taken, not allowed or does not exist.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{host}:{port}: cannot listen there ({reason})") from None
    return found


def make_server(app: Any, limits: Limits) -> uvicorn.Server:
    """A server that ends requests of slow clients; `request_seconds` also bounds its stop."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol.with_times(limits.head_seconds, limits.stalled_seconds),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=math.ceil(limits.request_seconds),
        h11_max_incomplete_event_size=32 << 10,
    )
    return _Server(config)


def run_server(
    app: Any, listener: socket.socket, limits: Limits, ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: the ASGI application.
        listener: from `listen`.
        limits: times of slow clients.
        ready: is told the address.
    """
    host, port = listener.getsockname()[:2]
    ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    make_server(app, limits).run(sockets=[listener])
