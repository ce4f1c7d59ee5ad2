"""All parts of a server put together: store, driver, sessions, doors. It only builds; `app` starts and stops it."""

from __future__ import annotations

import asyncio
import errno
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from engine.composer import Composer
from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.rules import RuleSet
from engine.core.units import SECOND
from engine.intake import Input
from engine.live import Live
from engine.loading.wording import with_hint
from engine.memory_guard import RETRY_AFTER_S, MemoryGuard
from engine.metrics.metrics import Metrics
from engine.observer import Observer
from engine.readiness import Readiness, readiness
from engine.reload import Reloader
from engine.responders.base import Responder
from engine.responders.openai import OpenAIResponder
from engine.retention import keep_trimmed
from engine.rules_reply import change_rules
from engine.settings import Settings
from engine.starting_rules import StartingRules, starting_rules
from engine.storage.base import OutboxMessage, Store
from engine.storage.opening import notes_of, open_store, serve_alone
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_wipe import wipe
from engine.transport.auth import Authenticator
from engine.transport.chats import Chats
from engine.transport.delivery import Delivery
from engine.transport.desk import Desk
from engine.transport.hooks import ResponseHook
from engine.transport.http_door import HttpDoor, Slowness
from engine.transport.hub import Hub
from engine.transport.ledger import Ledger
from engine.transport.limits import Admission, EventLimits, Pacer, Refusal
from engine.transport.listener import Patience, WebSocketDoor
from engine.transport.origins import Origins
from engine.transport.outgoing import Outgoing
from engine.transport.peer import Peer
from engine.transport.reception import Reception
from engine.transport.routes_about import About
from engine.transport.sessions import Sessions
from engine.voices import newest_entries, open_answers, open_voice
from engine.watching import StoreProbe, StoreWatch, look_at_parts, observed

SWEEP_S = 1.0  # between looks for sessions to which nobody came back
DRAIN_S = 5.0  # for what was taken in to be durable and acknowledged, before connections are closed

log = structlog.get_logger("proactive")


class StartError(Exception):
    """The server cannot start, in one line that says what to do about it."""


@dataclass(slots=True)
class Parts:
    """What a running server is made of, and the ports it listens on."""

    start: StartingRules
    store: Store
    live: Live
    hub: Hub
    sessions: Sessions
    delivery: Delivery
    desk: Desk
    reception: Reception
    reloader: Reloader
    metrics: Metrics
    memory: MemoryGuard
    authenticator: Authenticator
    origins: Origins
    probe: StoreProbe


def now() -> int:
    """Microseconds UTC: the only clock of a live server that rules get to know."""
    return time.time_ns() // 1000


async def build(
    settings: Settings,
    opened: AsyncExitStack,
    *,
    responder: Responder | None,
    on_user_response: ResponseHook | None,
    on_report: Callable[[str], None] | None,
) -> Parts:
    """Everything but the doors; what has to be closed is given to ``opened``, in the order in which it is made."""
    metrics = Metrics(now)
    observer = _observed(metrics, settings, opened)
    start = await starting_rules(settings.rules, settings.store, settings.store_password)
    authenticator = _authenticator(settings)
    store = await _open_store(settings, opened)
    hub = Hub(time.monotonic, settings.limits.queue_frames)
    voice = await open_voice(settings, responder, opened)
    live, sessions, delivery, composer = _driver(settings, store, start.rules, hub, voice, observer)
    opened.push_async_callback(delivery.close)
    await live.start()
    opened.push_async_callback(live.stop)
    if composer is not None:
        opened.push_async_callback(composer.close)

    def note(inputs: list[Input]) -> None:
        live.note([item for item in inputs if item.user not in sessions.erasing])

    answers = open_answers(settings, voice, store, note, observer)
    chats = Chats(
        answers, send=partial(live.send, once=True), record=note, newest=partial(newest_entries, store), clock=now
    )
    desk = Desk(
        live,
        hub,
        sessions,
        answers,
        clock=now,
        expires=settings.message_expires,
        on_user_response=on_user_response,
        is_kept_back=sessions.is_kept_back,
        forgetting=[delivery.forget, chats.forget, *([] if composer is None else [composer.forget])],
        overwrite=partial(asyncio.to_thread, wipe, store.path) if isinstance(store, SqliteStore) else None,
    )
    opened.push_async_callback(desk.close)
    opened.push_async_callback(chats.close)
    reception = _reception(settings, desk, hub, sessions, authenticator, chats, observer)
    memory = MemoryGuard(settings.limits.memory_mb, on_change=lambda why: _shut(reception.admission, why))
    reloader = Reloader(live, settings.rules, on_report, observer=observer)
    if start.problems:
        reloader.begin_without(start.problems, start.report)
    run_beside(opened, reloader.run(), "reload")
    run_beside(opened, memory.run(), "memory")
    run_beside(opened, _sweep(sessions), "sessions")
    if settings.keep is not None:
        trimming = keep_trimmed(store, live.adopt, settings.keep, clock=now, seconds=time.monotonic, observer=observer)
        run_beside(opened, trimming, "retention")
    parts = Parts(
        start, store, live, hub, sessions, delivery, desk, reception, reloader, metrics, memory, authenticator,
        Origins(settings), StoreProbe(store, time.monotonic, live.trouble_over),
    )  # fmt: skip
    _show(parts, observer, opened)
    return parts


