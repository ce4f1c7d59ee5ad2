"""Work that goes on beside everything else until the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

log = structlog.get_logger("proactive")


def run_beside(opened: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """A task that runs until the server stops; that it failed before is told to the operator."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_say_if_failed)
    opened.push_async_callback(_cancelled, task)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("! a part of the server has ended", part=task.get_name(), why=f"{type(error).__name__}: {error}")
