"""The worker as a process: it is built, works until it is told to stop, gives its partitions back, and is gone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from engine.core.refusal import Refused
from engine.doors import listen
from engine.parts import StartError
from engine.process import Process, settings_of
from engine.responders.base import Responder, check_responder
from engine.settings import Settings, shown_host
from engine.settings_file import DEFAULT_PATH
from engine.transport.figures_door import FiguresDoor
from engine.transport.tls import server_context
from engine.worker_wiring import WorkerParts, build_worker, figures_door


class WorkerProcess(Process):
    """``responder`` writes what rules leave to be written; None takes the one that the settings name.

    ``any_port``: where the port of the settings is taken, any that is free will do, for all processes of a machine may
    have the same settings.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        responder: Responder | None = None,
        on_report: Callable[[str], None] | None = None,
        any_port: bool = True,
    ) -> None:
        super().__init__(settings)
        if responder is not None:
            check_responder(responder)
        self._responder = responder
        self._on_report = on_report
        self._any_port = any_port
        self._http_port = 0
        self._built: WorkerParts | None = None

    @classmethod
    def from_config(
        cls,
        path: str | Path | None = DEFAULT_PATH,
        *,
        responder: Responder | None = None,
        on_report: Callable[[str], None] | None = None,
        http_port: int | None = None,
        rules: str | Path | None = None,
        store: str | None = None,
    ) -> Self:
        """As `Server.from_config`. A ``http_port`` that is given has to be free."""
        settings = settings_of(path, http_port=http_port, rules=rules, store=store)
        return cls(settings, responder=responder, on_report=on_report, any_port=http_port is None)

    @property
    def http_url(self) -> str:
        scheme = "http" if self.settings.tls is None else "https"
        return f"{scheme}://{shown_host(self.settings.host)}:{self._http_port}"

    @property
    def parts(self) -> WorkerParts:
        if self._built is None:
            raise RuntimeError("the worker has not been started")
        return self._built

    async def _open(self, opened: AsyncExitStack) -> None:
        try:
            tls = server_context(self.settings.tls)
        except Refused as refused:
            raise StartError(refused.message) from None
        parts = self._built = await build_worker(
            self.settings, opened, responder=self._responder, on_report=self._on_report
        )
        opened.push_async_callback(_finish, parts, asyncio.create_task(parts.worker.run(), name="worker"))
        door = figures_door(parts)
        opened.push_async_callback(door.close)
        await self._listen(door, tls)

    async def _listen(self, door: FiguresDoor, tls: ssl.SSLContext | None) -> None:
        host, port = self.settings.host, self.settings.http_port
        try:
            self._http_port = await listen(lambda: door.open(host, port, tls), host, port, "--http-port")
        except StartError:
            if not self._any_port or port == 0:
                raise
            self._http_port = await listen(lambda: door.open(host, 0, tls), host, 0, "--http-port")


async def _finish(parts: WorkerParts, work: asyncio.Task[None]) -> None:
    parts.is_stopping = True
    parts.worker.stop()
    await work
