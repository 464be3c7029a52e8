"""The worker behind `ask`: detects what is new, answers a batch with one pass of the model."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from detectors.images import load_image
from detectors.scene import Scene
from gqa_reasoner.answer import Answer
from gqa_reasoner.web.errors import RequestError

if TYPE_CHECKING:
    import PIL.Image

    from gqa_reasoner.collection.models import Captioner
    from gqa_reasoner.pipeline import Reasoner
    from gqa_reasoner.web.clicks import ClickLoop
    from gqa_reasoner.web.library import Library, Picture

__all__ = ["Answering", "Asked", "Detected"]

_INDEX_ONLY = "the picture was deleted after indexing; the answer rests on what the index kept"


@dataclass(frozen=True)
class Asked:
    """A question about a picture of the index (`picture`) or about a given scene."""

    question: str
    expansion: str
    picture: Picture | None = None
    scene: Scene | None = None


@dataclass(frozen=True)
class Detected:
    """A picture whose scene is wanted."""

    image: PIL.Image.Image


class Answering:
    """Does the work of the answer queue; used by one thread only.

    Args:
        reasoner: parts of the answer path.
        library: the pictures.
        clicks: tells when the click log has grown.
        captioner: describes uploaded pictures.
        kept: scenes of pictures kept in memory.
        lock: held while the reasoner works.
    """

    def __init__(
        self,
        reasoner: Reasoner,
        library: Library,
        clicks: ClickLoop,
        captioner: Captioner | None,
        kept: int,
        lock: threading.Lock,
    ) -> None:
        self.reasoner, self.library, self.clicks, self.kept = reasoner, library, clicks, kept
        self._captioner, self._lock = captioner, lock
        self._scenes: OrderedDict[Any, Scene] = OrderedDict()

    def __call__(
        self, jobs: Sequence[Asked | Detected]
    ) -> list[dict[str, Any] | Scene | Exception]:
        """One result per job: the record of `ask --json`, a scene, or the job's error."""
        with self._lock:
            return self._work(jobs)

    def _work(self, jobs: Sequence[Asked | Detected]) -> list[dict[str, Any] | Scene | Exception]:
        log = self.clicks.news()
        if log is not None:
            self.reasoner.use_coclick(log)
        results: list[Any] = [None] * len(jobs)
        asked: list[tuple[int, Asked, Scene, list[str]]] = []
        known: dict[str, tuple[Scene, list[str]]] = {}
        for place, job in enumerate(jobs):
            try:
                if isinstance(job, Detected):
                    results[place] = self._uploaded(job.image)
                    continue
                scene, notes = self._scene(job, known)
                asked.append((place, job, scene, notes))
            except (InputError, RequestError) as error:
                results[place] = error
        answers = self.reasoner.answer_scenes(
            [scene for _, _, scene, _ in asked],
            [job.question for _, job, _, _ in asked],
            [job.expansion for _, job, _, _ in asked],
        )
        for (place, job, _, notes), answer in zip(asked, answers, strict=True):
            results[place] = _record(job, answer, notes)
        return results

    def _uploaded(self, image: PIL.Image.Image) -> Scene:
        scene = self.reasoner.detector.detect([image], ["upload"])[0]
        if self._captioner is not None:
            scene.scene_attributes["caption"] = self._captioner.caption([image])[0]
        return scene

    def _scene(
        self, job: Asked, known: dict[str, tuple[Scene, list[str]]]
    ) -> tuple[Scene, list[str]]:
        if job.scene is not None:
            return job.scene, []
        if job.picture is None:
            raise RequestError(422, "name a picture of the collection or an upload")
        key = job.picture.image_id
        if key not in known:
            known[key] = self._pictured(job.picture)
        return known[key]

    def _pictured(self, picture: Picture) -> tuple[Scene, list[str]]:
        """The scene of a picture of the index, from its file or, if that is gone, the tables."""
        try:
            path = self.library.file(picture)
        except RequestError as error:
            if error.status != 410:
                raise
            return self.library.scene(picture.image_id), [_INDEX_ONLY]
        key = (picture.image_id, _stamp(path))
        if key in self._scenes:
            self._scenes.move_to_end(key)
        else:
            try:
                image = load_image(path)
            except InputError:
                words = "the picture cannot be read any more; the answer rests on the index"
                return self.library.scene(picture.image_id), [words]
            self._scenes[key] = self.reasoner.detector.detect([image], [picture.image_id])[0]
            if len(self._scenes) > self.kept:
                self._scenes.popitem(last=False)
        return self._scenes[key], []


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _record(
    job: Asked, answer: Answer | InputError, notes: list[str]
) -> dict[str, Any] | Exception:
    if isinstance(answer, InputError):
        return answer
    answer.notes = [*notes, *answer.notes]
    return {"question": job.question, **answer.to_json()}
