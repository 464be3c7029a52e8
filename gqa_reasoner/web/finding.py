"""The worker behind `find`: questions over the collection, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.web.errors import RequestError
from gqa_reasoner.web.library import Library, unreadable

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.answer import Answer
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["Finding", "SharedReasoner", "Wanted"]


@dataclass(frozen=True)
class Wanted:
    """A question over the collection."""

    question: str
    limit: int


class Finding:
    """Does the work of the find queue; used by one thread only."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def __call__(self, jobs: Sequence[Wanted]) -> list[dict[str, Any] | Exception]:
        """Per question the record of `find --json`, or its error."""
        return [self._one(job) for job in jobs]

    def _one(self, job: Wanted) -> dict[str, Any] | Exception:
        try:
            self.library.follow()
            return self.library.collection.find(job.question, limit=job.limit).to_json()
        except (InputError, RequestError) as error:
            return error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
                return unreadable(error)
            raise


class SharedReasoner:
    """A reasoner as the collection uses it for questions about one picture, one at a time."""

    def __init__(self, reasoner: Reasoner, lock: threading.Lock) -> None:
        self._reasoner, self._lock = reasoner, lock

    def detect(self, image: Path, *, image_id: str | None = None) -> Scene:
        """See `Reasoner.detect`."""
        with self._lock:
            return self._reasoner.detect(image, image_id=image_id)

    def answer_scene(self, scene: Scene, question: str, *, expansion: str | None = None) -> Answer:
        """See `Reasoner.answer_scene`."""
        with self._lock:
            return self._reasoner.answer_scene(scene, question, expansion=expansion)
