"""What a server is made of, whatever drives it: sessions, desk, chats, figures. It starts no driver, opens no door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from engine.archive import forget
from engine.beside import run_beside
from engine.composer import Composer
from engine.core.refusal import Refused
from engine.core.rules import RuleSet
from engine.core.units import SECOND
from engine.driver import Driver
from engine.intake import Input
from engine.live import Live
from engine.loading.wording import with_hint
from engine.memory_guard import RETRY_AFTER_S, MemoryGuard
from engine.metrics.metrics import Metrics
from engine.observer import Observer
from engine.readiness import Readiness, readiness
from engine.reload import Reloader
from engine.responders.base import Responder
from engine.settings import Settings
from engine.starting_rules import StartingRules
from engine.storage.base import OutboxMessage, Store
from engine.storage.opening import figures_of, notes_of, open_store
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_wipe import wipe
from engine.transport.auth import Authenticator
from engine.transport.chats import Chats
from engine.transport.delivery import Delivery
from engine.transport.desk import Desk
from engine.transport.hooks import ResponseHook
from engine.transport.hub import Hub
from engine.transport.ledger import Ledger
from engine.transport.limits import Admission, EventLimits, Pacer, Refusal
from engine.transport.origins import Origins
from engine.transport.reception import Reception
from engine.transport.sessions import Sessions
from engine.voices import newest_entries, open_answers
from engine.watching import StoreProbe, StoreWatch, look_at_parts, observed

SWEEP_S = 1.0  # between looks for sessions to which nobody came back
NO_WORKERS = "no worker is alive: events are taken in and wait to be evaluated"

log = structlog.get_logger("proactive")


class StartError(Exception):
    """The server cannot start, in one line that says what to do about it."""


@dataclass(slots=True)
class Ruling:
    """What makes rules hold, of a server that evaluates them itself."""

    start: StartingRules
    live: Live
    reloader: Reloader

    @property
    def rules(self) -> RuleSet:
        return self.live.rules


@dataclass(slots=True)
class Ground:
    """What stands before there is a driver. ``clock``: microseconds UTC."""

    settings: Settings
    opened: AsyncExitStack
    clock: Callable[[], int]
    metrics: Metrics
    observer: Observer
    authenticator: Authenticator
    store: Store
    hub: Hub


@dataclass(slots=True)
class Driven:
    """A driver, and what brings its messages to people."""

    driver: Driver
    sessions: Sessions
    delivery: Delivery
    voice: Responder | None
    composer: Composer | None = None


@dataclass(slots=True)
class Parts:
    """What a running server is made of; ``ruling`` is None where others evaluate."""

    store: Store
    live: Driver
    hub: Hub
    sessions: Sessions
    delivery: Delivery
    desk: Desk
    reception: Reception
    metrics: Metrics
    memory: MemoryGuard
    authenticator: Authenticator
    origins: Origins
    probe: StoreProbe
    ruling: Ruling | None = None


def now() -> int:
    """Microseconds UTC, by the clock of this machine."""
    return time.time_ns() // 1000


def lay_ground(
    settings: Settings, opened: AsyncExitStack, store: Store, metrics: Metrics, observer: Observer
) -> Ground:
    """Raises `StartError`."""
    try:
        authenticator = Authenticator(settings.auth, now)
    except Refused as refused:
        raise StartError(with_hint(refused.message, refused.hint)) from None
    hub = Hub(time.monotonic, settings.limits.queue_frames)
    return Ground(settings, opened, now, metrics, observer, authenticator, store, hub)


def observe(metrics: Metrics, settings: Settings, opened: AsyncExitStack) -> Observer:
    """Raises `StartError`."""
    try:
        observer, close = observed(metrics, settings.telemetry)
    except Refused as refused:
        raise StartError(refused.message) from None
    if close is not None:
        opened.push_async_callback(close)
    return observer


async def open_settled_store(settings: Settings, opened: AsyncExitStack) -> Store:
    """The store that the settings name, closed with ``opened``. Raises `StoreUnusable`."""
    store = await open_store(
        settings.store, durability=settings.durability, on_replica_loss=settings.on_replica_loss,
        password=settings.store_password,
    )  # fmt: skip
    opened.push_async_callback(store.close)
    return store


def bring_to_people(
    ground: Ground, driver: Driver, delivery: Delivery, ledger: Ledger, composer: Callable[[], Composer | None]
) -> Sessions:
    """The sessions of what ``driver`` drives. ``composer`` says who writes messages, once that is known."""

    def is_kept_back(message_id: str) -> bool:
        writing = composer()
        return delivery.is_paced(message_id) or (writing is not None and writing.is_composing(message_id))

    return Sessions(
        driver,
        ledger,
        clock=ground.clock,
        resume_within=ground.settings.resume_within,
        is_kept_back=is_kept_back,
        observer=ground.observer,
    )


def new_delivery(ground: Ground, ledger: Ledger) -> Delivery:
    pacer: Pacer[OutboxMessage] = Pacer(ground.settings.limits.messages_per_s)
    return Delivery(ground.hub, ledger, pacer, time.monotonic, observer=ground.observer)


def _overwrite(store: Store, archive: Path | None, user: str) -> int:
    """What is left of a user who was erased: in the archive, and in the file of the store. On how many pages of it."""
    if archive is not None and archive.exists():
        forget(archive, user)
    return wipe(store.path) if isinstance(store, SqliteStore) else 0


def assemble(ground: Ground, driven: Driven, on_user_response: ResponseHook | None) -> Parts:
    """All that stands between the driver, which has started, and the doors."""
    settings, opened, store, driver = ground.settings, ground.opened, ground.store, driven.driver
    sessions, delivery, composer = driven.sessions, driven.delivery, driven.composer

    def note(inputs: list[Input]) -> None:
        driver.note([item for item in inputs if item.user not in sessions.erasing])

    answers = open_answers(settings, driven.voice, store, note, ground.observer)
    chats = Chats(
        answers,
        send=partial(driver.send, once=True),
        record=note,
        newest=partial(newest_entries, store),
        clock=ground.clock,
    )
    desk = Desk(
        driver,
        ground.hub,
        sessions,
        answers,
        clock=ground.clock,
        expires=settings.message_expires,
        on_user_response=on_user_response,
        is_kept_back=sessions.is_kept_back,
        forgetting=[delivery.forget, chats.forget, *([] if composer is None else [composer.forget])],
        overwrite=lambda user: asyncio.to_thread(_overwrite, store, settings.archive, user),
    )
    opened.push_async_callback(desk.close)
    opened.push_async_callback(chats.close)
    reception = _reception(ground, desk, sessions, chats)
    memory = MemoryGuard(settings.limits.memory_mb, on_change=lambda why: _shut(reception.admission, why))
    run_beside(opened, memory.run(), "memory")
    run_beside(opened, _sweep(sessions), "sessions")
    return Parts(
        store, driver, ground.hub, sessions, delivery, desk, reception, ground.metrics, memory, ground.authenticator,
        Origins(settings), StoreProbe(store, time.monotonic, driver.trouble_over),
    )  # fmt: skip


async def readiness_of(parts: Parts) -> Readiness:
    """What ``GET /readyz`` says."""
    return readiness_now(parts, await parts.probe.trouble())


def readiness_now(parts: Parts, store_trouble: str = "") -> Readiness:
    """As it is known without asking the store."""
    state, ruling = parts.live.health(), parts.ruling
    return readiness(
        stopping=parts.reception.is_draining,
        running=state["running"],
        store_trouble=store_trouble or state["trouble"],
        memory_trouble=parts.memory.trouble,
        rules=None if ruling is None else len(ruling.rules.rules),
        rule_problems=() if ruling is None else ruling.reloader.problems,
        store_notes=[*notes_of(parts.store), *([] if state.get("workers", 1) else [NO_WORKERS])],
    )


def show(parts: Parts, observer: Observer, opened: AsyncExitStack) -> None:
    """Let the figures be looked up in the parts, and the store be looked at now and then."""
    path = None
    if isinstance(parts.store, SqliteStore):
        path = parts.store.path
        parts.store.tell_checkpoints(lambda seconds, ok: observer.store_worked("checkpoint", seconds, ok=ok))
    figures = partial(figures_of, parts.store)
    store_watch = StoreWatch(parts.store, observer, path, parts.live.trouble_over, figures)
    store_watch.show_in(parts.metrics)
    look_at_parts(
        parts.metrics,
        live=parts.live,
        hub=parts.hub,
        sessions=parts.sessions,
        reloader=None if parts.ruling is None else parts.ruling.reloader,
        clients=lambda: len(parts.desk.present()),
        ready=lambda: readiness_now(parts, store_watch.trouble),
    )
    run_beside(opened, store_watch.run(), "store")


def _reception(ground: Ground, desk: Desk, sessions: Sessions, chats: Chats) -> Reception:
    settings, limits = ground.settings, ground.settings.limits
    return Reception(
        desk,
        ground.hub,
        sessions,
        ground.authenticator,
        chats,
        clock=ground.clock,
        seconds=time.monotonic,
        event_limits=EventLimits(per_client=limits.client_events_per_s, per_user=limits.user_events_per_s),
        admission=Admission(
            total=limits.connections, per_user=limits.user_connections, per_address=limits.address_connections
        ),
        heartbeat_s=settings.heartbeat / SECOND,
        limits=_told_limits(settings),
        depth_max=limits.nesting,
        observer=ground.observer,
    )


def _told_limits(settings: Settings) -> dict[str, int | None]:
    """What a client that keeps to them never runs into."""
    limits = settings.limits
    return {
        "frameBytes": limits.frame_bytes,
        "nesting": limits.nesting,
        "eventsPerSecond": limits.client_events_per_s,
        "queueFrames": limits.queue_frames,
    }


def _shut(admission: Admission, why: str) -> None:
    admission.shut = Refusal("overloaded", why, RETRY_AFTER_S, status=503, scope="memory") if why else None


async def _sweep(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        sessions.sweep()
