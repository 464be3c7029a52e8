"""The worker behind `find`: questions over the collection, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.collection.questions import Collection
from gqa_reasoner.web.errors import RequestError

if TYPE_CHECKING:
    from gqa_reasoner.pipeline import Reasoner
    from gqa_reasoner.web.library import Library

__all__ = ["Finding", "Wanted"]


@dataclass(frozen=True)
class Wanted:
    """A question over the collection."""

    question: str
    limit: int


class Finding:
    """Does the work of the find queue; used by one thread only."""

    def __init__(self, reasoner: Reasoner, library: Library) -> None:
        self.reasoner, self.library = reasoner, library
        self._version: str | None = None
        self._collection: Collection | None = None

    def __call__(self, jobs: Sequence[Wanted]) -> list[dict[str, Any] | Exception]:
        """Per question the record of `find --json`, or its error."""
        return [self._one(job) for job in jobs]

    def _one(self, job: Wanted) -> dict[str, Any] | Exception:
        try:
            return self._current().find(job.question, limit=job.limit).to_json()
        except (InputError, RequestError) as error:
            return error

    def _current(self) -> Collection:
        """The open collection; another one after an index run finished."""
        version = self.library.version()
        if self._collection is None or version != self._version:
            self.close()
            reasoner = self.reasoner
            try:
                self._collection = Collection(
                    self.library.folder,
                    parser=reasoner.parser,
                    ontology=reasoner.ontology,
                    store=reasoner.store,
                )
            except InputError as error:
                raise RequestError(503, str(error), 10) from None
            self._version = version
        return self._collection

    def close(self) -> None:
        """Let go of the tables."""
        if self._collection is not None:
            self._collection.connection.close()
            self._collection = None
