"""One part of an extraction as bytes, made here or by worker processes."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

import numpy as np

from detectors.errors import InputError
from detectors.picture_lists import PictureReference
from detectors.protocol import Detector
from detectors.scene import Scene

__all__ = ["Parts", "make_here", "make_in_processes", "make_part", "single_threaded"]

Parts = Sequence[tuple[int, Sequence[PictureReference]]]
"""Part numbers with their pictures."""


def make_part(pictures: Sequence[PictureReference], detector: Detector) -> bytes:
    """The `.npz` of one part: arrays `POSITION/NAME` and the JSON list `records`.

    Pictures go through the detector one by one, so that no feature depends on its neighbours.
    A picture that cannot be read becomes a record with its reason.

    Raises:
        InputError: the detector gives no region features.
    """
    arrays: dict[str, np.ndarray] = {}
    records: list[dict[str, object]] = []
    for picture in pictures:
        try:
            image = picture.load()
        except InputError as error:
            records.append({"image": picture.name, "reason": str(error)})
            continue
        scene = detector.detect([image], [picture.image_id])[0]
        position = len(records)
        records.append({"image_id": picture.image_id, "width": scene.width, "height": scene.height})
        for name, values in _arrays(scene).items():
            arrays[f"{position}/{name}"] = values
    arrays["records"] = np.array(json.dumps(records))
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def _arrays(scene: Scene) -> dict[str, np.ndarray]:
    if scene.features is None:
        raise InputError(
            f"image {scene.image_id}: the detector {scene.detector} gives no region features"
        )
    scores = np.array([item.score for item in scene.objects], dtype=np.float32)
    arrays = {
        "features": scene.features.astype(np.float32),
        "boxes": scene.boxes(),
        "scores": scores,
    }
    if scene.class_probabilities is not None:
        arrays["class_ids"] = scene.class_probabilities.argmax(axis=1).astype(np.int64)
    return arrays


def make_here(parts: Parts, create_detector: Callable[[], Detector]) -> Iterator[tuple[int, bytes]]:
    """Make the parts in this process, in order."""
    detector = create_detector()
    for number, pictures in parts:
        yield number, make_part(pictures, detector)


def make_in_processes(
    parts: Parts, create_detector: Callable[[], Detector], workers: int
) -> Iterator[tuple[int, bytes]]:
    """Make the parts in `workers` processes, as they get done.

    No more than two parts a worker are on their way, so memory stays bounded. The workers end
    when this process does, however it ends.

    Args:
        parts: what to do.
        create_detector: makes each worker's detector; must be picklable.
        workers: number of processes, one processor thread each.
    """
    left = deque(parts)
    with ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(create_detector,),
    ) as pool:
        running: dict[Future[bytes], int] = {}
        try:
            while left or running:
                while left and len(running) < 2 * workers:
                    number, pictures = left.popleft()
                    running[pool.submit(_work, pictures)] = number
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_detector: Detector | None = None
"""The detector of a worker process."""


def _start_worker(create_detector: Callable[[], Detector]) -> None:
    global _detector
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _detector = single_threaded(create_detector)


def single_threaded(create_detector: Callable[[], Detector]) -> Detector:
    """A detector for one of several workers: torch, where it is used, gets one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    detector = create_detector()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    return detector


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(pictures: Sequence[PictureReference]) -> bytes:
    if _detector is None:
        raise RuntimeError("the worker has no detector")
    return make_part(pictures, _detector)
