"""What the page can ask for, independent of HTTP: find, ask, compare, upload, pictures."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gqa_reasoner.pipeline import EXPANSION_MODES
from gqa_reasoner.web.answering import Answering, Asked, Detected
from gqa_reasoner.web.batching import Batcher
from gqa_reasoner.web.clicks import ClickLoop
from gqa_reasoner.web.errors import RequestError
from gqa_reasoner.web.finding import Finding, Wanted
from gqa_reasoner.web.library import Library, Picture
from gqa_reasoner.web.limits import Limits
from gqa_reasoner.web.metrics import Metrics
from gqa_reasoner.web.suggestions import suggest
from gqa_reasoner.web.threads import in_thread
from gqa_reasoner.web.uploads import Upload, UploadStore, read_upload

if TYPE_CHECKING:
    from gqa_reasoner.collection.click_log import ClickLog
    from gqa_reasoner.collection.models import Captioner
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["Service", "ServiceOptions"]


@dataclass(frozen=True)
class ServiceOptions:
    """What whoever starts a server chooses."""

    expansion: str = "triples"
    click_log: ClickLog | None = None
    """Where questions and opened pictures are recorded; None records nothing."""
    captioner: Captioner | None = None
    """Describes uploaded pictures."""
    limits: Limits = field(default_factory=Limits)


class Service:
    """One collection with its reasoner and queues.

    Args:
        library: the index.
        reasoner: the answer path; loaded parts are shared by all requests.
        options: see `ServiceOptions`.
        lock: held while the reasoner works, where the collection uses the same one.
    """

    def __init__(
        self,
        library: Library,
        reasoner: Reasoner,
        options: ServiceOptions | None = None,
        *,
        lock: threading.Lock | None = None,
    ) -> None:
        self.library, self.reasoner = library, reasoner
        self.options = options or ServiceOptions()
        self.limits = limits = self.options.limits
        self.clicks = ClickLoop(self.options.click_log, library)
        self.uploads = UploadStore(limits)
        self.metrics = Metrics()
        self._decoding = asyncio.Semaphore(2)
        lock = lock or threading.Lock()
        patience = limits.request_seconds * 0.6
        self.finds: Batcher[Wanted, Any] = Batcher(
            Finding(library),
            name="find",
            capacity=limits.queue,
            most=4,
            patience_seconds=patience,
            observe=self.metrics.batches.labels("find").observe,
        )
        self.answers: Batcher[Asked | Detected, Any] = Batcher(
            Answering(reasoner, library, self.clicks, self.options.captioner, limits.scenes, lock),
            name="answer",
            capacity=limits.queue,
            most=limits.batch,
            window_seconds=limits.window_seconds,
            patience_seconds=patience,
            observe=self.metrics.batches.labels("answer").observe,
        )
        for batcher in (self.finds, self.answers):
            self.metrics.gauge(
                f"gqa_queue_{batcher.name}", "Questions waiting or running.", batcher.__len__
            )
        self.metrics.gauge("gqa_uploads", "Uploaded pictures in memory.", self.uploads.__len__)

    @property
    def modes(self) -> tuple[str, ...]:
        """The expansion modes that can be chosen here."""
        return tuple(mode for mode in EXPANSION_MODES if self.clicks.on or not _needs_clicks(mode))

    def warm_up(self) -> None:
        """Load the parts, so that the first visitor does not wait for them.

        Raises:
            InputError: weights, ontology or triples cannot be read.
        """
        reasoner = self.reasoner
        for part in ("parser", "ontology", "store", "model", "detector"):
            getattr(reasoner, part)
        log = self.clicks.news()
        if log is not None:
            reasoner.use_coclick(log)

    async def about(self) -> dict[str, Any]:
        """What the page shows before anything is asked."""
        count, names = await in_thread(lambda: (len(self.library), self.library.commonest()))
        return {
            "name": self.library.name,
            "pictures": count,
            "detector": self.library.settings.get("detector"),
            "expansion": self.options.expansion,
            "expansions": list(self.modes),
            "recording": str(self.clicks.log.path) if self.clicks.log is not None else None,
            "recording_problem": self.clicks.problem,
            "suggestions": suggest(self._worth_asking(names)),
            "upload_bytes": self.limits.upload_bytes,
            "question_characters": self.limits.question_characters,
        }

    def _worth_asking(self, names: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Names without clothing, unless there is little else."""
        is_a = self.reasoner.ontology.is_a
        others = [item for item in names if not is_a(item[0], "clothing")]
        return others if len(others) > 1 else names

    async def find(self, question: str, limit: int) -> dict[str, Any]:
        """The record of `find --json`.

        Raises:
            RequestError: the question is empty or too long, the queue is full, the index is gone.
        """
        text = self._question(question)
        found = await self.finds.run(Wanted(text, limit))
        await in_thread(self.clicks.asked, text)
        return found

    async def ask(
        self, question: str, expansion: str | None, image_id: str | None, upload: str | None
    ) -> dict[str, Any]:
        """The record of `ask --json`.

        Raises:
            RequestError: as `find`; or no such picture, upload or expansion.
        """
        job = await self._asked(question, expansion, image_id, upload)
        record = await self.answers.run(job)
        if image_id is not None:
            await in_thread(self.clicks.opened, job.question, image_id)
        return dict(record)

    async def compare(
        self, question: str, image_id: str | None, upload: str | None
    ) -> list[dict[str, Any]]:
        """The answers of every expansion mode, in the order of `modes`."""
        first = await self._asked(question, "none", image_id, upload)
        jobs = [Asked(first.question, mode, first.picture, first.scene) for mode in self.modes]
        results = await self.answers.submit(*jobs)
        records: list[dict[str, Any]] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            records.append(result)
        return [
            {"expansion": mode, **record} for mode, record in zip(self.modes, records, strict=True)
        ]

    async def opened(self, image_id: str, query: str) -> bool:
        """Record that a picture was opened from a query; whether a line was written."""
        text = self._question(query)
        await in_thread(self.library.picture, image_id)
        return await in_thread(self.clicks.opened, text, image_id)

    async def upload(self, data: bytes) -> Upload:
        """Decode, detect and keep a visitor's picture.

        Raises:
            RequestError: it is no picture, damaged or too large, or the queue is full.
        """
        async with self._decoding:
            picture = await in_thread(read_upload, data, self.limits)
            scene = await self.answers.run(Detected(picture))
            return await in_thread(self.uploads.add, picture, scene)

    async def describe(self, image_id: str) -> dict[str, Any]:
        """What the index knows of a picture: the record of `detect --json` and more."""
        return await in_thread(self._describe, image_id)

    def _describe(self, image_id: str) -> dict[str, Any]:
        picture = self.library.picture(image_id)
        scene = self.library.scene(image_id)
        facts = dict(scene.scene_attributes)
        try:
            self.library.file(picture)
            missing = None
        except RequestError as error:
            missing = error.words
        record = {**scene.to_json(), "detector": self.library.settings.get("detector")}
        record["facts"] = facts
        record["taken"] = picture.taken.isoformat(" ") if picture.taken else None
        record["place"] = (
            None if picture.latitude is None else [picture.latitude, picture.longitude]
        )
        record["missing"] = missing
        if picture.caption:
            record["caption"] = picture.caption
        return record

    async def _asked(
        self, question: str, expansion: str | None, image_id: str | None, upload: str | None
    ) -> Asked:
        text = self._question(question)
        mode = expansion or self.options.expansion
        if mode not in EXPANSION_MODES:
            raise RequestError(
                422, f"expansion: expected one of {', '.join(self.modes)}, got {mode[:40]!r}"
            )
        if mode not in self.modes:
            raise RequestError(422, f"expansion {mode!r} needs a click log (serve --coclick-log)")
        if (image_id is None) == (upload is None):
            raise RequestError(422, "name either image_id or upload")
        picture: Picture | None = None
        scene = self.uploads.get(upload).scene if upload is not None else None
        if image_id is not None:
            picture = await in_thread(self.library.picture, image_id)
        return Asked(text, mode, picture, scene)

    def _question(self, text: str) -> str:
        clean = " ".join(text.split())
        if not clean:
            raise RequestError(422, "question: empty")
        if len(clean) > self.limits.question_characters:
            raise RequestError(
                422,
                f"question: {len(clean)} characters; at most "
                f"{self.limits.question_characters} are read",
            )
        return clean

    def close(self) -> None:
        """Finish what was accepted and let go of the index."""
        self.finds.stop()
        self.answers.stop()
        self.library.close()


def _needs_clicks(mode: str) -> bool:
    return mode.startswith("coclick") or mode == "both"
