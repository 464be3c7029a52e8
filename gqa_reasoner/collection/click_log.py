"""The local, opt-in log of what people asked and which pictures they opened: the click loop.

The file has the layout that `knowledge.coclick` reads: a tab-separated row (query, image, 1) for
every picture opened from a query; queries themselves, which clicked nothing yet, are kept as lines
that start with "#", which that reader skips. Lines are only ever appended, each by one write under
a lock, so several processes may log into one file.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from detectors.errors import InputError

if TYPE_CHECKING:
    from knowledge.coclick import CoClickLog

__all__ = ["FILE_NAME", "ClickLog"]

FILE_NAME = "clicks.tsv"
"""The log's name inside the folder of an index."""
_LONGEST = 500
"""Longest query in characters; `knowledge.coclick` skips longer ones."""


class ClickLog:
    """Appends queries and opened pictures to one file.

    Args:
        path: the file; made on the first line.
        enabled: whether the user agreed. Without it nothing is written, and no file is made.
        limit: bytes after which no more is logged, so that a log cannot fill a disk.
    """

    def __init__(self, path: str | Path, *, enabled: bool, limit: int = 64 << 20) -> None:
        self.path = Path(path)
        self.enabled = enabled
        self.limit = limit

    @classmethod
    def beside(cls, index: str | Path, *, enabled: bool) -> ClickLog:
        """The log inside the folder of an index."""
        return cls(Path(index) / FILE_NAME, enabled=enabled)

    def query(self, text: str) -> bool:
        """Note that `text` was asked.

        Returns:
            Whether a line was written.

        Raises:
            InputError: the query is empty or the file cannot be written.
        """
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self._append(f"# {stamp}\t{_clean_query(text)}")

    def opened(self, text: str, image_id: str) -> bool:
        """Note that the picture `image_id` was opened from the query `text`.

        Returns:
            Whether a line was written.

        Raises:
            InputError: an empty query or image id, a tab or line break in the image id, or the
                file cannot be written.
        """
        if not image_id.strip() or any(ord(letter) < 32 for letter in image_id):
            raise InputError(f"click log: image id: expected one line of text, got {image_id!r}")
        return self._append(f"{_clean_query(text)}\t{image_id}\t1")

    def asked(self) -> list[str]:
        """The queries that were asked, oldest first, whether or not a picture was opened."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line.split("\t", 1)[1] for line in lines if line.startswith("# ") and "\t" in line]

    def read(self) -> CoClickLog | None:
        """The log as the expansion reads it; None while nothing was opened."""
        from knowledge.coclick import CoClickLog

        if not self.path.is_file():
            return None
        try:
            return CoClickLog.open(self.path)
        except InputError:
            return None

    def _append(self, line: str) -> bool:
        if not self.enabled:
            return False
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None
        try:
            with _locked(handle):
                size = os.fstat(handle).st_size
                if size >= self.limit:
                    return False
                torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                data = ("\n" if torn else "").encode() + line.encode("utf-8", "replace") + b"\n"
                os.write(handle, data)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None
        finally:
            os.close(handle)
        return True


@contextlib.contextmanager
def _locked(handle: int) -> Iterator[None]:
    """Hold the file's lock where the system has one; the one write is appended whole anyway."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _clean_query(text: str) -> str:
    """One line without tabs that does not look like a comment.

    Raises:
        InputError: nothing is left.
    """
    letters = "".join(letter if letter.isprintable() else " " for letter in text)
    clean = " ".join(letters.split()).lstrip("# ")[:_LONGEST]
    if not clean:
        raise InputError("click log: query: empty")
    return clean
