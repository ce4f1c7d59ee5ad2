"""Where the figures of a server are looked up, and who observes it: numbers always, spans where they are asked for.

It changes nothing of what it looks at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from engine.core.refusal import Refused
from engine.driver import Driver
from engine.metrics.metrics import Metrics
from engine.observer import Observer, Several
from engine.readiness import Readiness
from engine.reload import Reloader
from engine.settings import Telemetry
from engine.storage.base import Store, StoreError
from engine.transport.hub import Hub
from engine.transport.sessions import Sessions

LOOK_EVERY_S = 10.0  # at the store: it counts rows, which is not for every time that somebody asks
PROBED_FOR_S = 1.0  # between the writes that find out whether the store takes any, however many ask
NO_EXTRA = (
    "telemetry.otlp is set, and the library that sends traces is not installed: "
    'pip install "proactive-engine[otel]", or leave telemetry.otlp out'
)


def observed(metrics: Metrics, telemetry: Telemetry) -> tuple[Observer, Callable[[], Awaitable[None]] | None]:
    """Whom the parts are to tell, and what is to be awaited when the server stops, if anything is.

    Raises `Refused` where traces are asked for and their library is not there.
    """
    if telemetry.otlp is None:
        return metrics, None
    try:
        from engine.tracing import open_tracing
    except ImportError:
        raise Refused(NO_EXTRA) from None
    tracing = open_tracing(telemetry.otlp, telemetry.service)
    return Several([metrics, tracing]), tracing.close


def look_at_parts(
    metrics: Metrics, *, live: Driver, hub: Hub, sessions: Sessions, reloader: Reloader | None,
    clients: Callable[[], int], ready: Callable[[], Readiness],
) -> None:  # fmt: skip
    """Let the figures be looked up where they are, whenever somebody asks for them."""
    metrics.look_at("ready", lambda: float(ready().ok))
    metrics.look_at("clients", clients)
    metrics.look_at("sessions", lambda: len(sessions))
    metrics.look_at("inbox_inputs", lambda: live.inbox.count)
    metrics.look_at("inbox_receipts", lambda: live.inbox.receipts)
    metrics.look_at("receipts_lost", lambda: live.inbox.receipts_lost)
    metrics.look_at("notifications_dropped", lambda: hub.dropped)
    if reloader is not None:
        metrics.look_at("rule_problems", lambda: len(reloader.problems))
    metrics.look_at("outgoing_frames_max", lambda: hub.queued()[1])


class StoreProbe:
    """Whether the store can be written to. That is found out by writing, so not anew for each who asks.

    ``seconds`` only go forward. ``on_fine`` is called whenever it could be written to.
    """

    def __init__(self, store: Store, seconds: Callable[[], float], on_fine: Callable[[], None]) -> None:
        self._store = store
        self._seconds = seconds
        self._on_fine = on_fine
        self._one_at_a_time = asyncio.Lock()
        self._known: tuple[float, str] | None = None  # since when, and what

    async def trouble(self) -> str:
        """Why it cannot be, "" where it can: as it was at most `PROBED_FOR_S` ago."""
        async with self._one_at_a_time:
            if self._known is not None and self._seconds() - self._known[0] < PROBED_FOR_S:
                return self._known[1]
            try:
                await self._store.probe()
                trouble = ""
                self._on_fine()
            except StoreError as error:
                trouble = str(error)
            self._known = self._seconds(), trouble
            return trouble


class StoreWatch:
    """Looks at the store now and then. ``path`` is that of its file, None where it has none.

    ``on_fine`` is called whenever it could be written to. ``figures`` are its own, looked up without asking it.
    """

    def __init__(
        self,
        store: Store,
        observer: Observer,
        path: Path | None,
        on_fine: Callable[[], None] = lambda: None,
        figures: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._on_fine = on_fine
        self._figures = figures
        self._store = store
        self._observer = observer
        self._path = path
        self._outbox: float | None = None
        self.trouble = ""  # why it did not answer the last time

    def show_in(self, metrics: Metrics) -> None:
        metrics.look_at("outbox", lambda: self._outbox)
        for name in self._figures():
            metrics.look_at(name, partial(self._figure, name))
        if self._path is not None:
            path = self._path
            metrics.look_at("store_bytes", lambda: _size(path))
            metrics.look_at("store_wal_bytes", lambda: _size(path.with_name(path.name + "-wal")))

    def _figure(self, name: str) -> float | None:
        return self._figures().get(name)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        try:
            await self._store.probe()
            found = await self._store.describe()
            self._outbox = found["outbox"]
            self._on_fine()
            if self.trouble:
                self._observer.store_trouble(None)
            self.trouble = ""
        except StoreError as error:
            self.trouble = str(error)
            self._observer.store_trouble(self.trouble)


def _size(path: Path) -> float | None:
    with suppress(OSError):
        return path.stat().st_size
    return None
