"""What a training step runs on: one process, or several through `accelerate launch`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from detectors.errors import InputError

__all__ = ["AccelerateEngine", "PlainEngine", "create_engine"]

_Item = TypeVar("_Item")


class PlainEngine:
    """One process on the processor."""

    main = True
    rank, processes = 0, 1

    def __init__(self, *, bfloat16: bool) -> None:
        self.bfloat16 = bfloat16

    def main_first(self) -> AbstractContextManager[Any]:
        """The main process goes through alone; the others follow when it has left."""
        return nullcontext()

    def prepare(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """What to call, and what to step."""
        return model, optimizer

    def share(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """This process's part of a batch."""
        return items

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision, where it is wanted."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16)

    def backward(self, loss: Tensor) -> None:
        """Add the loss's gradients."""
        loss.backward()

    def clip(self, model: nn.Module, most: float) -> None:
        """Scale the gradients down to a norm of `most`."""
        torch.nn.utils.clip_grad_norm_(model.parameters(), most)

    def everywhere(self, good: bool) -> bool:
        """Whether `good` holds in every process."""
        return good


class AccelerateEngine(PlainEngine):
    """Hugging Face accelerate: data-parallel processes, devices and mixed precision.

    Every process draws the same batches and takes its part of each, so that a run with several
    processes sees what one with a single process sees.
    """

    def __init__(self, *, bfloat16: bool) -> None:
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs
        except ImportError:
            raise InputError(
                "training config: engine: accelerate is not installed; pip install accelerate, "
                "or engine: plain"
            ) from None
        super().__init__(bfloat16=bfloat16)
        options = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(
            mixed_precision="bf16" if bfloat16 else "no", kwargs_handlers=[options]
        )
        self.main = self.accelerator.is_main_process
        self.rank, self.processes = self.accelerator.process_index, self.accelerator.num_processes

    def main_first(self) -> AbstractContextManager[Any]:
        """accelerate's own; long preparations are better done before with `--prepare-only`."""
        return self.accelerator.main_process_first()

    def prepare(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The model wrapped for its device and processes."""
        return self.accelerator.prepare(model, optimizer)

    def share(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Every `processes`-th item, from this process's rank on; never none."""
        return items[self.rank :: self.processes] or items[:1]

    def autocast(self) -> AbstractContextManager[Any]:
        """accelerate's own."""
        return self.accelerator.autocast()

    def backward(self, loss: Tensor) -> None:
        """Through accelerate, which averages over processes."""
        self.accelerator.backward(loss)

    def clip(self, model: nn.Module, most: float) -> None:
        """After the processes have met."""
        self.accelerator.clip_grad_norm_(model.parameters(), most)

    def everywhere(self, good: bool) -> bool:
        """Whether `good` holds in every process."""
        flag = torch.tensor([float(good)], device=self.accelerator.device)
        return bool(self.accelerator.gather(flag).min() > 0)


def create_engine(name: str, *, bfloat16: bool) -> PlainEngine:
    """`plain`, `accelerate`, or `auto`: accelerate where `accelerate launch` started this process.

    Raises:
        InputError: accelerate is asked for and not installed.
    """
    import os

    launched = "ACCELERATE_MIXED_PRECISION" in os.environ or "LOCAL_RANK" in os.environ
    if name == "accelerate" or (name == "auto" and launched):
        return AccelerateEngine(bfloat16=bfloat16)
    return PlainEngine(bfloat16=bfloat16)
