"""Blocking work off the event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

__all__ = ["in_thread"]

Result = TypeVar("Result")


async def in_thread(work: Callable[..., Result], *values: object) -> Result:
    """Run `work(*values)` in a worker thread; a request that is given up does not wait for it."""
    call = functools.partial(work, *values)
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
