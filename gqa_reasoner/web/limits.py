"""How much one server takes on: sizes, times and queues, in one place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a server; every one of them is refused with a status and words of its own."""

    upload_bytes: int = 20 << 20
    """Largest picture that may be uploaded (413)."""
    upload_pixels: int = 40_000_000
    """Most pixels of an uploaded picture, read from its header before decoding (413)."""
    body_bytes: int = 64 << 10
    """Largest body of every other request (413)."""
    question_characters: int = 500
    """Longest question (422)."""
    queue: int = 96
    """Questions that may wait or run at once, of each kind; more are refused (429)."""
    batch: int = 16
    """Most questions answered with one pass of the model."""
    window_seconds: float = 0.004
    """How long a batch waits for company."""
    request_seconds: float = 30.0
    """Longest time from a request's first byte to its answer (503)."""
    body_seconds: float = 15.0
    """Longest time a client may take to send a body (408)."""
    head_seconds: float = 10.0
    """Longest time a client may take to send the head of a request (408)."""
    stalled_seconds: float = 20.0
    """A client that reads nothing of its answer for so long is cut off."""
    uploads: int = 64
    """Uploaded pictures kept in memory; the oldest are forgotten (404)."""
    upload_memory: int = 128 << 20
    """Bytes of uploaded pictures kept in memory."""
    scenes: int = 512
    """Scenes of pictures kept in memory."""
    page: int = 100
    """Most pictures of one list."""
