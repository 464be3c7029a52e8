"""What stands in front of the application: sizes, times, hosts and headers, as plain ASGI.

From the outside in: `Measured` counts, `Hardened` adds headers and refuses foreign hosts and
origins, `Bounded` ends slow or oversized requests.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import anyio
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gqa_reasoner.web.limits import Limits
from gqa_reasoner.web.metrics import Metrics

__all__ = ["CONTENT_POLICY", "Bounded", "Hardened", "Measured"]

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
_log = logging.getLogger("gqa_reasoner.web")
_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_DRAIN_BYTES, _DRAIN_SECONDS = 128 << 20, 10.0
"""So much of a refused body is thrown away, so that its sender gets to read the answer."""


class Measured:
    """Counts and times requests by route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.running.inc()
        try:
            await self.app(scope, receive, noted)
        finally:
            self.metrics.running.dec()
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
            self.metrics.requests.labels(route, method, str(status or 499)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - began)


class Hardened:
    """Headers on every answer; requests for foreign hosts or from foreign pages are refused.

    A page elsewhere could otherwise reach a server on this machine by a name that resolves to it,
    or post forms to it.

    Args:
        app: what is guarded.
        hosts: names beside IP addresses and `localhost` under which the server may be called.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self.app = app
        self.hosts = {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", [])}
                extra = [
                    (name.encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.encode() not in present
                ]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        headers = _decoded(scope)
        host = headers.get("host", "")
        if not self._known(host):
            await _refuse(
                with_headers, 421, f"unknown host {host[:100]!r}; start with --allow-host"
            )
        elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and _foreign(headers):
            await _refuse(with_headers, 403, "requests from other sites are refused")
        else:
            await self.app(scope, receive, with_headers)

    def _known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.hosts:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


class Bounded:
    """Ends requests that are too large or too slow, with an answer that says so.

    Args:
        app: what is guarded.
        limits: the bounds.
        large: whether a request may carry an upload.
    """

    def __init__(self, app: ASGIApp, limits: Limits, large: Callable[[Scope], bool]) -> None:
        self.app, self.limits, self.large = app, limits, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limits.upload_bytes + 4096 if self.large(scope) else self.limits.body_bytes
        body = _Body(receive, limit, self.limits.body_seconds)
        declared = _decoded(scope).get("content-length", "0")
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            if body.refused and message["type"] == "http.response.start":
                close = (b"connection", b"close")
                message = {**message, "headers": [*message["headers"], close]}
            elif body.refused and not message.get("more_body", False):
                await body.drain()
            await send(message)

        if not declared.isdecimal() or int(declared) > limit:
            body.refused = True
            await _refuse(watched, 413, body.words)
            return
        with anyio.move_on_after(self.limits.request_seconds) as patience:
            try:
                await self.app(scope, body.receive, watched)
            except Exception:
                _log.exception("%s %s", scope["method"], scope["path"])
                if started:
                    raise
                await _refuse(watched, 500, "the server has a fault here; it was logged")
        if patience.cancelled_caught and not started:
            seconds = self.limits.request_seconds
            await _refuse(watched, 503, f"not done within {seconds:g} seconds; try again", 5)


class _Body:
    """A request body that is counted and timed while it streams in."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive, self.limit, self.seconds = receive, limit, seconds
        self.words = f"the request is larger than the {_size(limit)} allowed"
        self.taken = 0
        self.more = True
        self.refused = False
        self._until = time.monotonic() + seconds

    async def receive(self) -> Message:
        """The next message.

        Raises:
            HTTPException: 413, larger than allowed; 408, too slow.
        """
        if not self.more:
            return await self._receive()
        message: Message | None = None
        with anyio.move_on_after(max(self._until - time.monotonic(), 0)):
            message = await self._receive()
        if message is None:
            self.refused, self.more = True, False
            raise HTTPException(408, f"the request was not sent within {self.seconds:g} seconds")
        self._count(message)
        if self.taken > self.limit:
            self.refused = True
            raise HTTPException(413, self.words)
        return message

    async def drain(self) -> None:
        """Throw the rest away, within bounds."""
        with anyio.move_on_after(_DRAIN_SECONDS):
            while self.more and self.taken < _DRAIN_BYTES:
                self._count(await self._receive())

    def _count(self, message: Message) -> None:
        if message["type"] != "http.request":
            self.more = False
            return
        self.taken += len(message.get("body", b""))
        self.more = message.get("more_body", False)


async def _refuse(send: Send, status: int, words: str, retry_after: int | None = None) -> None:
    data = json.dumps({"error": words}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(data)).encode()),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _decoded(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _foreign(headers: dict[str, str]) -> bool:
    """Whether a browser says that another site's page sent this."""
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin: Any = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _size(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB" if count >= 1 << 20 else f"{count / (1 << 10):.0f} KiB"
