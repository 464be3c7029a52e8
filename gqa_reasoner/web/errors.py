"""Why a request is refused, in words for a reader and a status for a program."""

from __future__ import annotations

__all__ = ["RequestError"]


class RequestError(Exception):
    """A request that cannot be answered.

    Args:
        status: the HTTP status.
        words: one sentence for the reader of the page.
        retry_after: seconds after which it may be tried again, for 429 and 503.
    """

    def __init__(self, status: int, words: str, retry_after: int | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.retry_after = status, words, retry_after