def _driver(
    settings: Settings, store: Store, rules: RuleSet, hub: Hub, voice: Responder | None, observer: Observer
) -> tuple[Live, Sessions, Delivery, Composer | None]:
    """What makes turns, and what brings their messages to people; each needs the other."""
    composer: Composer | None = None

    def compose(messages: list[OutboxMessage]) -> None:
        assert composer is not None
        composer.compose(messages)

    def is_kept_back(message_id: str) -> bool:
        return delivery.is_paced(message_id) or (composer is not None and composer.is_composing(message_id))

    ledger = Ledger()
    pacer: Pacer[OutboxMessage] = Pacer(settings.limits.messages_per_s)
    delivery = Delivery(hub, ledger, pacer, time.monotonic, observer=observer)
    live = Live(
        store,
        rules,
        clock=now,
        deliver=delivery.deliver,
        after_turn=delivery.after_turn,
        compose=None if voice is None else compose,
        resume_within=settings.resume_within,
        observer=observer,
    )
    sessions = Sessions(
        live,
        ledger,
        clock=now,
        resume_within=settings.resume_within,
        is_kept_back=is_kept_back,
        observer=observer,
    )

    async def record(inputs: list[Input]) -> None:
        sessions.erasing.check(item.user for item in inputs)
        await live.submit(inputs)

    if voice is not None:
        composer = Composer(
            voice,
            settings.compose_timeout / SECOND,
            record=record,
            hand_over=live.hand_over,
            by=settings.openai.model if isinstance(voice, OpenAIResponder) else "application",
            observer=observer,
        )
    delivery.bind(live, sessions, None if composer is None else composer.settle)
    live.on_abandoned(sessions.abandoned)
    return live, sessions, delivery, composer


def _reception(
    settings: Settings, desk: Desk, hub: Hub, sessions: Sessions, authenticator: Authenticator, chats: Chats,
    observer: Observer,
) -> Reception:  # fmt: skip
    limits = settings.limits
    return Reception(
        desk,
        hub,
        sessions,
        authenticator,
        chats,
        clock=now,
        seconds=time.monotonic,
        event_limits=EventLimits(per_client=limits.client_events_per_s, per_user=limits.user_events_per_s),
        admission=Admission(
            total=limits.connections, per_user=limits.user_connections, per_address=limits.address_connections
        ),
        heartbeat_s=settings.heartbeat / SECOND,
        limits=_told_limits(settings),
        depth_max=limits.nesting,
        observer=observer,
    )


def websocket_door(settings: Settings, parts: Parts) -> WebSocketDoor:
    reception, hub = parts.reception, parts.hub

    def open_peer(address: str, credentials: str | None, wake: Callable[[], None]) -> Peer:
        connection = f"c_{secrets.token_hex(8)}"
        outgoing = Outgoing(hub.frames_max, wake)
        return Peer(reception, connection, address=address, credentials=credentials, outgoing=outgoing)

    return WebSocketDoor(
        open_peer,
        allows_origin=parts.origins.allows,
        frame_bytes_max=settings.limits.frame_bytes,
        patience=Patience(heartbeat_s=settings.heartbeat / SECOND),
        admit=reception.admission.admit,
        released=reception.admission.released,
        observer=reception.observer,
    )


