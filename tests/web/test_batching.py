"""The queue: batches, bounds, single failures, clients that leave, an orderly end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gqa_reasoner.web.batching import Batcher
from gqa_reasoner.web.errors import RequestError


class Gate:
    """Work that waits until it is let through, and remembers its batches."""

    def __init__(self, open_: bool = True) -> None:
        self.open = threading.Event()
        self.batches: list[list[int]] = []
        if open_:
            self.open.set()

    def __call__(self, jobs: list[int]) -> list[int | Exception]:
        self.batches.append(list(jobs))
        self.open.wait(10)
        return [ValueError("odd") if job < 0 else job * 10 for job in jobs]


def make(gate: Gate, **options: float) -> Batcher[int, int]:
    return Batcher(gate, name="test", **{"capacity": 8, "most": 4, **options})  # type: ignore[arg-type]


def test_jobs_that_wait_together_are_worked_on_together() -> None:
    async def run() -> list[int]:
        gate = Gate(open_=False)
        batcher = make(gate)
        tasks = [asyncio.create_task(batcher.run(0))]
        while not gate.batches:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(batcher.run(number)) for number in range(1, 6)]
        await asyncio.sleep(0.01)
        gate.open.set()
        found = await asyncio.gather(*tasks)
        assert gate.batches == [[0], [1, 2, 3, 4], [5]]
        batcher.stop()
        return found

    assert asyncio.run(run()) == [0, 10, 20, 30, 40, 50]


def test_a_failure_is_that_job_s_alone() -> None:
    async def run() -> list[int | BaseException]:
        batcher = make(Gate(), window_seconds=0.05)
        found = await batcher.submit(1, -1, 2)
        batcher.stop()
        return found

    one, odd, two = asyncio.run(run())
    assert (one, two) == (10, 20)
    assert isinstance(odd, ValueError)


def test_a_broken_batch_does_not_end_the_worker() -> None:
    async def run() -> None:
        calls = []

        def work(jobs: list[int]) -> list[int]:
            calls.append(jobs)
            if len(calls) == 1:
                raise RuntimeError("broken")
            return jobs

        batcher: Batcher[int, int] = Batcher(work, name="test", capacity=4, most=4)
        with pytest.raises(RuntimeError, match="broken"):
            await batcher.run(1)
        assert await batcher.run(2) == 2
        batcher.stop()

    asyncio.run(run())


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    async def run() -> None:
        gate = Gate(open_=False)
        batcher = make(gate)
        tasks = [asyncio.create_task(batcher.run(number)) for number in range(8)]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError, match="busy: 8 questions are waiting") as refused:
            await batcher.run(9)
        assert refused.value.status == 429
        assert (refused.value.retry_after or 0) >= 1
        gate.open.set()
        assert await asyncio.gather(*tasks) == [number * 10 for number in range(8)]
        assert len(batcher) == 0
        batcher.stop()

    asyncio.run(run())


def test_a_job_that_does_not_begin_in_time_is_given_up() -> None:
    async def run() -> None:
        gate = Gate(open_=False)
        batcher = make(gate, patience_seconds=0.3)
        first = asyncio.create_task(batcher.run(1))
        while not gate.batches:
            await asyncio.sleep(0.001)
        batcher._job_seconds = 0.0  # as if jobs had been quick so far
        batcher._began += 10
        with pytest.raises(RequestError, match="busy") as refused:
            await batcher.run(2)
        assert refused.value.status == 429
        gate.open.set()
        assert await first == 10  # what runs is waited for
        batcher.stop()
        assert gate.batches == [[1]]

    asyncio.run(run())


def test_batches_of_slow_jobs_are_small() -> None:
    async def run() -> None:
        gate = Gate()
        batcher = make(gate, most=8)
        batcher._job_seconds = 0.6
        await batcher.submit(*range(8))
        batcher.stop()
        assert gate.batches[0] == [0, 1, 2, 3]

    asyncio.run(run())


def test_several_jobs_are_taken_all_or_none() -> None:
    async def run() -> None:
        gate = Gate(open_=False)
        batcher = make(gate, capacity=4)
        first = asyncio.create_task(batcher.submit(1, 2, 3))
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError):
            await batcher.submit(4, 5)
        assert len(batcher) == 3
        gate.open.set()
        await first
        batcher.stop()

    asyncio.run(run())


def test_jobs_of_clients_that_left_are_not_worked_on() -> None:
    async def run() -> list[list[int]]:
        gate = Gate(open_=False)
        batcher = make(gate)
        first = asyncio.create_task(batcher.run(0))
        while not gate.batches:
            await asyncio.sleep(0.001)
        leaving = asyncio.create_task(batcher.run(1))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.sleep(0.01)
        gate.open.set()
        await first
        assert await batcher.run(2) == 20
        batcher.stop()
        return gate.batches

    assert asyncio.run(run()) == [[0], [2]]


def test_stopping_finishes_what_was_accepted() -> None:
    async def run() -> None:
        gate = Gate(open_=False)
        batcher = make(gate)
        tasks = [asyncio.create_task(batcher.run(number)) for number in range(3)]
        await asyncio.sleep(0.02)
        gate.open.set()
        await asyncio.to_thread(batcher.stop)
        assert await asyncio.gather(*tasks) == [0, 10, 20]
        with pytest.raises(RequestError, match="stopping"):
            await batcher.run(4)

    asyncio.run(run())
