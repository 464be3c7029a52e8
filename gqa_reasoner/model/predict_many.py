"""Predictions of many questions by several processes, each with one thread.

The processes are forked, so that weights, parser and scenes are shared and not loaded again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.data.questions import Question
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["PredictionPool"]

CHUNK = 256
"""Questions that a process takes at a time."""

_shared: list[Any] = []


class PredictionPool:
    """Answers lists of questions; a context manager that ends its processes.

    Args:
        workers: 1 predicts in this process.
    """

    def __init__(self, reasoner: Reasoner, scenes: Mapping[str, Scene], workers: int) -> None:
        import torch

        from gqa_reasoner.model.prepare_many import Preparer, Tools

        self.reasoner, self.scenes = reasoner, scenes
        self.pool: ProcessPoolExecutor | None = None
        reasoner.model.for_prediction()
        tools = Tools.of(reasoner)
        tools.prepare()
        self.preparer = Preparer(reasoner.model.vocabulary, tools, scenes)
        gc.freeze()  # what is loaded stays: the collector need not look through it again
        if workers > 1:
            torch.set_num_threads(1)
            _shared[:] = [self]
            self.pool = ProcessPoolExecutor(workers, get_context("fork"), initializer=_start)

    def predict(self, questions: Sequence[Question]) -> Iterator[dict[str, Any]]:
        """`{"questionId", "prediction"}` of each, in order.

        Raises:
            InputError: a question's image has no scene.
        """
        parts = [questions[start : start + CHUNK] for start in range(0, len(questions), CHUNK)]
        run = map(self._predict, parts) if self.pool is None else self.pool.map(_work, parts)
        for records in run:
            yield from records

    def _predict(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Predict a chunk; the collector of garbage waits, and then looks at what is new alone."""
        from gqa_reasoner.model.inference import predict_questions

        enabled = gc.isenabled()
        gc.disable()
        try:
            return list(
                predict_questions(
                    self.reasoner,
                    questions,
                    self.scenes,
                    batch_size=CHUNK // 2,
                    preparer=self.preparer,
                )
            )
        finally:
            if enabled:
                gc.enable()
            gc.collect(1)

    def __enter__(self) -> PredictionPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            _shared.clear()
        gc.unfreeze()


def _start() -> None:
    import torch

    torch.set_num_threads(1)


def _work(questions: Sequence[Question]) -> list[dict[str, Any]]:
    pool: PredictionPool = _shared[0]
    return pool._predict(questions)
