"""The click loop: what visitors asked and opened becomes context of later answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.web.errors import RequestError

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.collection.click_log import ClickLog
    from gqa_reasoner.web.library import Library
    from knowledge.coclick import CoClickLog

__all__ = ["ClickLoop", "open_click_log"]

_CHEAP = 0.1
"""Seconds of processor time that reading the log may take every time."""
_MOST_SCENES = 2000
"""Clicked pictures whose scenes are compared to find pictures like an unclicked one."""


def open_click_log(path: str | Path) -> ClickLog:
    """A log that its owner agreed to.

    Raises:
        InputError: the file cannot be written.
    """
    from gqa_reasoner.collection.click_log import ClickLog

    place = Path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a"):
            pass
    except OSError as error:
        raise InputError(f"{place}: click log: cannot be written ({error.strerror})") from None
    return ClickLog(place, enabled=True)


class ClickLoop:
    """Appends to the log, and reads it again when it has grown.

    Args:
        log: the opted-in log; None switches everything off.
        library: gives the scenes of clicked pictures.
    """

    def __init__(self, log: ClickLog | None, library: Library) -> None:
        self.log, self.library = log, library
        self.problem: str | None = None
        """Why nothing is recorded, if so."""
        self._seen: Any = None
        self._next = 0.0
        self._version: str | None = None
        self._ids: list[str] = []
        self._scenes: dict[str, Scene] = {}

    @property
    def on(self) -> bool:
        """Whether visitors' questions are recorded."""
        return self.log is not None

    def asked(self, question: str) -> bool:
        """Record a question over the collection."""
        return self._write(lambda log: log.query(question))

    def opened(self, question: str, image_id: str) -> bool:
        """Record that a picture was opened from a question, or asked about."""
        return self._write(lambda log: log.opened(question, image_id))

    def news(self) -> CoClickLog | None:
        """The log for the expansion if it changed since the last call, else None.

        A log that takes long to read is read less often.
        """
        if self.log is None or time.monotonic() < self._next:
            return None
        try:
            state = self.log.path.stat()
            stamp: Any = (state.st_size, state.st_mtime_ns)
        except OSError:
            stamp = "none yet"
        if stamp == self._seen:
            return None
        began = time.thread_time()
        found = self._read()
        self._seen = stamp
        spent = time.thread_time() - began
        self._next = time.monotonic() + (20 * spent if spent > _CHEAP else 0)
        return found

    def _read(self) -> CoClickLog:
        from knowledge.coclick import CoClickLog

        found = self.log.read() if self.log is not None else None
        if found is None:
            return CoClickLog([])
        try:
            self._look_up(found)
        except RequestError:
            return found
        return found.with_scenes(self._scenes.values())

    def _look_up(self, log: CoClickLog) -> None:
        """Load the scenes of clicked pictures that are not known yet."""
        version = self.library.version()
        if version != self._version:
            self._scenes, self._ids = {}, self.library.image_ids()
            self._version = version
        for image_id in self._ids:
            if len(self._scenes) >= _MOST_SCENES:
                return
            if image_id in log and image_id not in self._scenes:
                self._scenes[image_id] = self.library.scene(image_id)

    def _write(self, line: Any) -> bool:
        if self.log is None:
            return False
        try:
            written = bool(line(self.log))
        except InputError as error:
            self.problem = str(error)
            return False
        self.problem = None if written else f"{self.log.path}: full; nothing more is recorded"
        return written
