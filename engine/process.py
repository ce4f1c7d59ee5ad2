"""A process that starts, runs until it is told to stop, and stops: what a server and a worker have in common.

It knows none of their parts.
"""

from __future__ import annotations

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from engine.core.refusal import Refused
from engine.loading.wording import with_hint
from engine.logs import configure_logs
from engine.parts import StartError
from engine.settings import Settings, problems
from engine.settings_file import DEFAULT_PATH, read_settings
from engine.settings_shape import parse_host, parse_store

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger("proactive")


def settings_of(
    path: str | Path | None = DEFAULT_PATH,
    *,
    host: str | None = None,
    ws_port: int | None = None,
    http_port: int | None = None,
    rules: str | Path | None = None,
    store: str | None = None,
) -> Settings:
    """By a file of settings, the environment over it, and the arguments over both.

    With ``path`` None, ``config.yaml`` if there is one. Raises `SettingsErrors`, and `StartError` for an
    argument that cannot be.
    """
    settings = read_settings(path, os.environ)
    given: dict[str, Any] = {"ws_port": ws_port, "http_port": http_port}
    given["rules"] = None if rules is None else Path(rules)
    try:
        if host is not None:
            given["host"] = parse_host(host)
        if store is not None:
            given["store"] = parse_store(store)
    except Refused as refused:
        raise StartError(with_hint(refused.message, refused.hint)) from None
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


class Process(ABC):
    """`start` and `stop` it, or use it as an async context manager; it starts once."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        for names, why in problems(self.settings):
            raise StartError(f"{'.'.join(names)}: {why}")
        self._running = AsyncExitStack()
        self._started = False

    async def start(self) -> None:
        """Returns when all of it is there. Raises `RuleErrors`, `StoreUnusable` or `StartError`; then nothing is."""
        if self._started:
            raise RuntimeError("a server starts once; make another")
        self._started = True
        if not structlog.is_configured():
            configure_logs(self.settings.log, self.settings.secrets)
        async with AsyncExitStack() as opened:
            await self._open(opened)
            self._running = opened.pop_all()

    async def stop(self) -> None:
        """Close the doors, finish what was begun, close the store. Once is enough; more does nothing."""
        await self._running.aclose()

    async def serve_forever(self, on_started: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT or SIGTERM, then stop. Starts the server if that has not been done.

        ``on_started`` is called when it serves. A signal that comes earlier stops it as soon as it has started.
        """
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            with suppress(NotImplementedError):  # Windows has no handlers on the loop; there Ctrl-C raises
                loop.add_signal_handler(number, asked.set)
        try:
            if not self._started:
                await self.start()
            if on_started is not None:
                on_started()
            await asked.wait()
            log.info("= stopping")
        finally:
            for number in STOP_SIGNALS:
                with suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
            await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    async def _open(self, opened: AsyncExitStack) -> None:
        """Start all of it; ``opened`` stops it."""
