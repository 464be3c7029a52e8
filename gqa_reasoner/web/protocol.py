"""uvicorn's HTTP/1.1 connection, which also cuts off clients that dawdle.

uvicorn times out idle connections only; here a request's head must arrive in time, and a client
that does not read its answer is cut off.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol"]

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n"
    b"content-length: 46\r\nconnection: close\r\n\r\n"
    b'{"error": "the request was not sent in time"}\n'
)


class PatientProtocol(H11Protocol):
    """One connection; `head_seconds` and `stalled_seconds` are set by a subclass (`with_times`)."""

    head_seconds = 10.0
    stalled_seconds = 20.0
    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _heard = False

    @classmethod
    def with_times(cls, head_seconds: float, stalled_seconds: float) -> type[PatientProtocol]:
        """The protocol with other patience."""
        times = {"head_seconds": head_seconds, "stalled_seconds": stalled_seconds}
        return type("PatientProtocol", (cls,), times)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._heard = True
        super().data_received(data)

    def handle_events(self) -> None:
        """Start requests whose head is complete."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel_head()

    def on_response_complete(self) -> None:
        """An answer was sent; the next head is awaited."""
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._cancel_stall()
        self._stall = self.loop.call_later(self.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._cancel_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left."""
        super().connection_lost(exc)
        self._cancel_head()
        self._cancel_stall()

    def _wait_for_head(self) -> None:
        self._cancel_head()
        self._heard = False
        self._head = self.loop.call_later(self.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        if self._heard and self.cycle is None:
            self.transport.write(_TOO_SLOW)
        self.transport.close()
        self.loop.call_later(1.0, self.transport.abort)

    def _cancel_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
