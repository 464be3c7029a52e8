"""A bounded queue in front of one worker thread that takes its jobs in small batches."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from gqa_reasoner.web.errors import RequestError

__all__ = ["Batcher"]

_BATCH_SECONDS = 1.0
"""A batch is kept so small that it takes about this long, but for its least size."""
_LEAST = 4
_FIRST_GUESS = 0.25
"""Seconds of a job, before any was seen."""
Job = TypeVar("Job")
Result = TypeVar("Result")


class Batcher(Generic[Job, Result]):
    """Runs jobs of many requests together.

    Args:
        work: takes a batch and gives per job a result, or the exception of that job alone.
        name: of the thread and the metrics.
        capacity: jobs that may wait or run; more are refused.
        most: jobs of one batch.
        window_seconds: how long a batch waits for more jobs once it has one.
        patience_seconds: a job that would wait longer is refused at once, and one that did not
            begin after so long is given up.
        observe: is told the size of every batch.
    """

    def __init__(
        self,
        work: Callable[[list[Job]], Sequence[Result | Exception]],
        *,
        name: str,
        capacity: int,
        most: int,
        window_seconds: float = 0.0,
        patience_seconds: float = 20.0,
        observe: Callable[[int], None] | None = None,
    ) -> None:
        self.work, self.name, self.capacity, self.most = work, name, capacity, most
        self.window_seconds, self.patience_seconds = window_seconds, patience_seconds
        self._observe = observe
        self._waiting: deque[tuple[Job, Future[Result]]] = deque()
        self._running, self._began = 0, 0.0
        self._job_seconds = _FIRST_GUESS
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting) + self._running

    async def submit(self, *jobs: Job) -> list[Result | BaseException]:
        """Run jobs, all or none of them; the results in order, exceptions among them.

        Raises:
            RequestError: 429, the queue is full or the wait is too long.
        """
        futures: list[Future[Result]] = [Future() for _ in jobs]
        with self._changed:
            ahead = len(self)
            wait = ahead * self._seconds_of_a_job()
            if self._stopping:
                raise RequestError(503, "the server is stopping", 5)
            if ahead + len(jobs) > self.capacity or wait > self.patience_seconds:
                raise _busy(ahead, wait)
            self._waiting.extend(zip(jobs, futures, strict=True))
            self._changed.notify()
        wrapped = [asyncio.wrap_future(future) for future in futures]
        try:
            _, late = await asyncio.wait(wrapped, timeout=self.patience_seconds)
        except asyncio.CancelledError:  # the client left, or its time is over
            for future in futures:
                future.cancel()
            raise
        if late and any([future.cancel() for future in futures]):
            raise _busy(len(self), self._seconds_of_a_job() * len(self))
        return list(await asyncio.gather(*wrapped, return_exceptions=True))

    async def run(self, job: Job) -> Result:
        """Run one job.

        Raises:
            RequestError: the queue is full; whatever the job itself raised.
        """
        result = (await self.submit(job))[0]
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self, timeout: float | None = 30.0) -> None:
        """Finish what was accepted, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _seconds_of_a_job(self) -> float:
        """From past batches, or from the running one where it takes longer."""
        if not self._running:
            return self._job_seconds
        return max(self._job_seconds, (time.perf_counter() - self._began) / self._running)

    def _loop(self) -> None:
        while batch := self._take():
            began = self._began
            if self._observe is not None:
                self._observe(len(batch))
            results: Sequence[Any]
            try:
                results = self.work([job for job, _ in batch])
            except Exception as error:  # one broken batch must not end the worker
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
            spent = (time.perf_counter() - began) / len(batch)
            self._job_seconds += 0.2 * (spent - self._job_seconds)
            with self._changed:
                self._running = 0

    def _take(self) -> list[tuple[Job, Future[Result]]]:
        """The next batch, without jobs whose clients left; [] when stopped and done."""
        with self._changed:
            while True:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return []
                end = time.monotonic() + self.window_seconds
                while len(self._waiting) < self.most and not self._stopping:
                    left = end - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        break
                batch: list[tuple[Job, Future[Result]]] = []
                most = max(_LEAST, min(self.most, int(_BATCH_SECONDS / self._job_seconds)))
                while self._waiting and len(batch) < most:
                    job, future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        batch.append((job, future))
                if batch:
                    self._running, self._began = len(batch), time.perf_counter()
                    return batch


def _busy(ahead: int, wait: float) -> RequestError:
    seconds = max(1, math.ceil(wait))
    words = f"busy: {ahead} questions are waiting; try again in a moment"
    return RequestError(429, words, min(seconds, 30))