def http_door(
    settings: Settings,
    parts: Parts,
    health: Callable[[], Awaitable[dict[str, Json]]],
    slowness: Slowness | None = None,
    ws_url: Callable[[], str] | None = None,
) -> HttpDoor:
    async def ready() -> dict[str, Json]:
        return (await readiness_of(parts)).shown()

    return HttpDoor(
        parts.reception,
        store=parts.store,
        origins=parts.origins,
        about=About(health, ready, parts.metrics.render),
        change_rules=lambda apply: change_rules(parts.reloader, apply=apply),
        limits=settings.limits,
        ws_url=ws_url,
        slowness=slowness,
    )


async def readiness_of(parts: Parts) -> Readiness:
    """What ``GET /readyz`` says."""
    return _readiness(parts, await parts.probe.trouble())


def _readiness(parts: Parts, store_trouble: str = "") -> Readiness:
    state = parts.live.health()
    return readiness(
        stopping=parts.reception.is_draining,
        running=state["running"],
        store_trouble=store_trouble or state["trouble"],
        memory_trouble=parts.memory.trouble,
        rules=len(parts.live.rules.rules),
        rule_problems=parts.reloader.problems,
        store_notes=notes_of(parts.store),
    )


async def listen(open_door: Callable[[], Awaitable[int]], host: str, port: int, option: str) -> int:
    """The port that a door listens on. Raises `StartError` in words for whoever chose it."""
    try:
        return await open_door()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} on {host} is taken by another program; {option} 0 takes any that is free"
        else:
            why = f"cannot listen on port {port} of {host}: {error.strerror or error}; {option} names another"
        raise StartError(why) from None


async def drain(parts: Parts) -> None:
    """Take nothing new in, and let what has been taken in become durable and be acknowledged."""
    parts.reception.is_draining = True
    try:
        async with asyncio.timeout(DRAIN_S):
            await parts.live.settled()
    except TimeoutError:
        log.warning("! stopping before all that was taken in is durable; clients will send it again")
    # Acknowledgements are queued by the loop right after.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def run_beside(opened: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """A task that runs until the server stops; that it failed before is told to the operator."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_say_if_failed)
    opened.push_async_callback(_cancelled, task)


def _authenticator(settings: Settings) -> Authenticator:
    try:
        return Authenticator(settings.auth, now)
    except Refused as refused:
        raise StartError(with_hint(refused.message, refused.hint)) from None


def _observed(metrics: Metrics, settings: Settings, opened: AsyncExitStack) -> Observer:
    try:
        observer, close = observed(metrics, settings.telemetry)
    except Refused as refused:
        raise StartError(refused.message) from None
    if close is not None:
        opened.push_async_callback(close)
    return observer


def _show(parts: Parts, observer: Observer, opened: AsyncExitStack) -> None:
    """Let the figures be looked up in the parts, and the store be looked at now and then."""
    path = None
    if isinstance(parts.store, SqliteStore):
        path = parts.store.path
        parts.store.tell_checkpoints(lambda seconds, ok: observer.store_worked("checkpoint", seconds, ok=ok))
    store_watch = StoreWatch(parts.store, observer, path, parts.live.trouble_over)
    store_watch.show_in(parts.metrics)
    look_at_parts(
        parts.metrics,
        live=parts.live,
        hub=parts.hub,
        sessions=parts.sessions,
        reloader=parts.reloader,
        clients=lambda: len(parts.desk.present()),
        ready=lambda: _readiness(parts, store_watch.trouble),
    )
    run_beside(opened, store_watch.run(), "store")


async def _open_store(settings: Settings, opened: AsyncExitStack) -> Store:
    store = await open_store(
        settings.store, durability=settings.durability, on_replica_loss=settings.on_replica_loss,
        password=settings.store_password,
    )  # fmt: skip
    opened.push_async_callback(store.close)
    await serve_alone(store, opened)
    return store


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


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("! a part of the server has ended", part=task.get_name(), why=f"{type(error).__name__}: {error}")
